# SPDX-License-Identifier: MIT
# Checkpoints as published, with zeros for weights: everything binds, tokens are as many as the models' own processors make.
# Needs nothing but Python; facts.json is made anew by published/reference.py (transformers, timm).
find_program(PARE_PYTHON3 NAMES python3)
if(PARE_PYTHON3)
  add_test(NAME published COMMAND ${PARE_PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/published/check.py $<TARGET_FILE:pare_cli>)
  set_tests_properties(published PROPERTIES TIMEOUT 600)
endif()
