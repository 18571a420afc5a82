# SPDX-License-Identifier: MIT
# Usage errors: one clear line, exit code 2, before any work is done.
. "$CLI_LIB"
one_line 2 "unknown command 'reduec'; did you mean 'reduce'" "$PARE" reduec
one_line 2 "unknown command 'frobnicate'; pare --help" "$PARE" frobnicate
expect 2 "pare COMMAND" "$PARE"
one_line 2 "unknown option --kep; did you mean --keep\?" "$PARE" reduce "$clip" --kep .25
one_line 2 "unknown option -z" "$PARE" reduce -z
one_line 2 "a value is missing after --keep" "$PARE" reduce "$clip" --keep
one_line 2 "no value is taken by --json=1" "$PARE" list --json=1
one_line 2 "reduce: no input" "$PARE" reduce
for bad in nan 0x1p-2 inf -inf NaN 1e999 .25x "" " .25" 0x; do
    one_line 2 "--keep: '.*' is not a finite number" "$PARE" reduce "$clip" --keep "$bad"
done
for bad in 0 -1 1.5; do
    one_line 2 "--keep: .* is not within" "$PARE" reduce "$clip" --keep "$bad"
done
one_line 2 "--tokens: '10k' is not a whole number" "$PARE" reduce "$clip" --tokens 10k
one_line 2 "--tokens: 99999999999999999999 is not|--tokens: '9+' is not a whole number" "$PARE" reduce "$clip" --tokens 99999999999999999999
one_line 2 "--size: '224' is not a size like" "$PARE" reduce "$clip" --size 224
one_line 2 "--size: '0x7' is not within" "$PARE" reduce "$clip" --size 0x7
one_line 2 "--progress: 'loud' is not auto\|bar\|json\|none" "$PARE" reduce "$clip" --progress loud
one_line 2 "--window: 'many' is not" "$PARE" reduce "$clip" --window many
one_line 2 "exclude each other" "$PARE" reduce "$clip" --keep .5 --tokens 5
one_line 2 "exclude each other" "$PARE" reduce "$clip" --fps 2 --every 5
one_line 2 "--end 1 lies before --start 3" "$PARE" reduce "$clip" --start 3 --end 1
one_line 2 "2 inputs need -o DIR/" "$PARE" reduce a.mp4 b.mp4 -o c.safetensors
one_line 2 "would both become a" "$PARE" reduce x/a.mp4 y/a.mov -o out/
one_line 2 "both want standard output" "$PARE" reduce "$clip" -o - --json
one_line 2 "heatmap takes one input, not 0" "$PARE" heatmap -o x.png
one_line 2 "-o FILE.png or -o FILE.mp4 is missing" "$PARE" heatmap "$clip"
one_line 2 "bench needs one of --data, -i, --suite and --task documents" "$PARE" bench
one_line 2 "bench needs one of --data, -i, --suite and --task documents" "$PARE" bench --data . --suite v1
one_line 2 "bench needs one of --data, -i, --suite and --task documents" "$PARE" bench --task photos
one_line 2 "there is no 'countin'; did you mean 'counting'" "$PARE" bench -i "$clip" --task countin
one_line 2 "--root is for --suite" "$PARE" bench -i "$clip" --root .
for option in --keep=.5 --recipe=tome --task=photos --limit=1 --seeds=2 --size=56x56 --fps=1 --seed=1 --head=x; do
    one_line 2 "--suite says itself what is measured" "$PARE" bench --suite v1 "$option"
done
one_line 2 "bench: name inputs with -i, not x.png" "$PARE" bench x.png
one_line 2 "--keep: '2' is not a number above 0" "$PARE" bench -i "$clip" --keep 1,2
one_line 2 "trace needs either --inputs" "$PARE" trace -o x.safetensors
one_line 2 "tokens: --recipe is missing" "$PARE" tokens "$clip"
one_line 2 "nothing is called 'selektors'; did you mean 'selectors'" "$PARE" list selektors
one_line 2 "did you mean 'random'" "$PARE" reduce "$clip" --recipe radnom@patches --keep .5
one_line 2 "." "$PARE" reduce "$clip" --recipe 'topk:score=cls-atn@output' --keep .5
one_line 2 "." "$PARE" reduce "$clip" --recipe 'topk@nowhere' --keep .5
one_line 2 "." "$PARE" reduce "$clip" --recipe 'tome:r=nan@block'
one_line 2 "." "$PARE" reduce "$clip" --recipe ',,'
one_line 2 "rgb24 needs --source-size" "$PARE" reduce - --format rgb24
ls
"$PARE" --help | head -n 3
"$PARE" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p' | tr '\n' ' '
echo
"$PARE" reduce --help | grep -c -- --keep
"$PARE" heatmap -h | grep -c -- --palette
"$PARE" --version | head -n 1
one_line 2 "--tiles: '2' is not rows and columns like 2x3" "$PARE" reduce "$clip" --tiles 2
one_line 2 "--selector-timeout: 0 is not within" "$PARE" reduce "$clip" --selector-cmd true --selector-timeout 0
one_line 2 "--map and --selector-cmd exclude each other" "$PARE" reduce "$clip" --selector-cmd true --map x.safetensors
one_line 2 "unknown option --score; did you mean --scores" "$PARE" reduce "$clip" --score x.npy
one_line 2 "unknown option --mask" "$PARE" tokens x.safetensors --mask x.npy
one_line 2 "belong to one input" "$PARE" bench --data . --mask x.png
for command in reduce heatmap bench tokens; do "$PARE" $command --help | grep -c -- '--map\|--selector-cmd\|--selector-timeout\|--scores\|--mask\|--tiles\|--letterbox'; done
# compare takes its recipes as operands, not as options.
"$PARE" compare --help | grep -oE -- '--(keep|recipe)\b'
