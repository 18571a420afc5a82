#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Photos of several sizes in one batch: what transformers makes of them against `pare trace -i A -i B ...`.

Photos of a batch become different numbers of tiles, and processors pad to the most of them; the fixtures have one photo
each. pixel_values must be the same bits, image_sizes the same numbers, `projected` (all photos, packed for the language
model) within 1e-4 of its RMS, from pare's own pixels and again from those of transformers.

    batches.py PARE FOLDER    FOLDER holds the committed cases: tests/golden/models

Exit 0 passed, 1 failed, 77 skipped (no transformers)."""
import os
import subprocess
import sys
import tempfile

import mllm  # exits with 77 without transformers

np, torch, load_file, save_file = mllm.np, mllm.torch, mllm.load_file, mllm.save_file
SIZES = [(50, 35), (90, 12), (16, 16), (9, 70), (33, 64)]


def expected(name, case, folder, photos):
    model = mllm.make_model(case)
    weights = load_file(os.path.join(folder, name, "model.safetensors"))
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    inputs = mllm.processed(case, photos)
    with torch.no_grad():
        if "image_sizes" in inputs:
            found = model.model.get_image_features(inputs["pixel_values"], mllm.sizes_of(inputs))
        else:
            found = model.model.get_image_features(inputs["pixel_values"])
    found = getattr(found, "pooler_output", found)
    rows = [f.reshape(-1, f.shape[-1]) for f in (found if isinstance(found, (list, tuple)) else [found])]
    want = {"pixel_values": inputs["pixel_values"].numpy(), "projected": torch.cat(rows).numpy()}
    if "image_sizes" in inputs:
        want["image_sizes"] = mllm.sizes_of(inputs).numpy().astype(np.int32)
    return want


def difference(got, want, name):
    """What is wrong with a tensor, or nothing."""
    a, b = got[name], want[name]
    if a.size != b.size or a.shape[-1] != b.shape[-1]:
        return f"{name} is {list(a.shape)} instead of {list(b.shape)}"
    off = float(np.abs(a.reshape(b.shape).astype(np.float64) - b).max())
    bound = 1e-4 * float(np.sqrt((b.astype(np.float64) ** 2).mean())) if name == "projected" else 0
    return f"{name} is {off:.3g} off, {bound:.3g} is allowed" if off > bound else ""


def trace(pare, model, args, names, want):
    out = "got.safetensors"
    subprocess.run([pare, "trace", "-m", model, "-q", "-o", out, *args], check=True, stdout=subprocess.DEVNULL)
    got = load_file(out)
    return [text for text in (difference(got, want, name) for name in names) if text]


def check(pare, folder, name, case):
    photos = [mllm.make_photo(size) for size in SIZES]
    want = expected(name, case, folder, photos)
    args = []
    for i, photo in enumerate(photos):
        photo.save(f"{i}.png")
        args += ["-i", f"{i}.png"]
    save_file({k: np.ascontiguousarray(v) for k, v in want.items() if k != "projected"}, "inputs.safetensors")
    model = os.path.join(folder, name)
    bad = trace(pare, model, args, list(want), want)
    bad += trace(pare, model, ["--inputs", "inputs.safetensors"], ["projected"], want)
    shape = "x".join(str(n) for n in want["pixel_values"].shape)
    print(f"{'FAIL' if bad else 'ok  '} {name} pixel_values {shape}, {len(want['projected'])} rows {'; '.join(bad)}")
    return bool(bad)


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 1
    pare, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        bad = [check(pare, folder, name, case) for name, case in mllm.CASES.items()]
        os.chdir("/")
    return int(any(bad))


if __name__ == "__main__":
    sys.exit(main())
