# SPDX-License-Identifier: MIT
# A selector that never looks: the leftmost tokens stay, whatever they show. A bench is to find it out.
import json
import math
import struct
import sys

SIZE = {"i32": 4, "i64": 8, "f32": 4, "u8": 1}
while line := sys.stdin.buffer.readline():
    head, array = json.loads(line), {}
    for a in head["arrays"]:
        array[a["name"]] = sys.stdin.buffer.read(math.prod(a["shape"]) * SIZE[a["dtype"]])
    col = [place[2] for place in struct.iter_unpack("<3i", array["place"])]
    k = head["k"] if head["k"] >= 0 else len(col) // 2
    keep = sorted(sorted(range(len(col)), key=col.__getitem__)[:k])
    sys.stdout.buffer.write(json.dumps({"indices": k}).encode() + b"\n" + struct.pack(f"<{k}i", *keep))
    sys.stdout.flush()
