# SPDX-License-Identifier: MIT
pare_test(test_resize MODULES core model encode SOURCES test_resize.c)
pare_test(test_prep MODULES core model encode SOURCES test_prep.c)
pare_test(test_grids MODULES core model encode SOURCES test_grids.c)
pare_test(test_interp MODULES core model encode SOURCES test_interp.c)
pare_test(test_attention MODULES core model encode SOURCES test_attention.c)
pare_test(test_encoder MODULES core model encode SOURCES test_encoder.c)
pare_test(test_units MODULES core model encode SOURCES test_units.c encoder_ref.c)

# Not a test: needs a quiet machine. `bench_encoder [bar]`
add_executable(bench_encoder bench/bench_encoder.c $<TARGET_OBJECTS:pare_core_obj> $<TARGET_OBJECTS:pare_model_obj>
               $<TARGET_OBJECTS:pare_encode_obj>)
target_link_libraries(bench_encoder PRIVATE pare_flags PkgConfig::JANSSON PkgConfig::OPENBLAS Threads::Threads m ${CMAKE_DL_LIBS})
