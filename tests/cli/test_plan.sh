# SPDX-License-Identifier: MIT
# --plan against the run that it announces, --two-pass against what was asked, and what both refuse.
. "$CLI_LIB"
run() { "$PARE" reduce "$clip" -m "${model:-$tiny}" --fps 5 --size 112x112 -q --json "$@"; }
same()
{
    planned=$(run --plan "$@" | jq .tokens)
    spent=$(run "$@" | jq .units_out)
    [ "$planned" = "$spent" ] || fail "planned $planned, spent $spent: $*"
}
for budget in "--tokens 300" "--keep .17" "--tokens-per-frame 20"; do
    for recipe in temporal-redundancy@patches topk:score=motion@patches topk@output tome:r=8@block,topk@output; do
        # shellcheck disable=SC2086
        same $budget -r $recipe --window 7
    done
done
expect 0 "" run --plan --tokens 100 | jq -c '[.plan, .tokens, .kv_cells, (.steps | map(.tokens) | add), (.steps | length) == .grid[0]]'
expect 0 "" run --plan --two-pass --tokens 100 | jq -c '[.plan, .tokens, (.steps | map(.tokens) | add), .threshold > 0]'
expect 0 "" run --two-pass --tokens 100 | jq -c '.units_out'
expect 0 "" run --two-pass --tokens 200 -r topk@output --window 4 --min-per-frame 2 | jq -c '.units_out'
# What two passes plan for every step is what the run leaves there, or unknown.
per_step()
{
    run --plan --two-pass "$@" | jq -r '.steps[].tokens' >planned
    run --two-pass "$@" -o two.safetensors >/dev/null
    tensor two.safetensors index d4 | tr -s ' ' '\n' | sed '/^$/d' |
        awk -v n="$(wc -l <planned)" '{ spent[int($1 / 64)]++ } END { for (i = 0; i < n; i++) print spent[i] + 0 }' >spent
    cmp planned spent || fail "$(cat planned spent): $*"
}
per_step --tokens 200 --window 7
per_step --keep .3 -r background@patches
per_step --keep .3 --max-per-frame 30 -r rlt@patches
(model=$SAMPLES/dinov2-small-q8_0.gguf && per_step --tokens 90 -r tome@block) # many blocks
run --plan --two-pass --tokens 200 -r vidcom2@output | jq -c '[.tokens, (.steps | map(.tokens) | unique)]'
one_line 2 'no quality floor' run --two-pass --keep .3 --quality-floor .5 >/dev/null
rm planned spent two.safetensors
expect 0 "" run --plan --keep .5 -r ats@block=1,topk@output | jq -c '[.tokens, .position_ids, .kv_cells]'
"$PARE" reduce "$clip" --end 1 --fps 2 --size 112x112 -q --plan --keep .5 -r random@patches | sed 's#^.*/clip.mp4#clip.mp4#'
one_line 2 'cannot be read twice' sh -c 'exec "$PARE" reduce - --format rgb24 --source-size 8x8 --rate 1 --two-pass </dev/null'
one_line 2 'encodes nothing' "$PARE" reduce "$clip" --plan -o x.npz
one_line 2 'two-pass takes' run --two-pass --tokens-per-frame 3
one_line 2 'have only' run --two-pass --tokens 1000000 >/dev/null
# rate and grid under one budget
auto() { "$PARE" reduce "$clip" -m "$tiny" -q --json "$@"; }
chosen='[.units_out, (.grid == .trade.chosen.grid), (.trade.chosen | .possible), (.trade.candidates | length) > 6]'
expect 0 "" auto --fps auto --size auto --end 2 --tokens 211 | jq -c "$chosen"
expect 0 "" auto --fps auto --size auto --end 2 --tokens 211 --two-pass | jq -c "$chosen"
expect 0 "" auto --fps auto --size 112x112 --tokens 97 --plan | jq -c '[.tokens, .grid[1:], (.trade.candidates | map(.every))]'
expect 0 "" auto --fps 5 --size auto --tokens 97 --plan --two-pass | jq -c '[.tokens, (.grid == .trade.chosen.grid), .trade.why != null]'
one_line 0 'covers' "$PARE" reduce "$clip" --progress none --json --fps auto --size 112x112 --tokens 97 --plan >/dev/null
one_line 2 'cannot be read twice' sh -c 'exec "$PARE" reduce - --format rgb24 --source-size 8x8 --rate 1 --fps auto --tokens 9 </dev/null'
one_line 2 'need --tokens' auto --size auto --keep .5
one_line 2 'exclude each other' auto --fps auto --every 2 --tokens 9
one_line 2 'exclude each other' auto --size auto --max-side 99 --tokens 9
one_line 2 'pare reduce alone' "$PARE" heatmap "$clip" --fps auto -o x.mp4
one_line 2 'the largest have' auto --fps auto --size 112x112 --tokens 100000000 --plan >/dev/null
ls
