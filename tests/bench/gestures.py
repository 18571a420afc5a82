#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do gestures still find themselves? First halves of clips as queries against all second halves.

    gestures.py --pare PARE --model DIR --clips DIR [--recipes "R1 R2 ..."] [--keep .25] [--every N] [--json]

Halves by number of frames. A half is embedded as the mean of `pooled` over its frames; a query finds its clip if the cosine with its own second half
is the largest. `found` of a recipe at 25 % of the tokens may be one below that of the run without reduction (bar of issue
8). `reuse=context` behind a recipe (R+context) recomputes with cached keys and values. Halves are cut by time; every
N-th frame is read. Needs numpy. Exit 1 if no recipe meets the bar."""
import argparse
import glob
import json
import os
import sys
import tempfile

import numpy as np

import clips

RECIPES = ("random@patches stride@patches spatial-uniform@patches temporal-redundancy@patches background@patches "
           "background@patches+context temporal-redundancy@patches+context")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pare", default="pare")
    p.add_argument("--model", required=True)
    p.add_argument("--clips", required=True)
    p.add_argument("--recipes", default=RECIPES)
    p.add_argument("--keep", type=float, default=.25)
    p.add_argument("--every", type=int, default=1)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--options", default="", help="further options of pare reduce, separated by blanks")
    p.add_argument("--json", action="store_true")
    return p.parse_args()


def half_means(args, clip, recipe, out):
    """[2, d] mean of `pooled` over the frames of either half."""
    name, _, reuse = recipe.partition("+")
    options = ["-m", args.model, "-r", name, *args.options.split()]
    if name != "none":
        options += ["--keep", args.keep]
    if reuse:
        options += ["--reuse", reuse]
    if args.every > 1:
        options += ["--every", args.every]
    if args.threads:
        options += ["-j", args.threads]
    _, result = clips.reduce(args.pare, [clip], out, *options)
    pooled = result["pooled"].astype(np.float64)
    half = len(pooled) // 2
    return np.stack([pooled[:half].mean(0), pooled[half:].mean(0)])


def found(means):
    """How many first halves [n, 2, d] find their own second half, and the mean margin over the best other one."""
    unit = means / np.linalg.norm(means, axis=2, keepdims=True)
    like = unit[:, 0] @ unit[:, 1].T
    own = np.diag(like)
    other = np.where(np.eye(len(like), dtype=bool), -np.inf, like).max(1)
    return int((own > other).sum()), float((own - other).mean())


def main():
    args = arguments()
    files = sorted(f for f in glob.glob(os.path.join(args.clips, "*")) if os.path.isfile(f))
    if len(files) < 2:
        sys.exit(f"{args.clips}: {len(files)} clips, at least 2 are needed")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for recipe in ["none", *args.recipes.split()]:
            out = os.path.join(folder, "half.safetensors")
            count, margin = found(np.stack([half_means(args, f, recipe, out) for f in files]))
            rows.append({"recipe": recipe, "found": count, "of": len(files), "margin": round(margin, 5)})
            rows[-1]["meets"] = count >= rows[0]["found"] - 1
            if not args.json:
                print(f"| {recipe} | {count} of {len(files)} | {margin:.4f} | "
                      f"{'ok' if rows[-1]['meets'] else 'below'} |", flush=True)
    if args.json:
        print(json.dumps(rows))
    return not any(r["meets"] for r in rows[1:])


if __name__ == "__main__":
    sys.exit(main())
