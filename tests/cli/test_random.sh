# SPDX-License-Identifier: MIT
# pare bench --random: the encoder alone, on noise: what it says, what does not change it, what is refused. And the engine
# options of all commands: they are carried out, reported, and part of a journal.
. "$CLI_LIB"
small="--size 56x56"
random() { "$PARE" bench --random "$@"; }
hash_of() { jq -r .output_xxh64 "$1"; }

# shellcheck disable=SC2086
{
expect 0 "" random 5 $small --json >one.json
[ "$(wc -l <one.json)" = 1 ] || fail "more than one line"
jq -r 'keys_unsorted | join(" ")' one.json
jq -c '[.images, .size, .batch, .precision, .recipe, .keep, .seed, .units_per_image, .tokens_per_image, .recipes_run, .none,
    .realised_over_ideal]' one.json
sane='.ms_per_image_p95 >= .ms_per_image_p50 and .ms_per_image_p50 > 0 and .ms_per_image_mean > 0 and .gflop_per_image > 0 and
    (.gflop_per_image / .ms_per_image_mean * 1000 / .gflops - 1 | fabs) < 0.02'
jq -e "$sane"' and .threads >= 1 and .backend != null and .load_ms > 0 and .peak_rss_mib > 1 and
    (.output_xxh64 | test("^[0-9a-f]{16}$")) and (.first_token_ms == null or .first_token_ms > 0)' one.json >/dev/null ||
    fail "$(cat one.json)"

# Neither threads nor batches nor a second look change the tokens; seeds and amounts of pictures do.
random 5 $small --json -j 1 >same.json
[ "$(hash_of same.json)" = "$(hash_of one.json)" ] || fail "one thread: $(hash_of same.json) is not $(hash_of one.json)"
random 5 $small --json -j 2 --batch 2 >same.json
random 5 $small --json -j 1 --batch 2 >also.json
[ "$(hash_of same.json)" = "$(hash_of also.json)" ] || fail "batches of 2 on one thread: $(hash_of also.json)"
random 5 $small --json --seed 1 >seed.json
random 4 $small --json >four.json
for other in seed four; do [ "$(hash_of $other.json)" != "$(hash_of one.json)" ] || fail "$other: the same hash"; done

# A recipe is held against none in the same process.
random 4 $small --batch 2 --recipe random@patches --keep .5 --json >half.json
jq -c '[.batch, .recipe, .keep, .units_per_image, .tokens_per_image, .recipes_run]' half.json
jq -e "$sane and (.none | $sane)"' and (.realised_speed_up / .ideal_speed_up / .realised_over_ideal - 1 | fabs) < 0.01 and
    .ideal_speed_up > 1.5 and .none.gflop_per_image == $whole' --argjson whole "$(jq .gflop_per_image one.json)" half.json \
    >/dev/null || fail "$(cat half.json)"
random 2 $small --recipe topk:score=norm:k=3@output --json | jq -c '[.recipe, .keep, .tokens_per_image, .ideal_speed_up]'

