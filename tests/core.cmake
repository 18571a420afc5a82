# SPDX-License-Identifier: MIT
pare_test(test_core MODULES core SOURCES test_core.c)
pare_test(test_map MODULES core SOURCES test_map.c)
pare_test(test_rank MODULES core SOURCES test_rank.c)
pare_test(test_option MODULES core SOURCES test_option.c)
pare_test(test_pool MODULES core SOURCES test_pool.c)
pare_test(test_cache MODULES core SOURCES test_cache.c)
pare_test(test_vec MODULES core SOURCES test_vec.c)
pare_test(test_mul16 MODULES core SOURCES test_mul16.c)
pare_test(test_narrow MODULES core SOURCES test_narrow.c)
pare_test(test_mul MODULES core SOURCES test_mul.c)
pare_test(test_vec_quant MODULES core SOURCES test_vec_quant.c)
pare_test(test_mrope MODULES core SOURCES test_mrope.c)
pare_fuzz(fuzz_option MODULES core SOURCES fuzz/fuzz_option.c CORPUS fuzz/corpus/option)

# The dependency law, house style, and headers that compile alone.
add_test(NAME layering COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_layering.sh ${PROJECT_SOURCE_DIR})
add_test(NAME style COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_style.sh ${PROJECT_SOURCE_DIR})
find_program(PARE_CXX NAMES c++ g++ clang++)
if(NOT PARE_CXX)
  set(PARE_CXX "")
endif()
add_test(NAME headers COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_headers.sh ${PROJECT_SOURCE_DIR} ${CMAKE_C_COMPILER}
         ${PARE_CXX})
