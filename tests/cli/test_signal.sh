# SPDX-License-Identifier: MIT
# An interrupt publishes what was decided so far as a valid file marked incomplete, and exits with 130.
. "$CLI_LIB"
feed()
{
    printf 'YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n'
    for _ in 1 2 3; do
        printf 'FRAME\n'
        head -c 4608 /dev/zero
    done
    exec sleep 60
}
mkfifo pipe
feed >pipe &
feeder=$!
"$PARE" reduce - --size 112x84 --recipe random@patches --keep .5 --json -o cut.safetensors --progress json \
    <pipe >line.json 2>stderr.txt &
pid=$!
tries=0
until grep -q progress stderr.txt || [ $tries = 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
sleep 0.5
kill -TERM $pid
code=0
wait $pid || code=$?
kill $feeder
echo "exit $code"
jq -c '[.frames, .complete]' line.json
"$PARE" info cut.safetensors | grep '^complete'

# A signal while the input is still being opened, and a hang-up.
for signal in INT HUP; do
    mkfifo never.$signal
    env --default-signal=$signal "$PARE" reduce never.$signal --format y4m --size 112x84 2>stderr.txt &
    pid=$!
    sleep 1
    kill -$signal $pid
    code=0
    wait $pid || code=$?
    echo "$signal $code"
done
