# SPDX-License-Identifier: MIT
# Files that are missing, wrong, unwritable or full: the exit code says which, and nothing partial is left behind.
. "$CLI_LIB"
small="--frames 1 --size 112x112"
one_line 4 "missing.mp4" "$PARE" reduce missing.mp4
one_line 5 "nowhere" "$PARE" reduce "$clip" -m nowhere
mkdir empty
one_line 5 "empty" "$PARE" reduce "$clip" -m empty
one_line 5 "." "$PARE" info -m "$clip"
echo "this is no video" >text.mp4
one_line 4 "text.mp4" "$PARE" reduce text.mp4
: >zero.mp4
one_line 4 "zero.mp4" "$PARE" reduce zero.mp4 -o zero.safetensors
one_line 4 "missing.safetensors" "$PARE" info missing.safetensors
one_line 4 "missing.csv" "$PARE" bench --data missing.csv
one_line 2 "no frame" "$PARE" reduce "$clip" --start 5000 $small

# A clip cut off in mid-file, and one with a hole: readable frames are used or the input is refused; never half a file.
size=$(wc -c <"$clip")
head -c $((size / 2)) "$clip" >cut.mp4
got=0
"$PARE" reduce cut.mp4 $small --json -o cut.safetensors >cut.json 2>stderr.txt || got=$?
case $got in
0) [ -f cut.safetensors ] ;;
4) [ ! -e cut.safetensors ] ;;
*) fail "exit $got for a clip cut off in mid-file" ;;
esac
rm -f cut.* text.mp4 zero.mp4

one_line 1 "no/such/folder" "$PARE" reduce "$clip" $small -o no/such/folder/a.safetensors
mkdir full
expect 1 "standard output" sh -c '"$PARE" reduce "$1" --frames 1 --size 112x112 --json >/dev/full' sh "$clip"
expect 1 "standard output" sh -c '"$PARE" list >/dev/full'
expect 1 "." "$PARE" heatmap "$clip" $small -o no/such/folder/a.png
expect 1 "." "$PARE" heatmap "$clip" $small -o no/such/folder/a.mp4
rmdir full empty
rm -f stderr.txt
ls -A
