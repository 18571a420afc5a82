# SPDX-License-Identifier: MIT
# The command, from outside: every script of cli/ runs in a directory of its own; its stdout must equal cli/NAME.stdout.
file(GLOB cli_scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cli/test_*.sh)
foreach(script IN LISTS cli_scripts)
  get_filename_component(cli_name ${script} NAME_WE)
  string(REPLACE "test_" "cli_" cli_name ${cli_name})
  add_test(NAME ${cli_name} COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/cli/driver.sh ${script})
  set_tests_properties(${cli_name} PROPERTIES SKIP_RETURN_CODE 77 ENVIRONMENT
    "PARE=$<TARGET_FILE:pare_cli>;SAMPLES=${PROJECT_SOURCE_DIR}/samples;PARE_FIXTURES=${PARE_FIXTURES}")
endforeach()
pare_test(test_selector_cmd MODULES core select SOURCES test_selector_cmd.c ../tools/selector_cmd.c
          ../tools/selector_reply.c ../tools/npy.c)
target_compile_definitions(test_selector_cmd PRIVATE _GNU_SOURCE)
pare_fuzz(fuzz_own MODULES core select SOURCES fuzz/fuzz_own.c ../tools/npy.c ../tools/selector_reply.c
          CORPUS fuzz/corpus/own)
