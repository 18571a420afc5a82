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
rm -f stderr.txt
ls
