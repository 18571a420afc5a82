# SPDX-License-Identifier: MIT
# What pare says of the machine, of the model, of a clip.
. "$CLI_LIB"
"$PARE" info --json | jq -r 'keys_unsorted | join(" ")'
"$PARE" info --json | jq -c '[.blas_threads, .blas_core == .blas_core_best]'
"$PARE" info "$SAMPLES/dinov2-small-q8_0.gguf" | grep -Ev '^path'
"$PARE" info "$clip" --json | jq -c '[.driver, .image, .live, .width > 0, .frames > 0]'
one_line 4 "nothing.mp4" "$PARE" info nothing.mp4
expect 3 "nothing.mp4" "$PARE" info "$clip" nothing.mp4 >/dev/null
