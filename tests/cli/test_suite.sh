# SPDX-License-Identifier: MIT
# A suite of three sections: killed in the middle and resumed, repeated, run on one thread, run by two at once, changed,
# on other data, without its data, misspelt.
. "$CLI_LIB"
mkdir -p photos/Golden-Delicious photos/Granny-Smith
photo 0 photos/Golden-Delicious/a.png
photo 1 photos/Golden-Delicious/b.png
photo 2 photos/Granny-Smith/c.png
cp "$clip" clip.mp4
cat >tiny.json <<'END'
{"name": "tiny", "version": 1, "seed": 3, "seeds": 2, "keep": [1, 0.5], "recipes": ["tome", "topk"],
 "sections": [
  {"name": "few", "task": "photos", "data": "photos", "size": "56x56"},
  {"name": "moving", "task": "clips", "input": ["nowhere.mp4", "clip.mp4"], "size": "56x56", "window": "all", "end": 0.5,
   "rounds": 1, "keep": [0.5], "recipes": ["temporal-redundancy", "divprune@output"]},
  {"name": "drawn", "task": "counting", "limit": 2, "train_stride": 24, "keep": [0.5], "recipes": ["tome"]}]}
END
suite() { "$PARE" bench --suite tiny.json --root . "$@"; }
cells() { tail -n +2 "$1" | jq -c '[.s, .r, .i]'; }
# Everything but times and what follows from them.
values() { tail -n +2 "$1/journal.jsonl" | jq -cS '.v |= with_entries(select(.key | test("(^|_)ms$") | not))' | sort; }
numbers()
{
    jq -S '[.run.model, .run.suite, .run.seed, .run.sections, .columns] + [.sections[] | [.name, .task, .primary, .half_keeps] +
        [.rows[] | with_entries(select(.key | test("(^|_)ms_p|speed_up|_to_ideal_|^images_per_s$|^overall$") | not)) |
            .versus |= with_entries(select(.key | endswith("_units"))) | .best |= map(select(test("(^|_)ms$") | not))]]' \
        "$1/report.json"
}

