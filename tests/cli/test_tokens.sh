# SPDX-License-Identifier: MIT
# Features in, fewer features out: a hand-made file of 8 tokens of width 2 on a 2 x 2 x 2 grid.
. "$CLI_LIB"
header='{"tokens":{"dtype":"F32","shape":[8,2],"data_offsets":[0,64]},"grid_thw":{"dtype":"I32","shape":[3],"data_offsets":[64,76]}}'
{
    length ${#header}
    printf %s "$header"
    for _ in 1 2 3 4; do one; one; two; one; done
    for _ in 1 2 3; do printf '\002\000\000\000'; done
} >feats.safetensors
expect 0 "" "$PARE" tokens feats.safetensors --recipe random@output --tokens 4 -o kept.safetensors
"$PARE" info kept.safetensors | grep -E '^(embeds|place|recipe|seed)'
expect 0 "" "$PARE" tokens feats.safetensors --recipe pool@output --keep .25 --json
expect 0 "" "$PARE" tokens feats.safetensors --recipe topk:score=norm@output --keep .5 --json
one_line 2 "pixels" "$PARE" tokens feats.safetensors --recipe topk:score=motion@patches --keep .5
"$PARE" tokens feats.safetensors --recipe random@output --tokens 4 -o - >stdout.safetensors
cmp stdout.safetensors kept.safetensors
one_line 2 "both want standard output" "$PARE" tokens feats.safetensors --recipe none -o - --json
one_line 2 "-o feats.safetensors is the input" "$PARE" tokens feats.safetensors --recipe none -o feats.safetensors
one_line 2 "." "$PARE" tokens feats.safetensors --recipe topk:score=cls-attn@output --keep .5
one_line 4 "missing" "$PARE" tokens missing.safetensors --recipe none
one_line 4 "." "$PARE" tokens kept.npz --recipe none
