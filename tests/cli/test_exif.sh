# SPDX-License-Identifier: MIT
# --exif: pictures come out upright, boxes speak of the stored picture. Numbered pictures are a clip: frames come whole.
. "$CLI_LIB"
photo 0 photo.png

boxes() { "$PARE" reduce "$1_%d.png" -m "$tiny" --size 56x56 --recipe none -q -o r.safetensors $2 >report.txt; tensor r.safetensors box f4; }
rectangles() { tr -s ' ' '\n' | grep . | paste -d' ' - - - - | awk '{ for (i = 1; i <= 4; i++) printf "%.0f ", $i; print "" }'; }

cp photo.png stored_0.png
boxes stored "" | rectangles >want
for orientation in 1 2 3 4 5 6 7 8; do
    {
        head -c 33 photo.png # the header of the PNG
        printf '\000\000\000\032eXIfMM\000*\000\000\000\010\000\001\001\022\000\003\000\000\000\001\000'
        printf "\\$(printf %03o $orientation)"
        printf '\000\000\000\000\000\000....'
        tail -c +34 photo.png
    } >t_0.png
    boxes t "" | rectangles | cmp - want || fail "turned unasked: $orientation"
    boxes t --exif | rectangles >upright
    echo "$orientation: $("$PARE" info t_0.png --exif --json | jq -c '[.width, .height, .rotation, .mirrored]')" \
        "first unit $(head -n 1 upright)"
    # The same rectangles of the stored picture, whichever way it is turned.
    sort want >sorted
    sort upright | cmp - sorted
done
