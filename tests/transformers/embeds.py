#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The end of the way: a language model that is fed pare's tokens answers as if it had dropped its own.

transformers runs a tiny Qwen2.5-VL twice on a prompt from which half of the visual tokens are gone:
  ours    `embeds` of pare at keep .5, at the positions that follow from pare's `mrope` alone;
  theirs  its own visual embeddings, sliced by pare's `index`, at its own position ids of the whole prompt, sliced.
The logits must agree. Then the same with wrong position rules (dense numbering, row and column swapped, steps instead of
seconds): each must NOT agree, else this test could not tell a right position from a wrong one.

For recipes that act before the output, "theirs" is transformers' own encoder with the same units taken out before the same
block: rotary positions and attention windows must stay those of the original grid.

    embeds.py PARE FIXTURES [--rule dense|swapped|steps]   FIXTURES holds golden/models/qwen2.5vl-*
--rule runs one wrong rule as if it were right, to watch the test fail. Exit 0 passed, 1 failed, 77 skipped (no transformers
or no fixtures)."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

SKIP = 77
TOLERANCE = 2e-4  # of the largest logit; both sides are f32 with other orders of summation
# recipe, and the block before which transformers drops the same units (None: after its encoder)
RECIPES = [
    ("topk:score=norm@output", None),
    ("spatial-uniform@output", None),
    ("random@output", None),
    ("random@patches", 0),
    ("spatial-uniform@patches", 0),
    ("topk:score=norm@block=1", 1),
    ("random@block=2", 2),
]
FPS = 1.0

try:
    import numpy as np
    import torch
    import transformers
    from PIL import Image
    from safetensors.numpy import load_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(SKIP)


class Case:
    """A checkpoint, a medium whose size is the grid's (so that nobody resizes), and the sample prompt of the fixture."""

    def __init__(self, folder, is_video):
        self.folder, self.is_video = folder, is_video
        self.name = os.path.basename(folder)
        self.expected = load_file(os.path.join(folder, "expected.safetensors"))
        t, h, w = self.expected["grid_thw"][0]
        self.size = (int(w) * 14, int(h) * 14)
        names = sorted(f for f in os.listdir(folder) if f.startswith("frame_" if is_video else "image_0"))
        pictures = [Image.open(os.path.join(folder, f)).convert("RGB").resize(self.size) for f in names]
        self.frames = [np.asarray(p) for p in pictures]
        self.grid = torch.tensor([[int(t), int(h), int(w)]])
        self.input_ids = torch.from_numpy(self.expected["mrope.input_ids"].astype(np.int64))[None]
        self.types = self.expected["mrope.token_type"]

    def patches(self, config):
        """pixel_values [t h w, 3 T P P] in merge-block order, as Qwen2VLImageProcessor documents it."""
        mean, std = np.array(config["image_mean"]), np.array(config["image_std"])
        x = np.stack([(f / 255.0 - mean) / std for f in self.frames]).transpose(0, 3, 1, 2)
        while len(x) < 2 * int(self.grid[0, 0]):
            x = np.concatenate([x, x[-1:]])
        t, h, w = (int(v) for v in self.grid[0])
        x = x.reshape(t, 2, 3, h // 2, 2, 14, w // 2, 2, 14)
        x = x.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)
        return torch.from_numpy(x.reshape(t * h * w, -1).astype(np.float32))


def run_pare(pare, case, recipe, where):
    out = os.path.join(where, "out.safetensors")
    raw = b"".join(f.tobytes() for f in case.frames)
    size = f"{case.size[0]}x{case.size[1]}"
    command = [pare, "reduce", "-m", case.folder, "-q", "--recipe", recipe, "--keep", ".5", "-o", out, "-s", size]
    if case.is_video:
        command += ["--format", "rgb24", "--source-size", size, "--rate", str(FPS), "-"]
    else:
        picture = os.path.join(where, "in.png")
        Image.fromarray(case.frames[0]).save(picture)
        command += [picture]
    subprocess.run(command, input=raw if case.is_video else None, stdout=subprocess.DEVNULL, check=True)
    return load_file(out)


def their_positions(model, case):
    """[3, 1, n] position ids of the whole prompt by transformers itself."""
    inner = model.model if hasattr(model.model, "get_rope_index") else model
    grids = {"video_grid_thw" if case.is_video else "image_grid_thw": case.grid}
    if case.is_video:
        grids["second_per_grid_ts"] = torch.tensor([2.0 / FPS])
    try:
        return inner.get_rope_index(case.input_ids, **grids)[0]
    except TypeError:  # transformers 5 wants to be told what is text and what is not
        types = torch.from_numpy(case.types.astype(np.int64))[None]
        return inner.get_rope_index(case.input_ids, mm_token_type_ids=types, **grids)[0]


def visual_of(model):
    return model.model.visual if hasattr(model.model, "visual") else model.visual


def their_embeds(model, case, config):
    out = visual_of(model)(case.patches(config), grid_thw=case.grid)
    return out if torch.is_tensor(out) else getattr(out, "pooler_output", None)


def bounds(group):
    """Ends of runs of equal values, as cu_seqlens wants them (in patches, 4 to a unit)."""
    ends = [i + 1 for i in range(len(group)) if i + 1 == len(group) or group[i] != group[i + 1]]
    return torch.tensor([0] + [4 * e for e in ends], dtype=torch.int32)


