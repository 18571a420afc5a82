# SPDX-License-Identifier: MIT
# The tables: every kind prints, every entry shows itself, text and JSON name the same things.
. "$CLI_LIB"
for kind in methods scores allocators selectors families backends writers metrics llms consumers; do
    expect 0 "" "$PARE" list $kind | head -n 1
    expect 0 "" "$PARE" list $kind --json | jq -r .name >json_names
    "$PARE" list $kind | sed -n 's/^  \([^ ]*\) .*/\1/p' | cmp - json_names
    while read -r name; do
        expect 0 "" "$PARE" list "$name" | grep -q "^$name ($kind)" || fail "$name"
    done <json_names
done
expect 0 "" "$PARE" list selectors random | grep '^[a-z].*('
expect 1 "standard output" sh -c '"$PARE" --help >/dev/full'
"$PARE" list topk mctf | grep -E 'common|tau_info'
"$PARE" list selectors --json | jq -c 'select(.name == "tome") | .options[] | select(.name == "r") | .type'
"$PARE" list selectors | grep -cE '^  (none|random|spatial-uniform|temporal-redundancy|topk|pool|tome) '
"$PARE" list cover_chebyshev_max_patches
"$PARE" list metrics --json | jq -r '"\(.name) \(.unit) \(.better) \(.formula | length > 0) \(.cite | length > 0)"' |
    awk '$1 !~ "_" $2 "$" || $3 !~ /^(-1|0|1)$/ || $4 != "true" || $5 != "true"'
