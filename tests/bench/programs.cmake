# SPDX-License-Identifier: MIT
# Programs that answer one question about speed each. No tests: they need a quiet machine. See bench/README.md.

# pare_bench(name MODULES core ... SOURCES bench/x.c): linked with the objects of these modules.
function(pare_bench name)
  cmake_parse_arguments(B "" "" "MODULES;SOURCES" ${ARGN})
  set(objects "")
  foreach(m IN LISTS B_MODULES)
    list(APPEND objects $<TARGET_OBJECTS:pare_${m}_obj>)
  endforeach()
  add_executable(${name} ${B_SOURCES} bench/bench_util.c bench/bench_peak.c ${objects})
  target_link_libraries(${name} PRIVATE pare_flags PkgConfig::JANSSON PkgConfig::OPENBLAS
                        PkgConfig::ZLIB Threads::Threads m ${CMAKE_DL_LIBS})
endfunction()

pare_bench(bench_kernels MODULES core model encode select reduce measure view write api
           SOURCES bench/bench_kernels.c bench/kernels_vec.c bench/kernels_mul.c)
pare_bench(bench_blocks MODULES core model encode SOURCES bench/bench_blocks.c bench/bench_model.c)
pare_bench(bench_encoder MODULES core model encode SOURCES bench/bench_encoder.c bench/bench_model.c)

# Through the public API alone.
pare_bench(bench_ideal SOURCES bench/bench_ideal.c)
target_link_libraries(bench_ideal PRIVATE pare)
pare_bench(bench_live SOURCES bench/bench_live.c)
target_link_libraries(bench_live PRIVATE pare_media pare)
pare_bench(bench_two_pass SOURCES bench/bench_two_pass.c)
target_link_libraries(bench_two_pass PRIVATE pare_media pare)
