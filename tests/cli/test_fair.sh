# SPDX-License-Identifier: MIT
# What a table must not let pass, on real runs: chance that wins, more units than asked, a selector that never looks; and
# data with nothing in it. (That lines over their amount win nothing is tested on made-up cells: no recipe gets there.)
. "$CLI_LIB"
python3 -c '' 2>/dev/null || exit 77
left_half="python3 $(dirname "$CLI_LIB")/../selectors/left_half.py"
still()
{
    "$PARE" heatmap "$clip" --start "$1" --at "$1" --end "$2" --size 56x56 --keep 1 --recipe none -q -o "$3" >/dev/null
}
mkdir photos
set --
for t in 0 1 2 3 4 5 6 7 8; do
    still $t $t.05 photos/$t.png
    set -- "$@" -i photos/$t.png
done
for t in 0 2 4; do
    still $t.5 $t.55 photos/$t-5.png
    set -- "$@" -i photos/$t-5.png
done
"$PARE" bench --size 112x112 --keep .06 --time-stride 12 "$@" --selector-cmd "$left_half" --recipe custom:needs=none@output \
    --recipe topk:k=40@output --recipe divprune@output -q -o fair/
check()
{
    jq -e 'def row($r): .rows[] | select(.recipe == $r);
        def left: row("custom:needs=none@output"); def uniform: row("spatial-uniform@output");
        '"$2" "$1/report.json" >/dev/null || fail "$2"
}
jq -c '.rows[] | select(.saves == "prefill") | [.recipe, .keep, .units_kept, .seeds, .items, .items_timed, .flags]' fair/report.json
jq -c '.sections[0] | [.primary, .primary_prefill]' fair/report.json

# Chance wins nothing, while somebody else does.
check fair '[.rows[] | select(.recipe | startswith("random@"))] | length == 2 and
    all(.[]; .best == [] and .overall != "wins" and all(.versus[]; .verdict != "wins"))'
check fair '[.rows[] | select(.saves == "prefill") | .best[]] | length > 0'
check fair '[.rows[] | select(.saves == "prefill") | .versus.random_units.verdict] | index("wins") != null'

# An amount of its own, listed where 4 of 64 are asked: said so, held against others at 40 units, best of nothing.
check fair '.rows[] | select(.recipe == "topk:k=40@output") | .keep == null and .units_asked == null and .flags == ["own"] and
    .best == [] and .versus.uniform_units.verdict != null'
grep '^| topk:k=40@output' fair/report.md | head -n 1 | grep -q '| *own |$' || fail "own amount not marked"
# A program that keeps more than asked is refused.
cat >greedy.sh <<'SH'
IFS= read -r line
head -c $(($(echo "$line" | sed 's/.*"n":\([0-9]*\).*/\1/') * 16)) >/dev/null
printf '{"indices":5}\n'
head -c 20 /dev/zero
SH
expect 1 "5 rows, 4 were asked of 64" "$PARE" bench --size 112x112 --keep .06 -i photos/0.png --seeds 1 \
    --selector-cmd "sh greedy.sh" --recipe custom:needs=none@output -q

# The left half: large holes, empty quarters, bound to the columns, deaf to the mirror and to a picture of nothing.
"$PARE" bench --size 112x112 --keep .5 --seeds 1 -i photos/0.png -i photos/4.png -i photos/8.png \
    --selector-cmd "$left_half" --recipe custom:needs=none@output -q -o half/
check half 'left.largest_empty_square_patches >= 4 and left.largest_empty_square_patches > uniform.largest_empty_square_patches'
check half 'left.quadrant_entropy_ratio < 0.51 and uniform.quadrant_entropy_ratio > 0.95'
check half 'left.l2star_to_random_ratio > 2 * uniform.l2star_to_random_ratio'
check half 'left.spearman_col_rho < -0.8 and (uniform.spearman_col_rho | fabs) < 0.2'
check half 'left.flip_rho < -0.99 and uniform.flip_rho > -0.5'
check half 'left.blank_rho > 0.99'
check half 'left.cover_chebyshev_max_patches > 2 * uniform.cover_chebyshev_max_patches'
check fair 'left.best == [] and left.overall == "loses" and (uniform.best | index("l2star_to_random_ratio") != null)'

clean()
{
    for file in "$1"/*; do
        if grep -Eiq '(^|[^a-z])(nan|inf)([^a-z]|$)' "$file"; then fail "a number that is none in $file"; fi
    done
}
clean fair
clean half

# One colour, a class that nobody knows, a photo that is not there; one unit left, and none of them.
mkdir odd train train/Golden-Delicious
cp photos/0.png odd/a.png
cp photos/1.png odd/b.png
cp photos/2.png photos/3.png train/Golden-Delicious
{ printf 'P6\n112 112\n255\n' && head -c 37632 /dev/zero; } >odd/black.ppm
printf 'path,label\na.png,Golden-Delicious\nblack.ppm,Golden-Delicious\nb.png,unicorn\ngone.png,Golden-Delicious\n' >odd/labels.csv
odd() { "$PARE" bench --size 112x112 --seeds 1 -q --recipe tome@block --recipe divprune@output --recipe prumerge@output "$@"; }
expect 3 "left out: odd/gone.png" odd --data odd/labels.csv --train train --keep .016 -o odd-out/
grep -q "1 of 4 labels are no class of the model, the first is 'unicorn' of odd/b.png" stderr.txt || fail "$(cat stderr.txt)"
grep -q "train: no photo of 'unicorn'" stderr.txt || fail "$(cat stderr.txt)"
jq -c '.run.photos, (.rows[] | [.recipe, .keep, .units_kept, .items, .flags])' odd-out/report.json
clean odd-out
printf 'path,label\na.png,unicorn\nblack.ppm,\n' >odd/none.csv
expect 2 "recipe, budget and mask leave none of the 64 units" odd --data odd/labels.csv --keep .004
expect 0 "no label can be used: agreement with the full run decides" odd --data odd/none.csv --keep .5 -o none-out/
clean none-out
one_line 4 "gone.csv: No such file" odd --data gone.csv
mkdir empty
one_line 4 "empty: no photos" odd --data empty
printf 'path,label\ngone.png,1\n' >odd/gone.csv
expect 4 "left out: odd/gone.png" odd --data odd/gone.csv
: >empty.txt
expect 0 "empty.txt: no boxes: their columns are n/a" "$PARE" bench -i "$clip" --end .3 --size 56x56 --keep .5 --seeds 1 \
    --rounds 1 --boxes empty.txt -q -o boxes-out/
jq -c '[.sections[0].primary, .rows[0].box_kept_percent]' boxes-out/report.json
clean boxes-out
