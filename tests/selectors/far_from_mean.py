# SPDX-License-Identifier: MIT
# A selector in ten lines: pare keeps the tokens farthest from their mean (pare reduce --selector-cmd "python3 far_from_mean.py").
import json
import sys
import numpy as np

while line := sys.stdin.buffer.readline():
    head, array = json.loads(line), {}
    for a in head["arrays"]:
        kind = np.dtype({"i32": "<i4", "i64": "<i8", "f32": "<f4", "u8": "u1"}[a["dtype"]])
        raw = sys.stdin.buffer.read(int(np.prod(a["shape"])) * kind.itemsize)
        array[a["name"]] = np.frombuffer(raw, kind).reshape(a["shape"])
    x = array.get("tokens", array["place"][:, 1:])
    score = np.square(x - x.mean(0)).sum(1).astype("<f4")
    sys.stdout.buffer.write(json.dumps({"scores": len(score)}).encode() + b"\n" + score.tobytes())
    sys.stdout.flush()
