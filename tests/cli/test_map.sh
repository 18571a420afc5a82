# SPDX-License-Identifier: MIT
# --map: result files, dense matrices and lists of units as the reduction; rows that do not fit.
. "$CLI_LIB"
run() { "$PARE" reduce "$clip" --frames 2 --size 56x56 -q "$@" >report.txt; }
# Units 3, 17 and 30 of 2 x 4 x 4.
{ safetensors '{"keep":{"dtype":"I32","shape":[3],"data_offsets":[0,12]}}' && i32 17 3 30; } >keep.safetensors
run --map keep.safetensors -o kept.safetensors
tensor kept.safetensors index d4
"$PARE" info kept.safetensors | grep '^recipe'
# A result's own map, applied to the same clip, gives the result again.
run --recipe pool@output --keep .25 -o pool.safetensors
run --map pool.safetensors -o again.safetensors
for name in embeds map.weight sizes; do
    [ "$(tensor pool.safetensors $name f4)" = "$(tensor again.safetensors $name f4)" ] || fail "$name differs"
done
[ "$(tensor pool.safetensors index d4)" = "$(tensor again.safetensors index d4)" ] || fail "index differs"
# R [2,32]: the mean of units 0 and 16 (two frames), and unit 5.
{
    safetensors '{"R":{"dtype":"U8","shape":[1,32],"data_offsets":[0,32]}}'
    head -c 5 /dev/zero && printf '\001' && head -c 26 /dev/zero
} >one.safetensors
run --map one.safetensors -o dense.safetensors
tensor dense.safetensors index d4
{
    safetensors '{"map.row_start":{"dtype":"I32","shape":[2],"data_offsets":[0,8]},"map.index":{"dtype":"I32","shape":[2],"data_offsets":[8,16]}}'
    i32 0 2 0 16
} >across.safetensors
run --map across.safetensors -o merged.safetensors
tensor merged.safetensors map.weight f4
run --map keep.safetensors --recipe custom:needs=none@block=3 --json -o block.safetensors
jq -c '[.units_out, .recipe]' report.txt
"$PARE" bench -i "$clip" --frames 2 --size 56x56 --keep .5 --rounds 1 --map keep.safetensors --json | jq -c '.rows[-1] | [.recipe, .units_kept]'

one_line 2 'across.safetensors: row 0 joins unit 16, which is not among the 16 units \(0 to 15\)' \
    run --map across.safetensors --recipe custom@output -o x.safetensors
one_line 2 'across.safetensors: row 0 joins unit 16, which is not among the 16 units' \
    run --map across.safetensors --window 1 -o x.safetensors
one_line 2 'keep.safetensors: row 0 names unit 17, which the step never saw' \
    "$PARE" reduce "$clip" --frames 1 --size 56x56 --window 1 --map keep.safetensors -o x.safetensors
one_line 2 'one.safetensors: R has 32 columns, the input a unit 32' \
    "$PARE" reduce "$clip" --frames 3 --size 56x56 --map one.safetensors -o x.safetensors
one_line 2 'keep.safetensors: leaves 3 of the units 0 to 31, 8 were asked' run --map keep.safetensors --keep .25
{ safetensors '{"keep":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}' && i32 7 7; } >twice.safetensors
one_line 2 'twice.safetensors: unit 7 is in row 0 and again in row 1' run --map twice.safetensors
{ safetensors '{"R":{"dtype":"U8","shape":[1,4],"data_offsets":[0,4]}}' && printf '\001\001\000\000'; } >sum.safetensors
one_line 2 'sum.safetensors: the weights of row 0 sum to 2, not to 1' run --map sum.safetensors
{ safetensors '{"other":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}' && printf '\001'; } >other.safetensors
one_line 2 'other.safetensors: neither map.row_start' run --map other.safetensors
one_line 2 "step 'custom' needs --selector-cmd or --map" run --recipe custom@output --keep .5
one_line 2 'exclude each other' run --map keep.safetensors --selector-cmd true
[ ! -e x.safetensors ] || fail "a file of a failed run"
