# SPDX-License-Identifier: MIT
# The ten-line numpy selector beside the built-in ones, numpy's own files, and a check of what it kept.
. "$CLI_LIB"
python3 -c 'import numpy' 2>/dev/null || exit 77
numpy_selector="python3 $(dirname "$CLI_LIB")/../selectors/far_from_mean.py"
"$PARE" reduce "$clip" --frames 2 --size 56x56 -q --recipe none -o all.safetensors >report.txt
"$PARE" reduce "$clip" --frames 2 --size 56x56 -q --selector-cmd "$numpy_selector" --keep .25 -o far.safetensors >report.txt
python3 - <<'END'
import json, numpy as np
def load(path):
    raw = open(path, "rb").read()
    n = int.from_bytes(raw[:8], "little")
    kinds = {"F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "u1", "F64": "<f8"}
    head = {k: v for k, v in json.loads(raw[8:8 + n]).items() if k != "__metadata__"}
    return {k: np.frombuffer(raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]], kinds[v["dtype"]])
            .reshape(v["shape"]) for k, v in head.items()}
x, kept, want = load("all.safetensors")["embeds"].reshape(2, 16, -1), load("far.safetensors")["index"], []
for t in range(2):
    score = np.square(x[t] - x[t].mean(0)).sum(1)
    want += [16 * t + i for i in np.sort(np.argsort(-score, kind="stable")[:4])]
print("farthest from the mean:", want == kept.tolist())
grid = np.zeros((2, 4, 4), bool)
grid[:, 0, 0] = True
np.save("mask.npy", grid)
np.savez("feats.npz", tokens=x.reshape(32, -1).astype("f8"), scores=np.arange(32.0), grid_thw=np.array([2, 4, 4]))
np.savez_compressed("packed.npz", tokens=x[0])
np.save("fortran.npy", np.asfortranarray(np.zeros((4, 4))))
END
"$PARE" bench -i "$clip" --frames 2 --size 56x56 --keep .25 --rounds 1 --recipe pool@output --recipe custom --selector-cmd "$numpy_selector" --json |
    jq -c '.rows[-2:][] | [.recipe, .units_kept]'
"$PARE" heatmap "$clip" --frames 2 --size 56x56 --keep .25 --selector-cmd "$numpy_selector" --json -o far.png | value recipe
"$PARE" reduce "$clip" --frames 2 --size 56x56 --recipe custom-window@patches --selector-cmd "$numpy_selector" --keep .25 --json |
    jq -c '[.units_out, .recipe]'
"$PARE" reduce "$clip" --frames 2 --size 56x56 -q --mask mask.npy --selector-cmd "$numpy_selector" --keep .125 -o masked.safetensors >report.txt
tensor masked.safetensors index d4 | grep -c '^ 0 .* 16 '
"$PARE" tokens feats.npz --recipe topk:score=given@output --tokens 3 -o top.safetensors >/dev/null
tensor top.safetensors index d4
"$PARE" tokens feats.npz --selector-cmd "$numpy_selector" --keep .25 --json | value units_out
one_line 4 "packed.npz: 'tokens.npy' is compressed; save with numpy.savez" "$PARE" tokens packed.npz --recipe none
one_line 4 'fortran.npy: Fortran order' "$PARE" reduce "$clip" --scores fortran.npy
