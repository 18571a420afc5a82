# SPDX-License-Identifier: MIT
# Parity of whole encoders through the command, on the committed cases and on the fixtures where they are.
add_executable(golden_models golden/golden_models.c)
target_compile_definitions(golden_models PRIVATE _GNU_SOURCE)
target_link_libraries(golden_models PRIVATE pare pare_flags PkgConfig::JANSSON m)
add_test(NAME golden_models COMMAND golden_models ${CMAKE_CURRENT_SOURCE_DIR}/golden/models $<TARGET_FILE:pare_cli>)
if(PARE_FIXTURES)
  add_test(NAME golden_models_fixtures COMMAND golden_models ${PARE_FIXTURES}/golden/models $<TARGET_FILE:pare_cli>)
endif()

# Parity of selectors with the published methods, straight through the tables.
pare_test(golden_methods MODULES core model encode select measure
          SOURCES golden/golden_methods.c golden/golden_compare.c golden/golden_spread.c golden/golden_merge.c
                  golden/golden_time.c golden/golden_video.c golden/golden_video_merge.c golden/golden_bend.c golden/golden_bend_encoder.c golden/golden_greedy.c golden/golden_tiles.c golden/golden_hooks.c golden/golden_hooks_block.c
                  golden/golden_measure.c golden/golden_measure_features.c
                  select_scene.c)
target_compile_definitions(golden_methods PRIVATE PARE_BUILT_WITH_FIXTURES="${PARE_FIXTURES}")
