# SPDX-License-Identifier: MIT
# What pare says of the machine, of the model, of a clip.
. "$CLI_LIB"
"$PARE" info --json | jq -r 'keys_unsorted | join(" ")'
"$PARE" info --json | jq -c '[.blas_threads, .blas_core == .blas_core_best]'
# Engines: plain OpenBLAS is always there, auto takes one of every precision at most, and nothing is timed unasked.
"$PARE" info --json | jq -c '.engines | [(map(select(.backend == "openblas" and .precision == "f32" and .runs)) | length),
    ([group_by(.precision)[] | map(select(.auto)) | length] | max), (map(.gops) | unique)]'
"$PARE" info -q --measure --json | jq -c '[all(.engines[]; if .runs then .gops > 0 else .gops == null end),
    .fastest.f32 as $best | any(.engines[]; .backend == $best and .precision == "f32")]'
"$PARE" info | grep -c "^engines .*f32 (auto)"
"$PARE" info "$SAMPLES/dinov2-small-q8_0.gguf" | grep -Ev "^(path|engines)"
"$PARE" info "$clip" --json | jq -c '[.driver, .image, .live, .width > 0, .frames > 0]'
"$PARE" reduce "$clip" --frames 1 --size 112x112 -q -o r.safetensors >/dev/null
"$PARE" reduce "$clip" --frames 1 --size 112x112 -q -o r.npz >/dev/null
cp r.safetensors r.dat
"$PARE" info r.safetensors | tail -n +2 | sort >want
for name in r.npz r.dat; do "$PARE" info $name | tail -n +2 | sort | cmp - want || fail "$name"; done
head -c 3000 r.npz >cut.npz
one_line 4 "cut off" "$PARE" info cut.npz
printf 'PK\003\004 no archive' >no.npz
one_line 4 "not an archive" "$PARE" info no.npz

# Tensors beside a configuration that they do not fit are still shown.
mkdir plain
echo '{"model_type":"dinov2"}' >plain/config.json
printf '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' >head
{ length 54; cat head; one; } >plain/t.safetensors
expect 0 "." "$PARE" info plain/t.safetensors | grep '^x '
one_line 4 "nothing.mp4" "$PARE" info nothing.mp4
expect 3 "nothing.mp4" "$PARE" info "$clip" nothing.mp4 >/dev/null
