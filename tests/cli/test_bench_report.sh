# SPDX-License-Identifier: MIT
# All formats of one bench in a folder: what they hold, and that they agree; the JSON one is a document of its schema.
. "$CLI_LIB"
root=$(dirname "$CLI_LIB")/../..
mkdir -p data/a data/b
photo 0 data/a/0.png
photo 2 data/b/2.png
printf 'path,label\na/0.png,0\nb/2.png,1\n' >data/labels.csv
"$PARE" bench --size 56x56 --data data/labels.csv --keep .5 --seeds 2 --recipe tome@block --recipe divprune@output -o out/
ls out
jq -c '.schema_version, (.rows == .sections[0].rows), (.run.sections[] | [.name, .items, .frames, .units_per_frame])' out/report.json
jq -c '.rows[] | [.recipe, .keep, .units_kept, .saves, .seeds]' out/report.json
# Nothing that reads the CLS token speaks of a line that only saves prefill.
jq -c '[.columns[] | select(.reads_cls).key] as $cls | [.rows[] | select(.saves == "prefill") | .[$cls[]]] | unique' out/report.json
grep '^"' out/report.csv | cut -d, -f1,2,3,4,6
[ "$(grep -c '^"' out/report.csv)" = "$(jq '.rows | length' out/report.json)" ] || fail "CSV and JSON differ in lines"
grep '^##* ' out/report.md
for file in out/*; do
    if grep -Eiq '[^a-z](nan|inf)[^a-z]' "$file"; then fail "a number that is none in $file"; fi
done
grep -c '^.begin{tabular}' out/report.tex
grep -o '<polyline' out/pareto.svg | wc -l
code=0
sh "$root/tests/check_schema.sh" "$root/tools/suite/bench.schema.json" cat out/report.json >schema.txt || code=$?
[ "$code" = 0 ] || [ "$code" = 77 ] || fail "not a document of the schema"
expect 1 'cannot write' "$PARE" bench --size 56x56 --data data/labels.csv --keep .5 --seeds 1 -o /dev/null/x/
