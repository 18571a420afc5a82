#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where cached recompute decides: once, by pixels, or in every block, by keys? Plain numpy, no clock.

    reuse_blocks.py --model DIR --clip CLIP [--size 224] [--frames 24] [--reference 8] [--shares .1,.25]

  pixels  what `pare reduce --reuse complete` does: the share of units that differ most from the reference frame is embedded
          and run; keys, values and final rows of the others are the reference's
  keys    the cacher of STC (CVPR 2026): all units are embedded, every block makes the keys of all of them and recomputes
          the share whose keys are least like the reference's; attention and MLP outputs of the others are the reference's
Printed per share: operations over those of the whole frame (linear layers and attention), cosine of the CLS row with that of
the whole frame (mean, worst), of all unit rows (mean, worst twentieth). Compare lines of equal operations.
DIR: a DINOv2 checkpoint (safetensors of f16 or f32). Needs numpy and ffmpeg."""
import argparse
import json
import os
import struct
import subprocess

import numpy as np


def load(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    head.pop("__metadata__", None)
    kind = {"F16": np.float16, "F32": np.float32}
    w = {k: np.frombuffer(data, kind[v["dtype"]], int(np.prod(v["shape"])), v["data_offsets"][0])
         .reshape(v["shape"]).astype(np.float32) for k, v in head.items()}
    return {k.removeprefix("dinov2."): v for k, v in w.items()}, json.load(open(os.path.join(folder, "config.json")))


def frames(clip, size, n):
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-frames:v", str(n), "-vf",
                          f"scale={size}:{size}:flags=bicubic", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"],
                         stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size, size, 3)


def gelu(x):
    """erf by Abramowitz and Stegun 7.1.26 (error below 2e-7)."""
    z = np.abs(x) * np.float32(.70710678)
    t = 1 / (1 + np.float32(.3275911) * z)
    p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - .284496736) * t + .254829592) * t
    return .5 * x * (1 + np.sign(x) * (1 - p * np.exp(-z * z)))


class Vit:
    def __init__(self, folder, size):
        self.w, config = load(folder)
        self.heads, self.layers = config["num_attention_heads"], config["num_hidden_layers"]
        self.patch, self.eps = config["patch_size"], config["layer_norm_eps"]
        self.side = size // self.patch
        self.dim = config["hidden_size"]
        self.pos = self.positions(config["image_size"] // self.patch)

    def positions(self, learned):
        """The learned table at this grid, linearly: the same for all variants, so that which rule does not matter."""
        p = self.w["embeddings.position_embeddings"][0]
        grid = p[1:].reshape(learned, learned, -1)
        at = np.clip((np.arange(self.side) + .5) * learned / self.side - .5, 0, learned - 1)
        low = np.minimum(at.astype(int), learned - 2)
        f = (at - low).astype(np.float32)
        rows = grid[low] * (1 - f)[:, None, None] + grid[low + 1] * f[:, None, None]
        both = rows[:, low] * (1 - f)[None, :, None] + rows[:, low + 1] * f[None, :, None]
        return np.concatenate([p[:1], both.reshape(-1, self.dim)])

    def embed(self, rgb):
        s, p = self.side, self.patch
        x = (rgb[:s * p, :s * p].astype(np.float32) / 255 - [.485, .456, .406]) / [.229, .224, .225]
        x = x.reshape(s, p, s, p, 3).transpose(0, 2, 4, 1, 3).reshape(s * s, -1).astype(np.float32)
        w = self.w["embeddings.patch_embeddings.projection.weight"].reshape(self.dim, -1)
        x = x @ w.T + self.w["embeddings.patch_embeddings.projection.bias"]
        return np.concatenate([self.w["embeddings.cls_token"][0], x]) + self.pos

    def norm(self, x, name):
        x = x - x.mean(1, keepdims=True)
        return x / np.sqrt((x * x).mean(1, keepdims=True) + self.eps) * self.w[name + ".weight"] + self.w[name + ".bias"]

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def project(self, x, b, what):
        return self.linear(x, f"encoder.layer.{b}.attention.attention.{what}")

    def attend(self, q, k, v, b):
        def cut(x):
            return x.reshape(len(x), self.heads, -1).transpose(1, 0, 2)
        s = cut(q) @ cut(k).transpose(0, 2, 1) / np.sqrt(np.float32(self.dim // self.heads))
        s = np.exp(s - s.max(-1, keepdims=True))
        out = (s / s.sum(-1, keepdims=True)) @ cut(v)
        out = self.linear(out.transpose(1, 0, 2).reshape(len(q), -1), f"encoder.layer.{b}.attention.output.dense")
        return out * self.w[f"encoder.layer.{b}.layer_scale1.lambda1"]

    def mlp(self, x, b):
        n = f"encoder.layer.{b}."
        h = gelu(self.linear(self.norm(x, n + "norm2"), n + "mlp.fc1")).astype(np.float32)
        return self.linear(h, n + "mlp.fc2") * self.w[n + "layer_scale2.lambda1"]

    def whole(self, x):
        """Final rows, and per block k, v, attention output, MLP output."""
        cache = []
        for b in range(self.layers):
            y = self.norm(x, f"encoder.layer.{b}.norm1")
            k, v = self.project(y, b, "key"), self.project(y, b, "value")
            a = self.attend(self.project(y, b, "query"), k, v, b)
            m = self.mlp(x + a, b)
            x = x + a + m
            cache.append((k, v, a, m))
        return self.norm(x, "layernorm"), cache

    def by_pixels(self, x, rows, cache, final):
        x = x[rows]
        for b in range(self.layers):
            y = self.norm(x, f"encoder.layer.{b}.norm1")
            k, v = cache[b][0].copy(), cache[b][1].copy()
            k[rows], v[rows] = self.project(y, b, "key"), self.project(y, b, "value")
            x = x + self.attend(self.project(y, b, "query"), k, v, b)
            x = x + self.mlp(x, b)
        out = final.copy()
        out[rows] = self.norm(x, "layernorm")
        return out

    def by_keys(self, x, n, cache):
        x = x.copy()
        for b in range(self.layers):
            y = self.norm(x, f"encoder.layer.{b}.norm1")
            k, (old, v, a, m) = self.project(y, b, "key"), cache[b]
            alike = (k * old).sum(1) / np.linalg.norm(k, axis=1) / np.linalg.norm(old, axis=1)
            alike[0] = -2
            rows = np.sort(np.argpartition(alike, n)[:n + 1])
            v, a, m = v.copy(), a.copy(), m.copy()
            v[rows] = self.project(y[rows], b, "value")
            a[rows] = self.attend(self.project(y[rows], b, "query"), k, v, b)
            x = x + a
            m[rows] = self.mlp(x[rows], b)
            x = x + m
        return self.norm(x, "layernorm")

    def cost(self, rows, keys):
        """Operations of `rows` rows through the blocks, and of the keys of `keys` further ones."""
        n = 1 + self.side ** 2
        return self.layers * (rows * (24 * self.dim ** 2 + 4 * n * self.dim) + keys * 2 * self.dim ** 2)


def cosine(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--clip", required=True)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--frames", type=int, default=24)
    p.add_argument("--reference", type=int, default=8)
    p.add_argument("--shares", default=".05,.1,.15,.25,.35")
    args = p.parse_args()
    vit, units = Vit(args.model, args.size), (args.size // 14) ** 2
    shares, found = [float(s) for s in args.shares.split(",")], {}
    for i, rgb in enumerate(frames(args.clip, args.size, args.frames)):
        x = vit.embed(rgb)
        want, cache = vit.whole(x)
        if i % args.reference == 0:
            reference, kept, final = rgb, cache, want
            continue
        s = vit.side
        change = np.abs(rgb.astype(int) - reference)[:s * 14, :s * 14].reshape(s, 14, s, 14, 3).mean((1, 3, 4)).ravel()
        for share in shares:
            n = round(share * units)
            rows = np.concatenate([[0], 1 + np.sort(np.argsort(-change, kind="stable")[:n])])
            for way, got in (("pixels", vit.by_pixels(x, rows, kept, final)), ("keys", vit.by_keys(x, n, kept))):
                c = cosine(got, want)
                found.setdefault((way, share), []).append((c[0], c[1:]))
    print(f"{'way':8}{'share':>8}{'flops':>8}{'cls':>9}{'worst':>9}{'all':>9}{'p5':>9}")
    for (way, share), c in sorted(found.items()):
        cls, rows = np.array([x for x, _ in c]), np.concatenate([x for _, x in c])
        n = 1 + round(share * units)
        flops = vit.cost(n, units + 1 - n if way == "keys" else 0) / vit.cost(units + 1, 0)
        print(f"{way:8}{share:8.3f}{flops:8.3f}{cls.mean():9.4f}{cls.min():9.4f}{rows.mean():9.4f}"
              f"{np.percentile(rows, 5):9.4f}")


if __name__ == "__main__":
    main()
