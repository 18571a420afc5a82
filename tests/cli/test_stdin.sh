# SPDX-License-Identifier: MIT
# y4m and raw RGB on stdin; a stream that ends in mid-frame leaves a valid file marked incomplete.
. "$CLI_LIB"
y4m()
{
    printf 'YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n'
    for level in 100 120 140; do
        printf 'FRAME\n'
        head -c 4608 /dev/zero | tr '\000' "\\$level"
    done
}
size="--size 112x84"
y4m | expect 0 "" "$PARE" reduce - $size --keep .5 --recipe random@patches --json -o y.safetensors |
    jq -c '[.input, .frames, .grid, .units_out, .complete, .input_hash]'
head -c 36864 /dev/zero | expect 0 "" "$PARE" reduce - --format rgb24 --source-size 64x48 --rate 10 $size --keep .5 \
    --recipe random@patches --json | jq -c '[.input, .frames, .grid, .units_out, .complete]'
y4m | one_line 2 "cannot be read twice" "$PARE" reduce - $size --tokens 10
y4m | head -c 12000 | expect 4 "." "$PARE" reduce - $size --keep .5 --recipe random@patches --json -o cut.safetensors |
    jq -c '[.frames, .complete]'
"$PARE" info cut.safetensors | grep '^complete'
y4m | head -c 12000 | one_line 4 "ends inside a frame" "$PARE" heatmap - $size --keep .5 --recipe random@patches -o cut.mp4
head -c 100 /dev/zero | one_line 4 "." "$PARE" reduce -
one_line 4 "." "$PARE" reduce - </dev/null
