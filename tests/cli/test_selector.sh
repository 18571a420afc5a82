# SPDX-License-Identifier: MIT
# --selector-cmd: a program decides. first.sh answers once and is started again; its kept rows equal those of --map.
. "$CLI_LIB"
run() { "$PARE" reduce "$clip" --frames 2 --size 56x56 -q "$@" >report.txt; }
cat >first.sh <<'END'
IFS= read -r line
number() { echo "$line" | sed 's/.*"'$1'":\([-0-9]*\).*/\1/'; }
echo "$line" >>requests
head -c $(($(number n) * 16)) >/dev/null
k=$(number k)
printf '{"indices":%d}\n' "$k"
while [ "$k" -gt 0 ]; do
    k=$((k - 1))
    printf "\\$(printf %03o $k)\\000\\000\\000"
done
END
run --selector-cmd "sh first.sh" --recipe custom:needs=none@output --keep .125 -o first.safetensors
tensor first.safetensors index d4
cat requests
{ safetensors '{"keep":{"dtype":"I32","shape":[4],"data_offsets":[0,16]}}' && i32 0 1 16 17; } >keep.safetensors
run --map keep.safetensors --recipe custom@output -o map.safetensors
[ "$(tensor map.safetensors embeds f4)" = "$(tensor first.safetensors embeds f4)" ] || fail "program and map differ"
rm requests
run --selector-cmd "sh first.sh" --recipe custom-window:needs=none@patches --keep .125 -o window.safetensors
tensor window.safetensors index d4
run --selector-cmd "sh first.sh" --recipe custom:needs=none@block=3,custom:needs=none:keep=.5@output --keep .125 --json -o two.safetensors
jq -c '[.units_out, .recipe]' report.txt
sed 's/,"arrays.*//' requests
"$PARE" heatmap "$clip" --frames 2 --size 56x56 --keep .5 --recipe custom:needs=none --selector-cmd "sh first.sh" --json -o map.png | value pictures

one_line 1 "selector command 'sh -c \"exit 3\"' exited with status 3 without a reply" run --selector-cmd 'sh -c "exit 3"' -o x.safetensors
expect 1 "exited with status 127 without a reply" run --selector-cmd "./nothing here" -o x.safetensors
one_line 1 "exited with status 7 without a reply" run --selector-cmd 'CODE=7; exit $CODE' -o x.safetensors
one_line 2 "is for a step custom or custom-window, which --recipe tome lacks" run --selector-cmd true --recipe tome
one_line 2 "--map is for a step custom" run --map x.safetensors --recipe tome
one_line 1 "'hello' is not" run --selector-cmd "echo hello" -o x.safetensors
one_line 1 "7 rows, 4 were asked of 16" run --selector-cmd "echo '{\"indices\":7}'" -o x.safetensors
one_line 1 "no reply within 0.3 s" run --selector-cmd "sleep 30" --selector-timeout .3 -o x.safetensors
one_line 2 "needs=: no array 'tokns'; did you mean 'tokens'" run --selector-cmd true --recipe custom:needs=tokns -o x.safetensors
one_line 2 "is for --selector-cmd" run --selector-timeout 3
# An interrupt ends a program that hangs, and nothing is left of either.
env --default-signal=INT "$PARE" reduce "$clip" --frames 2 --size 56x56 -q --selector-cmd "sh -c 'touch started; sleep 100'" \
    -o x.safetensors 2>stderr.txt >report.txt &
pid=$!
tries=0
until [ -e started ] || [ $tries = 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -INT $pid
code=0
wait $pid || code=$?
echo "interrupted: $code"
[ ! -e x.safetensors ] || fail "a file of a failed run"
[ -z "$(find . -name '.*' -type f)" ] || fail "left behind: $(ls -a)"
