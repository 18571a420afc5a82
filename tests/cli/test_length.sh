# SPDX-License-Identifier: MIT
# Memory does not grow with a stream: an hour of frames through stdin into a file takes at most 1.05 times what a minute takes.
. "$CLI_LIB"
model=$PARE_FIXTURES/golden/models/dinov2-base
[ -n "$PARE_FIXTURES" ] && [ -d "$model" ] || exit 77

# Five frames a second of 64 x 48: a minute is written once, an hour is that sixty times.
head -c 46080 "$SAMPLES/clip.mp4" >noise
for i in 0 1 2 3 4 5 6 7 8 9; do
    printf 'FRAME\n'
    tail -c +$((1 + 4608 * i)) noise | head -c 4608
done >ten
for i in $(seq 30); do cat ten; done >minute
stream()
{
    printf 'YUV4MPEG2 W64 H48 F5:1 Ip A1:1 C420jpeg\n'
    for i in $(seq "$1"); do cat minute; done
}
measure()
{
    stream "$1" | expect 0 "" "$PARE" reduce - -m "$model" --threads 2 --size 28x28 --keep .5 \
        --recipe temporal-redundancy@patches --json -o "$1.safetensors" >"$1.json"
    value frames <"$1.json"
}
measure 1
measure 60
short=$(value peak_rss_mb <1.json) long=$(value peak_rss_mb <60.json)
awk -v a="$short" -v b="$long" 'BEGIN { exit !(a > 1 && b <= 1.05 * a) }' ||
    fail "a minute takes $short MB, an hour $long MB"