# Killed once some cells are there; while it lives, nobody else may write.
"$PARE" bench --suite tiny.json --root . -q -o out/ >/dev/null 2>killed.txt &
pid=$!
tries=0
until [ "$(cat out/journal.jsonl 2>/dev/null | wc -l)" -gt 12 ] || [ $tries = 1200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -STOP $pid || fail "it ended before it could be killed: $(cat killed.txt)"
one_line 1 "out.*: in use by another bench" suite -q -o out/
kill -KILL $pid
code=0
wait $pid || code=$?
echo "killed: $code"
n=$(wc -l <out/journal.jsonl)
head -n "$n" out/journal.jsonl >before
total=$(head -n 1 before | jq '[.sections[] | (.rows | length) * (.items | length)] | add')
[ "$n" -gt 12 ] && [ "$n" -le "$total" ] || fail "$((n - 1)) of $total cells before it was killed"
printf '{"s":0,"r":' >>out/journal.jsonl

# Resumed: what stood there stands there, and every cell is there once.
expect 0 "" suite -q -o out/
head -n "$n" out/journal.jsonl | cmp - before
[ "$(cells out/journal.jsonl | wc -l)" = "$total" ] || fail "$(cells out/journal.jsonl | wc -l) cells, not $total"
[ -z "$(cells out/journal.jsonl | sort | uniq -d)" ] || fail "cells twice: $(cells out/journal.jsonl | sort | uniq -d)"
ls out
jq -c '.run.sections[] | [.name, .task, .items, .left_out, .frames, .units_per_frame, .random_seeds, .rows]' out/report.json
jq -c '.sections[] | .name as $name | .rows[] | [$name, .recipe, .keep, .units_kept, .saves, .seeds]' out/report.json

# Once more: nothing is run again, nothing differs.
cp out/journal.jsonl whole.jsonl
jq 'del(.run.date, .run.peak_rss_mb)' out/report.json >whole.json
expect 0 "" suite -q -o out/
cmp out/journal.jsonl whole.jsonl
jq 'del(.run.date, .run.peak_rss_mb)' out/report.json | cmp - whole.json

# On one thread and in one go: the same numbers, to the last digit.
expect 0 "" suite -q -j 1 -o one/
values out >out.values
values one | cmp - out.values
numbers out >out.numbers
numbers one | cmp - out.numbers
[ "$(wc -l <out.values)" = "$total" ] && [ "$(jq length out.numbers)" = 8 ] || fail "too little was compared"
one_line 2 "out.*: is the journal of another bench, name another folder; machine.threads: 0 there, 1 here" suite -q -j 1 -o out/

# Another suite, other data.
jq '.sections[2].limit = 1' tiny.json >other.json
one_line 2 "another bench, name another folder; sections\[2\].ask.limit: 2 there, 1 here" \
    "$PARE" bench --suite other.json --root . -q -o out/
jq '.recipes = ["tome"]' tiny.json >other.json
one_line 2 "another bench, name another folder; sections\[0\].rows" "$PARE" bench --suite other.json --root . -q -o out/
echo more >>clip.mp4
one_line 2 "another bench, name another folder; sections\[1\].ask.inputs\[0\].file: .clip.mp4 [0-9a-f]{16}. there" suite -q -o out/
jq '.sections[1].xxh3 = {"input": "0123456789abcdef"}' tiny.json >other.json
one_line 4 "clip.mp4: not the data of other.json: xxh3-64 [0-9a-f]{16}, the suite has 0123456789abcdef" \
    "$PARE" bench --suite other.json --root .
cmp out/journal.jsonl whole.jsonl
one_line 2 "journal.jsonl: is no journal of a bench" sh -c 'mkdir bad && echo text >bad/journal.jsonl && "$PARE" bench --suite tiny.json --root . -o bad/'

# Data that are not there are left out and said; without any there is nothing to do.
mv clip.mp4 hidden
jq '.sections = [.sections[1], .sections[2]]' tiny.json >other.json
expect 3 "left out section moving: nowhere.mp4 is not under any --root" "$PARE" bench --suite other.json --root . -q -o part/
jq -c '[.sections[].name]' part/report.json
jq '.sections = [.sections[1]]' tiny.json >other.json
expect 4 "none of its data is here: name the folder with --root" "$PARE" bench --suite other.json -o none/
one_line 4 "no suite is called nosuch: v1 ships with pare, a file of your own ends in .json" "$PARE" bench --suite nosuch
one_line 4 "no/such.json: cannot be read" "$PARE" bench --suite no/such.json
mv hidden clip.mp4

# The suite that ships with pare: what it lacks is said at once.
"$PARE" bench --suite v1 -q >/dev/null 2>v1.txt &
pid=$!
tries=0
until [ "$(grep -c 'left out section' v1.txt)" = 3 ] || [ $tries = 600 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -TERM $pid
code=0
wait $pid || code=$?
echo "v1: $code"
grep -o 'left out section.*' v1.txt

# Typos: the file and the key are named before anything is run.
typo() { # PATTERN FILTER
    jq "$2" tiny.json >typo.json
    one_line 2 "typo.json: $1" "$PARE" bench --suite typo.json --root .
}
typo 'recipe: no such key is known' '.recipe = .recipes'
typo 'few: strid: no such key is known' '.sections[0].strid = 2'
typo 'few: xxh3.dta: no such key is known' '.sections[0].xxh3 = {"dta": "0123456789abcdef"}'
typo 'few: task: must be one of photos, clips' '.sections[0].task = "photo"'
typo 'few: stride: must be a whole number from 1' '.sections[0].stride = 0'
typo 'few: size: must be "WIDTHxHEIGHT"' '.sections[0].size = "112"'
typo 'few: keep: must be a list of numbers above 0 and at most 1' '.sections[0].keep = [2]'
typo 'few: recipes: must be a list of recipes' 'del(.recipes)'
typo 'few: seeds: must be a whole number from 1 to 1000' 'del(.seeds)'
typo 'drawn: window: must be "all" or a number' '.sections[2].window = "many"'
typo 'few: name: must be unique' '.sections[2].name = "few"'
typo 'version: must be a whole number from 1 to 1' '.version = 2'
typo 'sections: must be a list' '.sections = {}'
echo '{"name": "cut",' >typo.json
one_line 2 "typo.json: line 2: " "$PARE" bench --suite typo.json
