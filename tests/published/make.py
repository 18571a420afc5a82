#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Published checkpoints without their weights: directories with the configuration files of the hub and safetensors of the
right names and shapes that hold nothing but zeros (a header and a hole: the files take no room on the disk).

    make.py NAME DIR     writes one into DIR (made if need be); without DIR: prints what there is
Only Python's own library is needed. What is published stands in encoders.json and multimodal.json, written by hand from the
repositories that `of` names: keys that say nothing about what this library reads are left out. What follows from it (names
and shapes of tensors, counts) is in facts.json, made by reference.py with transformers and timm. README.md tells the sources.

Keys of a model besides its files:
  labels     so many entries are made in id2label
  pinpoints  image_grid_pinpoints are all 1 .. 6 by 1 .. 6 multiples of this, in both files
  shards     two files and an index: what is read in the first, the rest in the second
  class, timm, names, tower, unread, clip, cut: see reference.py"""
import json
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ITEM = 4  # bytes of a number: F32, so that nothing has to be converted


def load(name):
    with open(os.path.join(HERE, name)) as f:
        return json.load(f)


def models():
    return {**load("encoders.json"), **load("multimodal.json")}


def files_of(model):
    """{file name: content} as published, with what is written short here spelled out."""
    out = {key: json.loads(json.dumps(value)) for key, value in model.items() if key.endswith(".json")}
    if "labels" in model:
        out["config.json"]["id2label"] = {str(i): f"LABEL_{i}" for i in range(model["labels"])}
    if "pinpoints" in model:
        side = model["pinpoints"]
        points = [[side * i, side * j] for i in range(1, 7) for j in range(1, 7)]
        for name in ("config.json", "preprocessor_config.json"):
            out[name]["image_grid_pinpoints"] = points
    return out


def write_files(model, folder):
    os.makedirs(folder, exist_ok=True)
    for name, content in files_of(model).items():
        with open(os.path.join(folder, name), "w") as f:
            json.dump(content, f, indent=1)


def expand(names):
    """{"blocks.{0..3}.w": shape} -> {"blocks.0.w": shape, ...}"""
    out = {}
    for name, shape in names.items():
        found = re.search(r"\{(\d+)\.\.(\d+)\}", name)
        if found is None:
            out[name] = shape
            continue
        for i in range(int(found[1]), int(found[2]) + 1):
            out.update(expand({name[: found.start()] + str(i) + name[found.end() :]: shape}))
    return out


def count(shape):
    n = 1
    for side in shape:
        n *= side
    return n


def write_zeros(path, tensors):
    """A safetensors file: header, then a hole."""
    at, header = 0, {"__metadata__": {"format": "pt"}}
    for name, shape in tensors.items():
        size = ITEM * count(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + at)


def write_shards(folder, parts):
    index = {"metadata": {"total_size": sum(ITEM * count(s) for p in parts for s in p.values())}, "weight_map": {}}
    for i, part in enumerate(parts):
        name = f"model-{i + 1:05}-of-{len(parts):05}.safetensors"
        write_zeros(os.path.join(folder, name), part)
        index["weight_map"].update({tensor: name for tensor in part})
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump(index, f)


def write_checkpoint(model, facts, folder):
    write_files(model, folder)
    read, left = expand(facts["tensors"]), expand(facts["left"])
    if model.get("shards"):
        write_shards(folder, [read, left])
        return
    name = "open_clip_model.safetensors" if "open_clip_config.json" in model else "model.safetensors"
    write_zeros(os.path.join(folder, name), {**read, **left})


def main():
    if len(sys.argv) == 1:
        for name, model in models().items():
            print(f"{name:34} {model['of']}")
        return 0
    if len(sys.argv) != 3 or sys.argv[1] not in models():
        print("make.py [NAME DIR]", file=sys.stderr)
        return 2
    write_checkpoint(models()[sys.argv[1]], load("facts.json")["models"][sys.argv[1]], sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
