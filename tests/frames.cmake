# SPDX-License-Identifier: MIT
# pare frames: token counts of consumers, the choice of frames, pictures as files. The command itself: cli/test_frames.sh.
set(FRAMES_MODULES core model encode select reduce measure view write api)
pare_test(test_survey MODULES ${FRAMES_MODULES} SOURCES test_survey.c)
pare_test(test_consumers MODULES ${FRAMES_MODULES} SOURCES test_consumers.c)
# The committed counts are what the consumers' own processors make (minutes; needs transformers and timm).
add_test(NAME transformers_consumers
         COMMAND ${PARE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/transformers/consumers.py check ${CMAKE_CURRENT_SOURCE_DIR}/data/consumers.json)
set_tests_properties(transformers_consumers PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
# The prompt against its schema, as pictures and as a video (skipped without python3-jsonschema).
foreach(format jpeg mp4)
  add_test(NAME prompt_schema_${format} COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/check_schema.sh ${PROJECT_SOURCE_DIR}/tools/prompt.schema.json
           $<TARGET_FILE:pare_cli> frames ${PROJECT_SOURCE_DIR}/samples/clip.mp4 --frames 3 --format ${format} --json)
  set_tests_properties(prompt_schema_${format} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()
