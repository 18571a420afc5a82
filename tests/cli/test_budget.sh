# SPDX-License-Identifier: MIT
# Budgets at their limits: below the floor, above N, and recipes that fix their own amounts.
. "$CLI_LIB"
run() { "$PARE" reduce "$clip" --frames 2 --size 112x112 --json "$@"; }
one_line 2 "min-per-frame 9 exceeds --tokens-per-frame 4" run --tokens-per-frame 4 --min-per-frame 9 >/dev/null
one_line 2 "only 128 units" run --tokens 129 --recipe random@patches >/dev/null
one_line 2 "below the floor of 3" run --keep .01 --min-per-frame 3 --recipe random@patches >/dev/null
expect 0 "" run --tokens 128 --recipe random@patches | jq -c '[.units_in, .units_out]'
expect 0 "" run --tokens 6 --min-per-frame 3 --recipe random@patches | jq -c '[.units_in, .units_out]'
expect 0 "" run --recipe tome:r=2@block | jq -c '[.units_in, .units_out]'
one_line 2 "." run --recipe tome:r=2@block --keep .5 >/dev/null
one_line 2 "." run --recipe random:keep=.5@patches --tokens 7 >/dev/null
ls
