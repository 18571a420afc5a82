#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Persons in front of a camera: are they kept, do they still mean the same, do they stay when they stand?

    person.py --pare PARE --boxes DET.TXT [--clip vtest.avi] [--keep .25,.1,.06] [--frames N]
              [--model DIR [--reuse none,context] [--reference 32] [--every N]] [--recipes "R1 R2 ..."] [--pan]

A patch is a person's when its centre lies in a box; boxes of frame n + 1 (`frame,-1,x,y,w,h,...`, pixels of the clip) are
those of frame n; all of frames 1.. are pooled, frame 0 is left out; K = round(keep x patches x frames) over the clip.

  recall   share of the person patches that are kept, by recipe and keep. Not causal, through ffmpeg and numpy: grey
           difference to the frame before, and to the median of the clip + 3 x 3 mean, both cut over the whole clip.
With --model, pare's own run without reduction is what rows are compared with, at every N-th frame (a frame of a picture
model does not ask the others, so that no more need be computed; what is reduced is always the whole clip):
  cosine   mean over the person patches that are kept
  canvas   share of all person patches whose last known token (canvas.h) has a cosine of at least .9

Bars (issue 8): recall >= .995 / .985 / .915 at .25 / .10 / .06; cosine >= .95 at .25, >= .92 at .10; canvas >= .98.
Needs numpy; ffmpeg for the baselines. Exit 1 if a bar of the recipe `background` is missed (--pan: a clip without bars)."""
import argparse
import json
import os
import shutil
import sys
import tempfile

import numpy as np

import clips

GRID, PATCH = (24, 32), 14
BARS = {"recall": {.25: .995, .10: .985, .06: .915}, "cosine": {.25: .95, .10: .92}, "canvas": {.25: .98, .10: .98}}
OURS = "background@patches"
CAUSAL = ["random@patches", "temporal-redundancy@patches", OURS]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pare", default="pare")
    p.add_argument("--clip", default="/usr/share/doc/opencv-doc/examples/data/vtest.avi")
    p.add_argument("--boxes", required=True)
    p.add_argument("--keep", default=".25,.1,.06")
    p.add_argument("--keep-model", default=".25,.1", help="with --model")
    p.add_argument("--frames", type=int, default=795)
    p.add_argument("--fps", type=float, default=10)
    p.add_argument("--clip-size", default="768x576", help="pictures of the clip, in which boxes are given")
    p.add_argument("--model")
    p.add_argument("--reuse", default="none")
    p.add_argument("--reference", type=int, default=32)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--work", help="folder of the results; default: a temporary one")
    p.add_argument("--every", type=int, default=1, help="compare every N-th frame")
    p.add_argument("--recipes", help="separated by blanks", default=" ".join(CAUSAL))
    p.add_argument("--raw", action="store_true", help="the clip is raw rgb24 of --clip-size (pan.py)")
    p.add_argument("--pan", action="store_true", help="no bars")
    p.add_argument("--json", action="store_true")
    return p.parse_args()


class Bench:
    """One clip, its person patches, and where results lie."""

    def __init__(self, args, work):
        self.args, self.work = args, work
        self.size = tuple(map(int, args.clip_size.split("x")))
        self.shape = (args.frames, *GRID)
        self.person = clips.person_patches(clips.read_boxes(args.boxes), args.frames, GRID, self.size)
        self.person[0] = False
        self.rows = []

    def budget(self, keep):
        return round(keep * GRID[0] * GRID[1] * self.args.frames)

    def run(self, name, model, *options):
        a = self.args
        clip = [a.clip]
        if a.raw:
            clip += ["--format", "rgb24", "--source-size", a.clip_size, "--rate", a.fps]
        if a.raw or a.frames < 795:
            clip += ["--end", (a.frames - .5) / a.fps]
        if a.threads:
            clip += ["-j", a.threads]
        return clips.reduce(a.pare, list(map(str, clip)), os.path.join(self.work, name + ".safetensors"), "-m", model,
                            "-s", f"{GRID[1] * PATCH}x{GRID[0] * PATCH}", *options)

    def note(self, what, recipe, keep, value, **more):
        bar = None if self.args.pan or not recipe.startswith(OURS) else BARS[what].get(keep)
        if what != "recall" and "context" not in recipe and "context" in self.args.reuse:
            bar = None  # asked for with and without: the bar is that of the better way
        self.rows.append({"what": what, "recipe": recipe, "keep": keep, "value": round(float(value), 4), "bar": bar, **more})

    def recall(self, mask):
        return (mask & self.person).sum() / self.person.sum()


# ---- what is kept ----------------------------------------------------------------------------------------------------


def recall_of_recipes(b, keeps):
    model = clips.write_small_model(os.path.join(b.work, "small"))
    for recipe in b.args.recipes.split():
        for keep in keeps:
            report, result = b.run("kept", model, "-r", recipe, "--tokens", b.budget(keep))
            assert len(result["place"]) == b.budget(keep), (recipe, keep, len(result["place"]))
            b.note("recall", recipe, keep, b.recall(clips.kept_mask(result, b.shape)),
                   select_ms=round(report["ms"]["select"] / b.args.frames, 3))


def grey_pictures(b):
    width, height = GRID[1] * PATCH, GRID[0] * PATCH
    if b.args.raw:
        raise SystemExit("baselines of raw clips: not without ffmpeg's reader")
    weight = np.array([.299, .587, .114], np.float32)
    return np.stack([p.astype(np.float32) @ weight for p in clips.pictures(b.args.clip, width, height, b.args.frames)])


def patch_means(x):
    return x.reshape(-1, GRID[0], PATCH, GRID[1], PATCH).mean((2, 4))


def mean_3x3(score):
    padded = np.pad(score, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return sum(padded[:, y:y + GRID[0], x:x + GRID[1]] for y in range(3) for x in range(3)) / 9


def best_of_clip(score, k):
    mask = np.zeros(score.size, bool)
    mask[np.argpartition(-score.ravel(), k - 1)[:k]] = True
    return mask.reshape(score.shape)


def recall_of_baselines(b, keeps):
    """Cut over the whole clip: a look-ahead that no camera has."""
    grey = grey_pictures(b)
    before = np.abs(np.diff(grey, axis=0, prepend=grey[:1]))
    median = np.abs(grey - np.median(grey[::3], 0))
    for name, score in (("grey difference, frame before (whole clip)", patch_means(before)),
                        ("median of the clip + 3x3 (whole clip)", mean_3x3(patch_means(median)))):
        for keep in keeps:
            b.note("recall", name, keep, b.recall(best_of_clip(score, b.budget(keep))))


# ---- what it means ---------------------------------------------------------------------------------------------------


def canvas_share(result, full, b):
    """Share of the person patches whose last known token has a cosine of .9 with that of the full run; full [n, rows, cols,
    d]: every N-th frame."""
    place, embeds, every = result["place"], result["embeds"], b.args.every
    start = np.searchsorted(place[:, 2], np.arange(b.shape[0] + 1))
    canvas = np.zeros(full.shape[1:], np.float32)
    good = seen = 0
    for t in range(b.shape[0]):
        rows = slice(start[t], start[t + 1])
        canvas[place[rows, 3], place[rows, 4]] = embeds[rows]
        if t % every == 0:
            person = b.person[t]
            good += (clips.cosine(canvas[person], full[t // every][person]) >= .9).sum()
            seen += person.sum()
    return good / seen


def person_cosine(result, full, b):
    """Mean over the kept person patches of the frames that are compared."""
    step, y, x = (result["place"][:, i] for i in (2, 3, 4))
    rows = np.flatnonzero(b.person[step, y, x] & (step % b.args.every == 0))
    return clips.cosine(result["embeds"][rows], full[step[rows] // b.args.every, y[rows], x[rows]]).mean()


def meaning(b, keeps):
    _, full = b.run("full", b.args.model, "-r", "none", *(["--every", b.args.every] if b.args.every > 1 else []))
    full = full["embeds"].reshape(-1, *GRID, full["embeds"].shape[-1])
    assert len(full) == -(-b.args.frames // b.args.every), len(full)
    for reuse in b.args.reuse.split(","):
        options = [] if reuse == "none" else ["--reuse", reuse, "--reference", b.args.reference]
        for keep in keeps:
            report, result = b.run(f"kept-{reuse}-{keep}", b.args.model, "-r", OURS, "--tokens", b.budget(keep), *options)
            name = OURS if reuse == "none" else f"{OURS} --reuse {reuse}"
            b.note("cosine", name, keep, person_cosine(result, full, b),
                   encode_ms=round((report["ms"]["embed"] + report["ms"]["encode"]) / b.args.frames, 2))
            b.note("canvas", name, keep, canvas_share(result, full, b))


# ---- report ----------------------------------------------------------------------------------------------------------


def verdict(row):
    return "" if row["bar"] is None else " ok" if row["value"] >= row["bar"] else " MISSED"


def show(b, keeps):
    print(f"{os.path.basename(b.args.clip)}: {b.args.frames} frames, {b.person.sum()} person patches in all, "
          f"{b.person.sum() / (b.args.frames - 1):.1f} a frame of {GRID[0] * GRID[1]}")
    print(f"| | recipe | {' | '.join(f'{k:g}' for k in keeps)} |\n|---|---|{'---:|' * len(keeps)}")
    for what, recipe in dict.fromkeys((r["what"], r["recipe"]) for r in b.rows):
        cells = {r["keep"]: r for r in b.rows if (r["what"], r["recipe"]) == (what, recipe)}
        text = ["" if k not in cells else f"{cells[k]['value']:.4f}" + verdict(cells[k]) for k in keeps]
        print(f"| {what} | {recipe} | {' | '.join(text)} |")


def main():
    args = arguments()
    keeps = [float(k) for k in args.keep.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        b = Bench(args, args.work or folder)
        os.makedirs(b.work, exist_ok=True)
        recall_of_recipes(b, keeps)
        if shutil.which("ffmpeg") and not args.raw:
            recall_of_baselines(b, keeps)
        if args.model:
            meaning(b, [float(k) for k in args.keep_model.split(",")])
    if args.json:
        print(json.dumps(b.rows))
    else:
        show(b, keeps)
    return any(r["bar"] is not None and r["value"] < r["bar"] for r in b.rows)


if __name__ == "__main__":
    sys.exit(main())
