# SPDX-License-Identifier: MIT
# Exact counts, the same bytes for one and two threads, and what a result says of itself.
. "$CLI_LIB"
size="--size 112x84"
counts() { for key in frames grid units_in units_out complete; do printf '%s ' "$(echo "$1" | jq -c ".$key")"; done; echo; }

for amount in "--keep .25" "--keep .1" "--tokens 100" "--tokens-per-frame 20" "--keep 1" "--tokens 4 --min-per-frame 1"; do
    # shellcheck disable=SC2086
    line=$(expect 0 "" "$PARE" reduce "$clip" --frames 4 $size $amount --json -o a.safetensors)
    echo "$amount: $(counts "$line")"
done
for recipe in none random@patches spatial-uniform@patches temporal-redundancy@patches temporal-redundancy@output tome@block \
    'topk:score=cls-attn@block=3/6/9' pool@output random:keep=.5@patches,tome@block; do
    amount="--keep .25"
    [ "$recipe" != none ] || amount=""
    # shellcheck disable=SC2086
    line=$(expect 0 "" "$PARE" reduce "$clip" --frames 2 $size $amount --recipe "$recipe" --json)
    echo "$recipe: $(counts "$line")"
done

for threads in 1 2; do
    expect 0 "" "$PARE" reduce "$clip" --frames 3 $size --keep .25 -j $threads -o t$threads.safetensors >/dev/null
    expect 0 "" "$PARE" reduce "$clip" --frames 3 $size --keep .25 -j $threads -o t$threads.npz >/dev/null
done
cmp t1.safetensors t2.safetensors
cmp t1.npz t2.npz
"$PARE" reduce "$clip" --frames 3 $size --keep .25 -o - >stdout.safetensors
cmp t1.safetensors stdout.safetensors

"$PARE" info t1.safetensors | sed -n 's/^\(complete\|family\|input\|seed\|schema_version\)  */\1 /p;/^\(embeds\|place\|pts\|pooled\) /p' | sort
"$PARE" reduce "$clip" --frames 2 $size --json | jq -r 'keys_unsorted | join(" ")'
"$PARE" reduce "$clip" --frames 2 $size --json | jq -r '.ms | keys_unsorted | join(" ")'
hash=$("$PARE" reduce "$clip" --frames 2 $size --json | jq -r .input_hash)
[ ${#hash} = 16 ] || fail "hash $hash"

# Different seeds, different choices; the same seed, the same.
for seed in 1 1 2; do
    "$PARE" reduce "$clip" --frames 1 $size --recipe random@patches --keep .25 --seed $seed -o s.safetensors >/dev/null
    cksum <s.safetensors
done | awk '{print $1}' | uniq | wc -l

# Start and end in seconds: a second out of the middle is a part of the whole.
whole=$("$PARE" reduce "$clip" --every 5 $size --recipe pool@output --keep .01 --json | jq .frames)
part=$("$PARE" reduce "$clip" --every 5 --start 1 --end 2 $size --recipe pool@output --keep .01 --json | jq .frames)
[ "$part" -gt 0 ] && [ "$part" -lt "$whole" ] || fail "$part of $whole frames"

# Several inputs: a directory, one line each, exit 3 when one fails.
photo 1 one.png
photo 2 two.png
expect 0 "" "$PARE" reduce one.png two.png --size 112x112 -o out/ --json | jq -c '[.input, .recipe, .frames, .grid, .units_in, .units_out]'
expect 3 "missing.png" "$PARE" reduce one.png missing.png two.png --size 112x112 --json | jq -c '[.input, .exit]'
ls out

# One input's own trouble does not stop the others: the clip has more frames than tokens are asked for.
expect 3 "the input|below|floor|frames" "$PARE" reduce one.png "$clip" two.png --size 112x112 --tokens 10 --min-per-frame 1 --recipe random@patches --json |
    jq -c '[(.input | split("/") | last), .exit, .units_out]'

# A result never replaces its input, by whatever name.
ln -s one.png link.png
cp one.png copy.png
one_line 2 "-o link.png is the input one.png" "$PARE" reduce one.png -o link.png
mkdir in
cp one.png in/x.safetensors
one_line 2 "in/x.safetensors is the input" "$PARE" reduce in/x.safetensors -o in/
cmp one.png copy.png

# File names are bytes, not text.
name=$(printf 'caf\351.png')
cp one.png "$name"
for suffix in safetensors npz; do
    expect 0 "" "$PARE" reduce "$name" --size 112x112 --json -o name.$suffix | jq -r .input
    "$PARE" info name.$suffix | grep '^input '
done
