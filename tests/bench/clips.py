# SPDX-License-Identifier: MIT
"""What person.py, pan.py and gestures.py share: results of pare as arrays, pictures of a clip, boxes as patches, and a
checkpoint of one small random block for runs that only ask which units are kept. Needs numpy, pictures() ffmpeg."""
import json
import os
import struct
import subprocess
import sys

import numpy as np

TYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "u1", "BOOL": "u1"}


def tensors(path):
    """Arrays of a safetensors file, mapped."""
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
    data = np.memmap(path, np.uint8, "r", offset=8 + n)
    header.pop("__metadata__", None)
    return {k: data[t["data_offsets"][0]:t["data_offsets"][1]].view(TYPES[t["dtype"]]).reshape(t["shape"])
            for k, t in header.items()}


def reduce(pare, clip, out, *options):
    """Runs `pare reduce` and returns its report and its arrays."""
    command = [pare, "reduce", *clip, "-q", "--json", "-o", out, *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1]), tensors(out)


def kept_mask(result, shape):
    """[steps, rows, cols] which units have a row."""
    mask = np.zeros(shape, bool)
    place = result["place"]
    mask[place[:, 2], place[:, 3], place[:, 4]] = True
    return mask


def pictures(clip, width, height, frames=0):
    """RGB pictures [height, width, 3] of a clip, one after the other, through ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-i", clip, "-vf", f"scale={width}:{height}:flags=bicubic", "-f", "rawvideo",
               "-pix_fmt", "rgb24", *(["-frames:v", str(frames)] if frames else []), "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as ffmpeg:
        size = width * height * 3
        while len(data := ffmpeg.stdout.read(size)) == size:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def read_boxes(path):
    """[n, 5] frame (from 0), x, y, width, height in pixels of the clip."""
    boxes = np.loadtxt(path, delimiter=",", usecols=(0, 2, 3, 4, 5), ndmin=2)
    boxes[:, 0] -= 1
    return boxes


def person_patches(boxes, frames, grid, size):
    """[frames, rows, cols] patches whose centre lies in a box; size: width and height of the clip's pictures."""
    mask = np.zeros((frames, *grid), bool)
    y = (np.arange(grid[0]) + .5) * size[1] / grid[0]
    x = (np.arange(grid[1]) + .5) * size[0] / grid[1]
    for n, left, top, width, height in boxes:
        if 0 <= n < frames:
            rows, cols = (y >= top) & (y <= top + height), (x >= left) & (x <= left + width)
            mask[int(n)] |= rows[:, None] & cols[None]
    return mask


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(-1) / np.maximum(np.sqrt((a * a).sum(-1) * (b * b).sum(-1)), 1e-30)


def write_small_model(folder, patch=14, side=37, dim=32):
    """A DINOv2 checkpoint of one random block: it costs next to nothing, and which units are kept does not ask it."""
    rng = np.random.default_rng(0)
    layer = "encoder.layer.0."
    shapes = {"embeddings.cls_token": (1, 1, dim), "embeddings.mask_token": (1, dim),
              "embeddings.position_embeddings": (1, side * side + 1, dim),
              "embeddings.patch_embeddings.projection.weight": (dim, 3, patch, patch),
              "embeddings.patch_embeddings.projection.bias": (dim,)}
    for part in ("attention.attention.query", "attention.attention.key", "attention.attention.value",
                 "attention.output.dense", "mlp.fc1", "mlp.fc2"):
        shapes[f"{layer}{part}.weight"], shapes[f"{layer}{part}.bias"] = (dim, dim), (dim,)
    for norm in (layer + "norm1", layer + "norm2", "layernorm"):
        shapes[norm + ".weight"] = shapes[norm + ".bias"] = (dim,)
    shapes[layer + "layer_scale1.lambda1"] = shapes[layer + "layer_scale2.lambda1"] = (dim,)
    header, data = {}, b""
    for name, shape in shapes.items():
        value = (rng.standard_normal(shape) * .02).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(value)]}
        data += value
    text = json.dumps(header).encode()
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump({"model_type": "dinov2", "hidden_size": dim, "num_hidden_layers": 1, "num_attention_heads": 1,
                   "mlp_ratio": 1, "patch_size": patch, "image_size": patch * side}, f)
    return folder
