# SPDX-License-Identifier: MIT
# A selector in ten lines: pare keeps the tokens farthest from their mean (pare reduce --selector-cmd "python3 corner.py").
import json
import sys
import numpy as np

while line := sys.stdin.buffer.readline():
    head, array = json.loads(line), {}
    for a in head["arrays"]:
        n = int(np.prod(a["shape"])) * {"u8": 1}.get(a["dtype"], 4)
        kind = {"i32": "<i4", "f32": "<f4", "u8": "u1"}[a["dtype"]]
        array[a["name"]] = np.frombuffer(sys.stdin.buffer.read(n), kind).reshape(a["shape"])
    x = array.get("tokens", array["place"][:, 1:])
    score = np.square(x - x.mean(0)).sum(1).astype("<f4")
    sys.stdout.buffer.write(json.dumps({"scores": len(score)}).encode() + b"\n" + score.tobytes())
    sys.stdout.flush()
