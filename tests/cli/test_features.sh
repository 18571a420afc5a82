# SPDX-License-Identifier: MIT
# pare tokens: every kind of array, hand-made; a mask, scores, several media, tiles, .npz, and a program as selector.
. "$CLI_LIB"
# Rows [1,1] and [2,2].
fours() { for n in "$@"; do [ "$n" = 1 ] && one && one || { two && two; }; done; }
# 8 tokens [8,2] = two media of 2 x 2, with scores 0 0 0 1 2 3 4 5 and a mask: the first stays, the last goes.
header='{"tokens":{"dtype":"F32","shape":[8,2],"data_offsets":[0,64]},"scores":{"dtype":"F32","shape":[8],"data_offsets":[64,96]},"grid_thw":{"dtype":"I32","shape":[2,3],"data_offsets":[96,120]},"mask":{"dtype":"U8","shape":[8],"data_offsets":[120,128]}}'
{
    safetensors "$header"
    fours 1 2 1 2 1 2 1 2
    i32 0 0 0 && one && two && printf '\0\0\100\100\0\0\200\100\0\0\240\100'
    i32 1 2 2 1 2 2
    printf '\377\200\200\200\200\200\200\000'
} >feats.safetensors
tokens() { "$PARE" tokens "$@" >report.txt; }
tokens feats.safetensors --recipe topk:score=given@output --tokens-per-frame 2 -o top.safetensors
echo "kept:$(tensor top.safetensors index d4), media:$(tensor top.safetensors place d4 | tr ' ' '\n' | grep . | awk 'NR % 6 == 1' | tr '\n' ' ')"
tokens feats.safetensors --recipe none -o none.safetensors
echo "not ignored:$(tensor none.safetensors index d4)"
cat >last.sh <<'END'
IFS= read -r line
echo "$line" >>requests
head -c 84 >/dev/null
printf '{"scores":3}\n\0\0\0\0\0\0\200\077\0\0\0\100'
END
tokens feats.safetensors --recipe custom:needs=tokens/scores@output --keep .5 --selector-cmd "sh last.sh" -o program.safetensors
tensor program.safetensors index d4
sed 's/"seed.*"arrays"/.../' requests
{ safetensors '{"keep":{"dtype":"I32","shape":[3],"data_offsets":[0,12]}}' && i32 2 3 6; } >keep.safetensors
tokens feats.safetensors --map keep.safetensors -o map.safetensors
tensor map.safetensors index d4
# A picture of 1 x 2 and its 1 x 2 tiles of 1 x 2 each.
header='{"tokens":{"dtype":"F32","shape":[6,2],"data_offsets":[0,48]},"grid_thw":{"dtype":"I32","shape":[3,3],"data_offsets":[48,84]},"tiles":{"dtype":"I32","shape":[2],"data_offsets":[84,92]}}'
{ safetensors "$header" && fours 1 2 1 2 1 2 && i32 1 1 2 1 1 2 1 1 2 1 2; } >tiles.safetensors
tokens tiles.safetensors --recipe none -o tiled.safetensors
echo "tiles:$(tensor tiled.safetensors place d4 | tr ' ' '\n' | grep . | awk 'NR % 6 == 2' | tr '\n' ' ')"
# The same features as stored members of an .npz (through pare's own writer).
"$PARE" tokens feats.safetensors --recipe none -o copy.npz >report.txt
one_line 2 "copy.npz: .*tokens" "$PARE" tokens copy.npz --recipe none
one_line 4 "cannot open missing.npz" "$PARE" tokens missing.npz --recipe none
echo text >text.npz
one_line 4 "text.npz: not an archive" "$PARE" tokens text.npz --recipe none
head -c 700 copy.npz >cut.npz
one_line 4 "cut.npz: " "$PARE" tokens cut.npz --recipe none
one_line 2 "scores" "$PARE" tokens tiles.safetensors --recipe topk:score=given@output --keep .5
one_line 2 "needs --selector-cmd or --map" "$PARE" tokens tiles.safetensors --recipe custom@output --keep .5
one_line 2 "keep.safetensors: .*unit 6, which the step never saw" "$PARE" tokens tiles.safetensors --map keep.safetensors
one_line 1 "exited with status 3" "$PARE" tokens tiles.safetensors --selector-cmd 'sh -c "exit 3"'
one_line 2 "tokens: --recipe is missing" "$PARE" tokens tiles.safetensors
