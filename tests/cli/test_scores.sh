# SPDX-License-Identifier: MIT
# --scores: a score of every unit decides; shapes that do not fit are told with both shapes.
. "$CLI_LIB"
run() { "$PARE" reduce "$clip" --frames 2 --size 56x56 --keep .125 -q "$@" >report.txt; }
# 4 x 4 units, one byte each: units 5 and 9 of every frame; then 0 and 1 of the first, 14 and 15 of the second.
row() { for byte in "$@"; do printf "\\$byte"; done; }
zeros() { head -c "$1" /dev/zero; }
{ npy '|u1' '4, 4' && zeros 5 && row 011 && zeros 3 && row 010 && zeros 6; } >same.npy
{ npy '|u1' '2, 4, 4' && row 003 002 && zeros 14 && zeros 14 && row 001 004; } >each.npy
{ npy '|u1' '32,' && row 003 002 && zeros 14 && zeros 14 && row 001 004; } >flat.npy
{ npy '<i4' '4, 4' && zeros 20 && i32 9 && zeros 12 && i32 8 && zeros 24; } >whole.npy
run --scores same.npy -o same.safetensors
tensor same.safetensors index d4
run --scores whole.npy -o whole.safetensors
tensor whole.safetensors index d4
run --scores each.npy -o each.safetensors
tensor each.safetensors index d4
run --scores flat.npy --recipe topk:score=given@output -o flat.safetensors
tensor flat.safetensors index d4
"$PARE" info flat.safetensors | grep '^recipe'
"$PARE" heatmap "$clip" --frames 2 --size 56x56 --keep .125 --scores each.npy --json -o map.png | value pictures
"$PARE" bench -i "$clip" --frames 2 --size 56x56 --keep .125 --rounds 1 --scores each.npy --json |
    jq -c '.rows[-1] | [.recipe, .units_kept]'

one_line 2 '--scores is for a step with score=given' run --scores same.npy --recipe tome
one_line 2 'whole.npy: scores \[4,4\] do not fit the grid \[8,8\] of a frame' \
    "$PARE" reduce "$clip" --frames 1 --size 112x112 --scores whole.npy -o x.safetensors
one_line 2 'flat.npy: scores \[32\] do not fit the grid \[8,8\]' \
    "$PARE" reduce "$clip" --frames 1 --size 112x112 --scores flat.npy -o x.safetensors
one_line 2 'each.npy: scores of 2 frames, the input has more' \
    "$PARE" reduce "$clip" --frames 3 --size 56x56 --scores each.npy -o x.safetensors
one_line 2 'each.npy: scores of 2 frames, the input has 1' \
    "$PARE" reduce "$clip" --frames 1 --size 56x56 --scores each.npy -o x.safetensors
one_line 2 'belong to one input' "$PARE" bench --data . --scores each.npy
one_line 2 'score|given' "$PARE" reduce "$clip" --frames 1 --size 56x56 --recipe topk:score=given@patches --keep .5 -o x.safetensors
one_line 4 'cannot open none.npy' run --scores none.npy
one_line 4 'bad.npy: not a numpy array' sh -c 'echo hello, this is text >bad.npy; exec "$PARE" reduce clip.mp4 --scores bad.npy'
{ npy '<f4' '4, 4' && zeros 63; } >short.npy
one_line 4 'short.npy: 63 bytes of data, the shape needs 64' run --scores short.npy
{ npy '>f4' '4, 4' && zeros 64; } >big.npy
one_line 4 "big.npy: type '>f4' \(big-endian\)" run --scores big.npy
{ npy '<i8' '2, 2, 2, 2' && zeros 128; } >long.npy
one_line 2 'long.npy: scores are \[T,h,w\], \[h,w\] or \[n\], not' run --scores long.npy
[ ! -e x.safetensors ] || fail "a file of a failed run"
