# SPDX-License-Identifier: MIT
# What becomes of a photo or clip of a given size, without one; orientation and transparency of stills.
. "$CLI_LIB"
model=$SAMPLES/dinov2-small-q8_0.gguf
"$PARE" info "$model" --json | jq -r 'keys_unsorted | join(" ")'
"$PARE" info "$model" --json | jq -c '.plans[]'
"$PARE" info "$model" --json --source 640x480 --source 97x65 | jq -c '.plans[] | [.source, .frames, .grid, .units, .tokens]'
"$PARE" info "$model" --json --source 640x480 --frames 5 | jq -c '.plans[] | [.source, .frames, .slots, .units, .tokens]'
"$PARE" info "$model" --json --source 640x480 --tiles 2x3 | jq -c '.plans[] | [.tiles, .whole, .slots, .units]'
"$PARE" info "$model" --json --source 640x480 --tiles none | jq -c '.plans[] | [.tiles, .whole, .slots, .units]'
"$PARE" info "$model" --source 640x480 --tiles 2x3 | grep "^photo"
"$PARE" info "$model" | wc -l | awk '{ print ($1 <= 34) ? "one screen" : $1 " lines" }'
one_line 2 "--source: '640' is not a size like 640x480" "$PARE" info "$model" --source 640
one_line 2 "--source: '0x9' is not a size" "$PARE" info "$model" --source 0x9
one_line 2 "--tiles: 'some' is not rows and columns like 2x3" "$PARE" info "$model" --tiles some
