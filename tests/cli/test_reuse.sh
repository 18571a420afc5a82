# SPDX-License-Identifier: MIT
# Reuse across frames: rows of each mode, steps encoded whole, units computed; what is refused.
. "$CLI_LIB"
run() { "$PARE" reduce "$clip" -m "$tiny" --end .48 --size 112x112 --json "$@"; }
one_line 2 "--reuse: 'all' is not none, context or complete" run --reuse all
one_line 2 "--reference goes with --reuse" run --reference 4
photo 0 still.png
one_line 2 "not for photos" "$PARE" reduce --size 112x112 --recipe stride@patches --reuse context still.png
one_line 2 "acts at 'patches'" "$PARE" reduce "$clip" -m "$tiny" --recipe vidcom2@output --keep .5 --reuse context
expect 1 "acts inside blocks" run --recipe tome@block --keep .5 --reuse complete >/dev/null
for mode in none context complete; do
    expect 0 "" run --recipe stride@patches --keep .25 --reuse $mode | jq -c '[.units_in, .units_out, .reuse]'
done
expect 0 "" run --recipe stride@patches --keep .25 --reuse complete --reference 2 | jq -c '[.units_out, .reuse]'
"$PARE" reduce "$clip" --end .16 --size 112x112 --keep .25 --recipe stride@patches --reuse context | sed -n '/^  reuse/s/  */ /gp'
