# SPDX-License-Identifier: MIT
# Heatmaps: a PNG of a photo and of one moment, an MP4 of a clip.
. "$CLI_LIB"
size="--size 112x112"
"$PARE" info "$clip" --json >clip.json
w=$(jq .width clip.json)
h=$(jq .height clip.json)
expect 0 "" "$PARE" heatmap "$clip" --frames 4 $size --keep .25 -o heat.mp4 | sed "s/${w}x${h}/WxH/"
expect 0 "" "$PARE" heatmap "$clip" --at 1 --start 1 --end 2 $size --keep .25 -o heat.png | sed "s/${w}x${h}/WxH/"
expect 0 "" "$PARE" heatmap "$clip" --frames 1 $size --legend -o legend.png | sed "s/${w}x$((h + 36))/WxH+36/"
for style in both kept score; do
    expect 0 "" "$PARE" heatmap heat.png --recipe topk:score=cls-attn@output --style $style --palette magma --alpha .3 -o $style.png | sed "s/${w}x${h}/WxH/"
done
cmp -s both.png kept.png && fail "two styles look the same"
"$PARE" info heat.mp4 --json | jq -c '[.codec, .frames]'
"$PARE" info heat.png --json | jq -c --argjson w "$w" --argjson h "$h" '[.image, .width == $w, .height == $h]'
one_line 2 "a photo needs -o FILE.png" "$PARE" heatmap heat.png -o a.mp4
one_line 2 "--at picks the moment of a .png" "$PARE" heatmap "$clip" --at 1 -o a.mp4
one_line 2 "lilac|palette" "$PARE" heatmap heat.png --palette lilac -o a.png
one_line 2 "heatmap writes .png .mp4 .* not a.gif" "$PARE" heatmap heat.png -o a.gif -m nowhere
one_line 1 "cannot write no/a.png" "$PARE" heatmap heat.png -o no/a.png -m nowhere
"$PARE" heatmap heat.png $size -o a.png --json | jq -c --argjson w "$w" '[.input, .pictures, .width == $w, .damaged, .complete, .output]'

# A window ends with the clip: no later result is left to fall back on.
one_line 4 "no frame at 99 s" "$PARE" heatmap "$clip" --frames 2 --window 2 $size --at 99 -o none.png
[ ! -e none.png ] || fail "a picture of nothing"
# --at counts from the clip's first frame, like --start: a transport stream does not begin at 0.
"$PARE" heatmap "$clip" --end 2 $size --recipe none --keep 1 -q -o late.ts >/dev/null
for at in .5 1.5; do "$PARE" heatmap late.ts --start $at --end 2 --frames 1 $size --recipe none --keep 1 -o s$at.png >/dev/null; done
"$PARE" heatmap late.ts --at .5 $size --recipe none --keep 1 -o at.png >/dev/null
cmp at.png s.5.png
cmp -s at.png s1.5.png && fail "two moments look the same"

# Links are followed and permissions kept, for videos too.
: >real.mp4
chmod 600 real.mp4
ln -s real.mp4 link.mp4
"$PARE" heatmap "$clip" --frames 1 $size -o link.mp4 >/dev/null
[ -L link.mp4 ] && [ -s real.mp4 ] && [ "$(stat -c %a real.mp4)" = 600 ] || fail "link replaced or permissions lost"
rm -f stderr.txt late.ts s.5.png s1.5.png at.png real.mp4 link.mp4 a.png
ls
