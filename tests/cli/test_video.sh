# SPDX-License-Identifier: MIT
# A score that looks at the whole clip, under a selector that sees one frame at a time: four frames of 2 x 2 tokens of
# width 4, thirteen usual tokens and then three odd ones. In the last frame the usual token is the exception, in the
# clip the odd ones are, and one of those must stay: 8, 8 are in the output.
. "$CLI_LIB"
header='{"tokens":{"dtype":"F32","shape":[16,4],"data_offsets":[0,256]},"grid_thw":{"dtype":"I32","shape":[3],"data_offsets":[256,268]}}'
eight() { printf '\000\000\000A'; }
usual() { one; two; one; one; }
odd() { two; one; eight; eight; }
{
    length ${#header}
    printf %s "$header"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13; do usual; done
    for _ in 1 2 3; do odd; done
    printf '\004\000\000\000\002\000\000\000\002\000\000\000'
} >frames.safetensors
for recipe in topk:score=vidcom2@output vidcom2 topk:score=vidcom2:alloc=vidcom2@output; do
    "$PARE" tokens frames.safetensors --recipe $recipe --tokens 4 -q -o kept.safetensors
    od -An -v -tx1 kept.safetensors | tr -d ' \n' | grep -o 000000410000004100 | wc -l
done