# What is saved is what was encoded: the same pixels through pare reduce give the same bytes.
random 4 $small --batch 2 --save saved.safetensors --json >saved.json
random 4 $small --batch 2 --json >plain.json
[ "$(hash_of saved.json)" = "$(hash_of plain.json)" ] || fail "saving changes the tokens"
"$PARE" info saved.safetensors | sed -n '/^\(pixels\|embeds\|row_start\|index\|prefix\|recipe\|precision\) /p'
raw()
{
    header=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    range=$(head -c $((8 + header)) "$1" | tail -c "$header" |
        sed -n 's/.*"'"$2"'":{[^}]*"data_offsets":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/p')
    tail -c +$((9 + header + ${range% *})) "$1" | head -c $((${range#* } - ${range% *}))
}
raw saved.safetensors pixels >pixels.rgb
[ "$(wc -c <pixels.rgb)" = $((4 * 56 * 56 * 3)) ] || fail "pixels: $(wc -c <pixels.rgb) bytes"
"$PARE" reduce pixels.rgb --source-size 56x56 --rate 1 $small --window 2 --recipe none -q -o reduced.safetensors >/dev/null
for name in embeds prefix; do
    raw saved.safetensors $name >a
    raw reduced.safetensors $name >b
    cmp a b || fail "$name differs from pare reduce"
done
[ "$(tensor saved.safetensors index d8)" = "$(tensor reduced.safetensors index d4)" ] || fail "index differs"

# No more time inside than outside.
began=$(date +%s%N)
random 6 $small --json >six.json
ended=$(date +%s%N)
jq -e --argjson ms $(((ended - began) / 1000000)) '.images * .ms_per_image_mean <= $ms + 1' six.json >/dev/null ||
    fail "$(cat six.json) in $(((ended - began) / 1000000)) ms"

random 2 $small -j 1 --backend openblas --recipe tome@block --keep .5 | sed -E 's/xxh64 [0-9a-f]{16}$/xxhash/; s/[0-9.]+/N/g; s/ +/ /g'

one_line 2 "bench needs one of --data.*or --random N" random 4 --data .
one_line 2 "--random: 0 is not within 1 and" random 0
one_line 2 "--batch: 0 is not within 1 and" random 4 --batch 0
one_line 2 "--batch 8 exceeds --random 4" random 4 --batch 8
one_line 2 "--batch and --save are for --random" "$PARE" bench --data . --batch 2
for option in --limit=2 --task=photos --fps=2 --journal=j --window=4 --max-side=56 --mask=x.png --selector-cmd=true -ox.md; do
    one_line 2 "of these options only --batch, --save, --recipe, --keep, --seed and --size" random 4 "$option"
done
one_line 2 "takes one --recipe, not 2" random 4 -r tome@block -r none
one_line 2 "'1,.5' is not one number" random 4 -r tome@block --keep 1,.5
one_line 2 "random images: .*keep" random 4 --keep .5
one_line 2 "--save needs the name of a file" random 4 --save -
one_line 2 "multiples of 14" random 4 --size 100x100
one_line 2 "over the limit of 2048 MiB" random 1000000 $small --save x.safetensors
one_line 1 "no/x.safetensors" random 4 --save no/x.safetensors
one_line 5 "none.gguf" random 4 -m none.gguf

# Engines: named, reported, refused.
given="--backend openblas --precision f32"
few="--frames 2 $small --keep .5 $given"
engine='[.backend, .precision]'
random 1 $small $given --json | jq -c "$engine"
"$PARE" reduce "$clip" $few --json -o r.safetensors | jq -c "$engine"
"$PARE" info r.safetensors | sed -nE 's/^(backend|precision) +/\1 /p'
"$PARE" reduce "$clip" $few | grep -o 'openblas f32'
"$PARE" heatmap "$clip" $few --json -o h.mp4 | jq -c "$engine"
"$PARE" compare random@patches spatial-uniform@patches -i "$clip" $few --json | jq -c "$engine"
"$PARE" bench -i "$clip" $few --seeds 1 --rounds 1 --journal journal --json | jq -c ".run | $engine"
"$PARE" bench -i "$clip" $few --seeds 1 --rounds 1 --journal journal | sed -nE '/^- (backend|precision): /p'
one_line 2 'another bench.*machine.engine: "openblas f32" there, "c f32" here' \
    "$PARE" bench -i "$clip" $few --seeds 1 --rounds 1 --journal journal --backend c
for command in "bench --random 1" "bench -i $clip --recipe all" "reduce $clip" "reduce $clip --recipe none" \
    "heatmap $clip -o x.png" "compare random none -i $clip"; do
    one_line 2 "'openblaz'.*did you mean 'openblas'" "$PARE" $command --backend openblaz
    one_line 2 "'int9'.*did you mean 'int8'" "$PARE" $command --precision int9
done
one_line 2 "are encoded: --backend and --precision" "$PARE" compare a.safetensors b.safetensors --precision int8
one_line 2 "unknown option --precision" "$PARE" trace -i "$clip" -o x.safetensors --precision bf16
}
