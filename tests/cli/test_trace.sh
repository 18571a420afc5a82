# SPDX-License-Identifier: MIT
# Trace: pictures in, every stage out; the written pixel_values give the same stages again.
. "$CLI_LIB"
photo 1 one.png
photo 2 two.png
model="-m $SAMPLES/dinov2-small-q8_0.gguf"
expect 0 "" "$PARE" trace $model -i one.png -i two.png -o a.safetensors
expect 0 "" "$PARE" trace $model --inputs a.safetensors --fps 2 --fps 4 -o b.safetensors | sed 's/: [0-9]* stages//'
"$PARE" info a.safetensors --json | jq -r '.tensors | with_entries(select(.key | test("^(pixel_values|embeddings|hidden.11|keys.11|attn.cls_row.0|attn.col_mean.0|last_hidden|pooled|logits)$"))) | to_entries[] | "\(.key) \(.value)"' | sort
"$PARE" info a.safetensors --json | jq -r '.tensors | keys[] | select(test("pixel_values") | not)' | sort >names_a
"$PARE" info b.safetensors --json | jq -r '.tensors | keys[]' | sort >names_b
cmp names_a names_b
expect 0 "" "$PARE" trace $model -i one.png two.png --size 112x112 --interpolate --video -o v.safetensors >/dev/null
"$PARE" info v.safetensors --json | jq -r '.tensors.pixel_values'
one_line 2 "leave --size out" "$PARE" trace $model --inputs a.safetensors --size 112x112 -o c.safetensors
"$PARE" trace $model --inputs a.safetensors -o - >stdout.safetensors
cmp stdout.safetensors b.safetensors
one_line 2 "both want standard output" "$PARE" trace $model --inputs a.safetensors -o - --json
ln a.safetensors again.safetensors
one_line 2 "again.safetensors is the input a.safetensors" "$PARE" trace $model --inputs a.safetensors -o again.safetensors
sed 's/pixel_values/pixel_wrongs/;s/pooled":/pixel_values":/' a.safetensors >odd.safetensors
expect 4 "not safetensors|missing|pixel_values must be floats \[B,3,H,W\], .*not f32 \[|header" "$PARE" trace $model --inputs odd.safetensors -o c.safetensors
one_line 4 "no tensor pixel_values" "$PARE" trace $model --inputs b.safetensors -o c.safetensors
one_line 2 "fps: 'x' is not" "$PARE" trace $model -i one.png --fps x -o c.safetensors
[ ! -e c.safetensors ] || fail "a failure left a file"
