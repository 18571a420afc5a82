# SPDX-License-Identifier: MIT
# Sanitized libraries need their runtime in every program that uses them, which no consumer has.
if(NOT PARE_SANITIZE)
  add_test(NAME install COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_install.sh ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER})
endif()
