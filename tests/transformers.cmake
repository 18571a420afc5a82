# SPDX-License-Identifier: MIT
# What consumers make of pare's files. Needs transformers (PyPI): `pip install torch transformers safetensors pillow`.
set(PARE_PYTHON "python3" CACHE STRING "Python with transformers for the tests that compare with it")
add_test(NAME transformers_embeds
         COMMAND ${PARE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/transformers/embeds.py $<TARGET_FILE:pare_cli> "${PARE_FIXTURES}")
set_tests_properties(transformers_embeds PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
# The committed VideoMAE case is what transformers computes.
add_test(NAME transformers_videomae
         COMMAND ${PARE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/transformers/videomae.py check ${CMAKE_CURRENT_SOURCE_DIR}/golden/models/videomae-tiny)
set_tests_properties(transformers_videomae PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
# The committed cases of InternVL-6B, LLaVA-NeXT and OneVision are what transformers computes.
add_test(NAME transformers_mllm
         COMMAND ${PARE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/transformers/mllm.py check ${CMAKE_CURRENT_SOURCE_DIR}/golden/models)
set_tests_properties(transformers_mllm PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
# Photos of several sizes in one batch.
add_test(NAME transformers_batches
         COMMAND ${PARE_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/transformers/batches.py $<TARGET_FILE:pare_cli> ${CMAKE_CURRENT_SOURCE_DIR}/golden/models)
set_tests_properties(transformers_batches PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
