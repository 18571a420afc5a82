# SPDX-License-Identifier: MIT
# --letterbox and --tiles: padding and tiles are rows of their own kind and place.
. "$CLI_LIB"
photo 0 photo.png
"$PARE" reduce photo.png --size 112x112 --letterbox --recipe none -q -o letterbox.safetensors >report.txt
echo "kinds:$(tensor letterbox.safetensors kind u1 | tr " " "\n" | grep . | sort | uniq -c | tr -s " \n" " ")"
"$PARE" reduce photo.png --size 56x56 --tiles 1x2 --recipe none -q -o tiles.safetensors >report.txt
echo "tiles:$(tensor tiles.safetensors place d4 | tr ' ' '\n' | grep . | awk 'NR % 6 == 2' | uniq -c | tr -s ' \n' ' ')"
"$PARE" heatmap photo.png --size 56x56 --letterbox --keep .5 -q -o l.png
"$PARE" heatmap photo.png --size 56x56 --tiles 2x2 --keep .5 -q -o t.png
one_line 2 "--tiles: '2' is not rows and columns like 2x3" "$PARE" reduce photo.png --tiles 2
one_line 2 "." "$PARE" reduce photo.png --tiles 1000x1000
head -c 200 /dev/zero >zero
one_line 2 "use --tiles none" sh -c '. "$CLI_LIB"; { npy "|u1" "4, 4"; head -c 16 zero; } >s.npy; exec "$PARE" reduce photo.png --size 56x56 --tiles 2x2 --scores s.npy'

# A model with tiles of its own: by its rule, none, and as asked; what is planned is what comes.
model=${PARE_FIXTURES:-}/golden/models/onevision-image
if [ -d "$model" ]; then
    for tiles in auto none 1x2; do
        slots=$("$PARE" reduce "$model/image_0.png" -m "$model" --tiles $tiles --recipe none --json -q | jq -c '[.grid[0], .units_in]')
        plan=$("$PARE" info "$model" --source 150x84 --tiles $tiles --json -q | jq -c '.plans[0] | [.slots, .units]')
        [ "$slots" = "$plan" ] || fail "$tiles: $slots came, $plan was planned"
        echo "$tiles $slots"
    done >counts
    printf 'auto [5,80]\nnone [1,16]\n1x2 [3,48]\n' | cmp - counts
    "$PARE" heatmap "$model/image_0.png" -m "$model" --recipe spatial-uniform@patches --keep .5 -q -o auto.png >/dev/null
    head -c 80 /dev/zero >zero
    { npy "<f4" "16"; head -c 64 zero; } >s.npy
    one_line 2 "use --tiles none" "$PARE" reduce "$model/image_0.png" -m "$model" --recipe topk:score=given@output --scores s.npy --keep .5
    # a size of the caller's switches the rule off: one grid
    "$PARE" reduce "$model/image_0.png" -m "$model" --recipe topk:score=given@output --scores s.npy --keep .5 --letterbox -q -o s.safetensors >/dev/null
fi
