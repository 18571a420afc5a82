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
one_line 4 "no frame" "$PARE" reduce "$clip" --start 5000 $small

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

# Text is no picture, whatever libav makes of it; an empty name is no input.
seq 1000 >notes.txt
one_line 4 "notes.txt' is text" "$PARE" info notes.txt
expect 0 "" "$PARE" info notes.txt --format tty >/dev/null
one_line 2 "named ''" "$PARE" reduce ""
one_line 4 "not a safetensors or GGUF file" "$PARE" tokens notes.txt --recipe none
head -c 100000 "$SAMPLES/dinov2-small-q8_0.gguf" >cut.gguf
one_line 5 "ends early" "$PARE" info cut.gguf
mkdir model
echo '{"model_type":"dinov2","hidden_size":"x"}' >model/config.json
cp "$clip" model/model.safetensors
one_line 5 "model" "$PARE" info model
rm -rf notes.txt cut.gguf model

# A file that may not grow: a clean error, nothing left.
expect 1 "." sh -c 'ulimit -f 8; "$PARE" reduce "$1" --frames 1 --size 112x112 -o big.safetensors' sh "$clip"

# A clip that announces more than it holds is used as far as it goes, with a warning.
"$PARE" heatmap "$clip" --size 112x112 --end 3 -o whole.mkv >/dev/null
head -c $(($(wc -c <whole.mkv) / 3)) whole.mkv >part.mkv
expect 0 "part.mkv: (the last frame taken ends at|damaged frames)" "$PARE" reduce part.mkv --size 112x112 --recipe pool@output --keep .1 >/dev/null
expect 0 "" "$PARE" reduce whole.mkv --size 112x112 --recipe pool@output --keep .1 >/dev/null
rm -f whole.mkv part.mkv
rmdir full empty
rm -f stderr.txt
ls -A
