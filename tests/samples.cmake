# SPDX-License-Identifier: MIT
# Every sample runs, on few frames of the clip that ships with the project: exit code and a line of what it prints.
function(pare_sample_test name code expected)
  add_test(NAME sample_${name} COMMAND sh -c
           "out=$(\"$@\" 2>&1); rc=$?; echo \"$out\"; test $rc -eq ${code} && echo \"$out\" | grep -qE '${expected}'"
           sh ${ARGN})
  set_tests_properties(sample_${name} PROPERTIES ENVIRONMENT "OPENBLAS_NUM_THREADS=1")
endfunction()

if(PARE_SAMPLES)
  set(clip ${PROJECT_SOURCE_DIR}/samples/clip.mp4)
  set(out ${CMAKE_CURRENT_BINARY_DIR})
  pare_sample_test(reduce_image 0 "^[0-9]+ of [0-9]+ tokens left"
                   $<TARGET_FILE:reduce_image> ${clip} ${out}/sample_image.png)
  pare_sample_test(reduce_video 0 "^[0-9]+ frames, [0-9]+ of [0-9]+ tokens"
                   $<TARGET_FILE:reduce_video> ${clip} ${out}/sample_video.safetensors 2)
  pare_sample_test(compare_selectors 0 "^tome@block +kept +50.0 %, cosine (0[.]9|1[.]0)[0-9]+"
                   $<TARGET_FILE:compare_selectors> ${clip})
  pare_sample_test(own_frames 0 "^t=0.13..0.23 s: [0-9]+ of [0-9]+ tokens" $<TARGET_FILE:own_frames> 8)
  pare_sample_test(missing_input 1 "^reduce_image: .*no-such-file.png" $<TARGET_FILE:reduce_image> ${out}/no-such-file.png)
  pare_sample_test(usage 2 "^usage: reduce_video CLIP" $<TARGET_FILE:reduce_video>)
endif()
