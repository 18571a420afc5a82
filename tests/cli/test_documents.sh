# SPDX-License-Identifier: MIT
# Pages made on the fly: without reduction at least 80 % of the numbers are read and three quarters of the objects counted;
# small runs give a value for every cell; sizes without room are refused.
. "$CLI_LIB"
expect 0 "" "$PARE" bench --task documents --keep 1 -q -o all.json
jq -c '.sections[0] | [.task, .primary]' all.json
jq -e '.sections[0].rows[0] | .recipe == "none" and .numbers_percent >= 80' all.json >/dev/null ||
    fail "numbers are not legible"
expect 0 "" "$PARE" bench --task counting --keep 1 -q -o count.json
jq -e '.sections[0].rows[0] | .recipe == "none" and .counted_percent >= 75' count.json >/dev/null ||
    fail "objects cannot be counted"
expect 0 "" "$PARE" bench --task documents --keep 1,.02 --limit 2 --train-stride 16 --seeds 1 -r random@output -q -o few.csv
[ "$(grep -ci nan few.csv)" = 0 ] || fail "NaN in a table"
one_line 2 "multiples of 14" "$PARE" bench --task documents --size 60x60
one_line 2 "70x42 has no room" "$PARE" bench --task documents --size 70x42
