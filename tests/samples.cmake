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
  find_program(PARE_FFMPEG_PROGRAM ffmpeg)
  if(PARE_FFMPEG_PROGRAM)
    add_test(NAME sample_edge_camera COMMAND sh -c
             "\"$1\" -v error -i \"$2\" -t 1 -vf scale=320:180 -pix_fmt nv12 -f rawvideo - | \"$3\" 320 180 10 | grep -E '^10 frames, [0-9] dropped, p95 [1-9]'"
             sh ${PARE_FFMPEG_PROGRAM} ${clip} $<TARGET_FILE:edge_camera>)
  endif()
  if(PARE_FFMPEG)
    pare_sample_test(own_decoder 0 "^t=6.40 s: 2688 tokens" $<TARGET_FILE:own_decoder> ${clip})
  endif()
  pare_sample_test(missing_input 1 "^reduce_image: .*no-such-file.png" $<TARGET_FILE:reduce_image> ${out}/no-such-file.png)
  pare_sample_test(usage 2 "^usage: reduce_video CLIP" $<TARGET_FILE:reduce_video>)
endif()
