# SPDX-License-Identifier: MIT
# --mask: what is black never gets past the first site, what is white stays, at every site; npy and pictures.
. "$CLI_LIB"
run() { "$PARE" reduce "$clip" --frames 2 --size 56x56 -q "$@" >report.txt; }
bytes() { for byte in "$@"; do printf "\\$byte"; done; }
# Upper half free, below it one kept quarter (lower left) and an ignored one. 4 x 4 units: 8 9 12 13 stay.
half() { bytes 200 200 377 000; }
{ npy '|u1' '2, 2' && half; } >mask.npy
{ npy '|b1' '2, 2, 2' && bytes 0 0 1 0 && bytes 0 0 0 1; } >bool.npy
for site in patches block=2 output; do
    run --mask mask.npy --recipe random@$site --tokens-per-frame 5 -o "$site.safetensors"
    echo "$site:$(tensor "$site.safetensors" index d4 | tr ' ' '\n' | awk '
        { u = $1 % 16; kept += NF && (u == 8 || u == 9 || u == 12 || u == 13); bad += NF && (u == 10 || u == 11 || u >= 14); n += NF }
        END { print " rows " n ", kept " kept ", ignored " bad }')"
done
run --mask bool.npy --recipe random@output --tokens-per-frame 4 -o bool.safetensors
tensor bool.safetensors index d4
run --mask mask.npy --recipe none -o none.safetensors
tensor none.safetensors index d4

# The same as pictures: one for all, and one per frame. A P5 picture becomes PNG through ffmpeg, where there is one.
if command -v ffmpeg >/dev/null; then
    { printf 'P5 2 2 255\n' && half; } >mask.pgm
    ffmpeg -v error -i mask.pgm mask.png
    cp mask.png frame-0.png
    cp mask.png frame-1.png
    for mask in mask.png frame-%d.png; do
        run --mask "$mask" --recipe random@output --tokens-per-frame 5 -o picture.safetensors
        cmp picture.safetensors output.safetensors || fail "$mask is not mask.npy"
    done
    one_line 2 'frame-%d.png: 2 masks, the input has more frames' \
        "$PARE" reduce "$clip" --frames 3 --size 56x56 --mask frame-%d.png -o x.safetensors
    one_line 2 'frame-%d.png: more masks than the 1 frames of the input' \
        "$PARE" reduce "$clip" --frames 1 --size 56x56 --mask frame-%d.png -o x.safetensors
    "$PARE" heatmap "$clip" --frames 2 --size 56x56 --keep .5 --mask frame-%d.png -q -o seen.mp4 | sed 's/of .*//'
fi
"$PARE" heatmap "$clip" --frames 2 --size 56x56 --keep .5 --mask mask.npy -q -o seen.png | sed 's/of .*//'

one_line 2 'bool.npy: 2 masks, the input has more frames' \
    "$PARE" reduce "$clip" --frames 3 --size 56x56 --mask bool.npy -o x.safetensors
one_line 2 'bool.npy: more masks than the 1 frames' \
    "$PARE" reduce "$clip" --frames 1 --size 56x56 --mask bool.npy -o x.safetensors
{ npy '<f4' '1, 1' && bytes 0 0 0 0; } >float.npy
one_line 2 'float.npy: a mask holds bool or whole numbers 0..255' run --mask float.npy
one_line 2 'a mask is a picture' run --mask "$clip"
one_line 4 'missing.png' run --mask missing.png
one_line 2 '.' run --mask mask.npy --recipe random@output --tokens-per-frame 3 -o x.safetensors
[ ! -e x.safetensors ] || fail "a file of a failed run"