def their_embeds_dropping(model, case, config, keep, before):
    """Their encoder on all units up to block `before`, on the units `keep` from there on. Rows of `keep`, in its order."""
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as code

    visual = visual_of(model)
    window, window_bounds = code.get_vision_window_index(
        case.grid, spatial_merge_size=2, window_size=visual.window_size, patch_size=14
    )
    t, h, w = (int(v) for v in case.grid[0])
    window_of = np.searchsorted(window_bounds.numpy() // 4, np.arange(len(window)), side="right")
    step_of = window.numpy() // (h * w // 4)

    def in_window_order(x):
        return x.reshape(len(window), 4, -1)[window].reshape(4 * len(window), -1)

    x = visual.patch_embed(case.patches(config))
    turn = visual.rotary_pos_emb(x, code.get_vision_position_ids(case.grid, 2))
    x, turn = in_window_order(x), tuple(in_window_order(f) for f in turn)
    stays = np.isin(window.numpy(), keep.numpy())
    for i, block in enumerate(visual.blocks):
        if i == before:
            rows = torch.from_numpy(np.repeat(stays, 4))
            x, turn = x[rows], tuple(f[rows] for f in turn)
            window_of, step_of = window_of[stays], step_of[stays]
        cu = bounds(step_of if i in visual.fullatt_block_indexes else window_of)
        x = block(x, cu_seqlens=cu, max_seqlen=int((cu[1:] - cu[:-1]).max()), position_embeddings=turn)
    units = visual.merger(x)
    return units[torch.argsort(window[torch.from_numpy(stays)])]


def apply_rule(rule, mrope, thw):
    """pare's position ids, or what a careless consumer would make of them."""
    if rule == "dense":
        n = np.arange(len(mrope))
        return np.stack([n, n, n], 1)
    if rule == "swapped":
        return mrope[:, [0, 2, 1]]
    if rule == "steps":
        return np.concatenate([thw[:, :1], mrope[:, 1:]], 1)
    return mrope


def logits(model, case, embeds, keep, visual_positions, whole):
    """Prompt with the visual tokens `keep` only; text keeps its positions, visual ones stand at base + visual_positions."""
    types = torch.from_numpy(case.types.astype(np.int64))
    visual = torch.nonzero(types != 0)[:, 0]
    stays = types == 0
    stays[visual[keep]] = True
    x = model.get_input_embeddings()(case.input_ids)[0].clone()
    positions = whole[:, 0].clone()
    x[visual[keep]] = embeds
    if visual_positions is not None:
        positions[:, visual[keep]] = positions[:, visual[:1]] + visual_positions.T
    return model(inputs_embeds=x[None, stays], position_ids=positions[:, None, stays]).logits[0]


def distance(a, b):
    return float((a - b).abs().max() / b.abs().max())


def check(model, case, config, reduced, rule, before):
    keep = torch.from_numpy(reduced["index"].astype(np.int64))
    mrope = torch.from_numpy(apply_rule(rule, reduced["mrope"], reduced["thw"]).astype(np.int64))
    whole = their_positions(model, case)
    if before is None:
        embeds = their_embeds(model, case, config)[keep]
    else:
        embeds = their_embeds_dropping(model, case, config, keep, before)
    theirs = logits(model, case, embeds, keep, None, whole)
    ours = logits(model, case, torch.from_numpy(reduced["embeds"]), keep, mrope, whole)
    return distance(ours, theirs)


def wrong_rules(case):
    return ["dense", "swapped"] + (["steps"] if case.is_video else [])


def run_case(pare, case, rule):
    model = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(case.folder, dtype=torch.float32)
    with open(os.path.join(case.folder, "preprocessor_config.json")) as f:
        prep = json.load(f)
    failed = 0
    for recipe, before in RECIPES:
        with tempfile.TemporaryDirectory() as where:
            reduced = run_pare(pare, case, recipe, where)
        d = check(model, case, prep, reduced, rule, before)
        failed += d > TOLERANCE
        kept, of = len(reduced["index"]), int((case.types != 0).sum())
        print(f"{'ok  ' if d <= TOLERANCE else 'FAIL'} {case.name} {recipe}: {kept} of {of} tokens, logits differ by {d:.1e}")
        for wrong in wrong_rules(case) if rule == "right" else []:
            d = check(model, case, prep, reduced, wrong, before)
            failed += d <= 20 * TOLERANCE
            print(f"{'ok  ' if d > 20 * TOLERANCE else 'FAIL'}   positions '{wrong}' are seen: {d:.1e}")
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pare")
    parser.add_argument("fixtures")
    parser.add_argument("--rule", default="right", choices=["right", "dense", "swapped", "steps"])
    args = parser.parse_args()
    models = os.path.join(args.fixtures, "golden", "models")
    if not args.fixtures or not os.path.isdir(models):
        print("skipped: no fixtures")
        return SKIP
    torch.manual_seed(0)
    failed = 0
    with torch.no_grad():
        for name, is_video in [("qwen2.5vl-image", False), ("qwen2.5vl-video", True)]:
            failed += run_case(args.pare, Case(os.path.join(models, name), is_video), args.rule)
    print(f"transformers {transformers.__version__}: {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
