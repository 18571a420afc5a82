# SPDX-License-Identifier: MIT
# --motion: still blocks are counted, the score reads vectors; input that tells none says so and is reduced by its pixels.
. "$CLI_LIB"
run()
{
    "$PARE" reduce "$1" -m "$SAMPLES/dinov2-small-q8_0.gguf" --threads 1 --size 112x112 --keep .1 --json \
        --recipe topk:score=codec:alloc=motion@patches -o out.safetensors $2
}

expect 0 "" run "$clip" "--motion --frames 5" >told.json
value frames <told.json
[ "$(value n_block <told.json)" -gt 0 ] || fail "no blocks: $(cat told.json)"
[ "$(value n_still <told.json)" -gt 0 ] || fail "none is still: $(cat told.json)"
value units_out <told.json

# Uncompressed frames tell none.
{
    printf 'YUV4MPEG2 W64 H48 F5:1 Ip A1:1 C420jpeg\n'
    for i in 0 1 2; do
        printf 'FRAME\n'
        tail -c +$((1 + 4608 * i)) "$clip" | head -c 4608
    done
} >noise.y4m
expect 0 "tells no motion, pixels are compared instead" run noise.y4m --motion >none.json
grep -q n_block none.json && fail "blocks of frames that tell none: $(cat none.json)"
value frames <none.json
