# SPDX-License-Identifier: MIT
pare_test(test_selectors MODULES core select SOURCES test_selectors.c select_table.c test_spread_merge.c test_temporal.c test_scores.c select_scene.c)
pare_test(test_bend_map MODULES core select SOURCES test_bend_map.c select_scene.c)
pare_test(test_bend_hooks MODULES core select SOURCES test_bend_hooks.c select_scene.c)
pare_test(test_greedy MODULES core select SOURCES test_greedy.c select_scene.c)
pare_test(test_select_kernels MODULES core select SOURCES test_select_kernels.c select_scene.c)
pare_test(test_tiles MODULES core select SOURCES test_tiles.c select_scene.c)
pare_test(test_custom MODULES core select SOURCES test_custom.c select_scene.c)
pare_test(test_video_methods MODULES core select SOURCES test_video_methods.c select_scene.c)

# Not a test: needs a quiet machine. `bench_selectors [NAME]...`
add_executable(bench_selectors EXCLUDE_FROM_ALL bench/bench_selectors.c select_scene.c $<TARGET_OBJECTS:pare_core_obj>
               $<TARGET_OBJECTS:pare_model_obj> $<TARGET_OBJECTS:pare_encode_obj> $<TARGET_OBJECTS:pare_select_obj>)
target_link_libraries(bench_selectors PRIVATE pare_flags PkgConfig::JANSSON PkgConfig::OPENBLAS Threads::Threads m ${CMAKE_DL_LIBS})
