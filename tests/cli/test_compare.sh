# SPDX-License-Identifier: MIT
# Where two reductions differ: two recipes over one input, two result files, pictures, errors.
. "$CLI_LIB"
size="--size 112x112"
few="--frames 4 $size --keep .25"
counts='[.both, .only_a, .only_b, .neither, .iou, .grouping_nmi]'
quiet() { sed -E "s/, [0-9]+ ms//; s#^.*/clip.mp4#clip.mp4#"; }

expect 0 "" "$PARE" compare random@patches spatial-uniform@patches -i "$clip" $few --steps 2 | quiet
"$PARE" compare random@patches spatial-uniform@patches -i "$clip" $few --json >ab.json
"$PARE" compare spatial-uniform@patches random@patches -i "$clip" $few --json >ba.json
jq -c "$counts" ab.json
jq -c '[.a.units_out + .b.units_out == 2 * .both + .only_a + .only_b, .both + .only_a + .only_b + .neither == .units,
        (.steps | length), ([.steps[].only_a] | add) == .only_a]' ab.json
[ "$(jq -c '[.only_a, .only_b, .only_a_to_b_units]' ab.json)" = "$(jq -c '[.only_b, .only_a, .only_b_to_a_units]' ba.json)" ] ||
    fail "A against B is not B against A"

# The same twice: nothing differs, and nothing is listed.
expect 0 "" "$PARE" compare random@patches random@patches -i "$clip" $few | quiet

# Result files say the same as the recipes that made them.
"$PARE" reduce "$clip" $few --recipe random@patches -q -o a.safetensors >/dev/null
"$PARE" reduce "$clip" $few --recipe spatial-uniform@patches -q -o b.safetensors >/dev/null
"$PARE" compare a.safetensors b.safetensors --json >files.json
[ "$(jq -c "$counts" ab.json)" = "$(jq -c "$counts" files.json)" ] || fail "files differ from recipes"
# Merged rows and temporal runs survive the file, scores too.
"$PARE" reduce "$clip" $few --recipe topk:score=norm@output -q -o c.safetensors >/dev/null
"$PARE" compare c.safetensors c.safetensors --json | jq -c '[.both, .only_a, .iou, .grouping_nmi, .score_spearman]'
"$PARE" reduce "$clip" $few --recipe temporal-redundancy@patches -q -o d.safetensors >/dev/null
[ "$("$PARE" compare d.safetensors a.safetensors --json | jq -c "$counts")" = \
    "$("$PARE" compare temporal-redundancy@patches random@patches -i "$clip" $few --json | jq -c "$counts")" ] ||
    fail "runs differ"

# Pictures: the step that differs most, or all frames; they show what heatmap does not.
expect 0 "" "$PARE" compare random@patches spatial-uniform@patches -i "$clip" $few --steps 1 -o diff.png | tail -1
expect 0 "" "$PARE" compare random@patches spatial-uniform@patches -i "$clip" $few --steps 1 -o diff.mp4 | tail -1
"$PARE" info diff.mp4 --json | jq -c '[.codec, .frames]'
photo 1 photo.png
expect 0 "" "$PARE" compare topk:score=random@output random@output -i photo.png --keep .5 --json -o pair.png | jq -c '[.units, (.steps | length), .output]'
h=$("$PARE" info photo.png --json | jq .height)
"$PARE" info pair.png --json | jq -c --argjson h "$h" '.height == $h + 36'

one_line 2 "two recipes or two result files, not 1" "$PARE" compare random -i "$clip"
one_line 2 "a.safetensors and random: two recipes or two" "$PARE" compare a.safetensors random -i "$clip"
one_line 2 "one input is needed: -i FILE, once" "$PARE" compare random stride
one_line 2 "hold no pictures" "$PARE" compare a.safetensors b.safetensors -o a.png
one_line 2 "unknown option --recipe" "$PARE" compare random stride -i "$clip" --recipe none
one_line 2 "compare writes .png .mp4 .* not a.gif" "$PARE" compare random stride -i "$clip" -o a.gif
one_line 2 "a photo needs -o FILE.png" "$PARE" compare random stride -i photo.png -o a.mp4
one_line 2 "random@patches has a grid of 8x8 units .*, resize@frames one of 4x4" \
    "$PARE" compare random@patches resize@frames -i "$clip" $few
one_line 2 "did you mean 'stride'" "$PARE" compare random strode -i "$clip" $few
"$PARE" reduce "$clip" --frames 4 --size 56x56 -q -o e.safetensors >/dev/null
one_line 2 "a.safetensors has a grid of 8x8 units .*, e.safetensors one of 4x4" "$PARE" compare a.safetensors e.safetensors
"$PARE" reduce "$clip" --frames 3 $size -q -o f.safetensors >/dev/null
one_line 2 "a.safetensors has 4 steps where f.safetensors has 3" "$PARE" compare a.safetensors f.safetensors
one_line 4 "none.safetensors" "$PARE" compare a.safetensors none.safetensors
safetensors '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' >x.safetensors
one >>x.safetensors
one_line 4 "x.safetensors: no grid_thw" "$PARE" compare x.safetensors a.safetensors
