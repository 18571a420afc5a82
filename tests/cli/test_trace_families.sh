# SPDX-License-Identifier: MIT
# Trace of every family of the fixtures: pictures in, every stage out; what was written gives the same bytes again,
# whatever the layout of its pixel_values. Then what inputs must bring with them.
. "$CLI_LIB"
models=$PARE_FIXTURES/golden/models
[ -n "$PARE_FIXTURES" ] && [ -d "$models" ] || exit 77

# has DIR KEY: case.json says "KEY": true
has() { grep -q "\"$2\": true" "$1/case.json"; }

for dir in "$models"/*/; do
    dir=${dir%/}
    name=${dir##*/}
    [ -e "$dir/case.json" ] || continue
    options= again=
    if has "$dir" interpolate; then options=--interpolate; fi
    if has "$dir" video; then again=--video; fi
    set -- "$dir"/image_*.png
    if [ ! -e "$1" ]; then set -- "$dir/frame_%03d.png"; fi
    case $name in timm-reg4-interp) options="$options --size 98x98" ;; esac
    expect 0 "" "$PARE" trace -m "$dir" "$@" $options -o "$name.a.safetensors" >/dev/null
    case $name in timm-reg4-interp) options=--interpolate ;; esac
    expect 0 "" "$PARE" trace -m "$dir" --inputs "$name.a.safetensors" $options $again -o "$name.b.safetensors" >/dev/null
    for file in a b; do
        "$PARE" info "$name.$file.safetensors" --json | jq -r '.tensors | keys[] | select(. != "pixel_values")' >"names.$file"
    done
    cmp names.a names.b
    last=$(grep -Ex 'projected|logits|pooled' names.a | tail -n 1)
    [ "$(tensor "$name.a.safetensors" "$last" f4)" = "$(tensor "$name.b.safetensors" "$last" f4)" ] ||
        fail "$name: $last differs when the written pixel_values are read"
done
echo "all families: same again"

# without NAME FILE OUT: the file without a tensor of that name
without() { sed "s/\"$1\":/\"$(printf %s "$1" | tr 'a-z' 'b-za')\":/" "$2" >"$3"; }

without image_sizes onevision-image.a.safetensors no.safetensors
one_line 2 "need image_sizes \[1, 2\]" "$PARE" trace -m "$models/onevision-image" --inputs no.safetensors -o x.safetensors
without spatial_shapes siglip2-naflex.a.safetensors no.safetensors
one_line 4 "beside spatial_shapes, not f32 \[2,64,192\]" "$PARE" trace -m "$models/siglip2-naflex" --inputs no.safetensors -o x.safetensors
without grid_thw qwen2vl-image.a.safetensors no.safetensors
one_line 4 "beside grid_thw" "$PARE" trace -m "$models/qwen2vl-image" --inputs no.safetensors -o x.safetensors
one_line 2 "pixel_values has" "$PARE" trace -m "$models/clip-quickgelu" --inputs qwen2vl-image.a.safetensors -o x.safetensors
one_line 2 "grid_thw" "$PARE" trace -m "$models/qwen2vl-image" --inputs clip-quickgelu.a.safetensors -o x.safetensors
[ ! -e x.safetensors ] || fail "a failure left a file"
