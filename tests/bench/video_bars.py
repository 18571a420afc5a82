#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A clip from end to end, pare beside video_peer.py, process after process in alternating order: never two at a time.

    video_bars.py --pare PARE --model DIR --clip CLIP --threads T [--rounds 3] [--frames N]
                  [--python PYTHON] [--cache DIR] [--pare-args "--backend onednn --precision int8"]

pare reduces every frame of 224x224 (256 patches) to 64: temporal-redundancy@patches, keep .25. The peer encodes
  112: every frame squashed to 112x112: 64 tokens, the same number at a quarter of the pixels;
  224: every frame whole at 224x224: what the 64 are taken from.
Three figures, medians of the rounds:
  speed_112   frames/s of pare over those of the peer at 112          (bar: 1.3)
  speed_224   frames/s of pare over those of the peer at 224          (bar: 3.7)
  cosine      over the patches that pare keeps: mean cosine of pare's token with the token that pare without reduction
              gives there, and of the peer's token at (row / 2, col / 2) with the same (bar: pare's is higher)

pare's frames/s count decoding, everything else and the result file with its fsync; the peer's write nothing. Loading and
compiling models is in neither. Every process is bound to the first T CPUs, so that no hidden thread counts for free.
Needs numpy here, and what video_peer.py needs under PYTHON. Exit 1 if a bar is missed."""
import argparse
import json
import os
import shlex
import statistics
import struct
import subprocess
import sys
import tempfile

import numpy as np

SIZE, RECIPE, KEEP = 224, "temporal-redundancy@patches", ".25"
BAR_112, BAR_224 = 1.3, 3.7


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pare", default="pare")
    p.add_argument("--model", required=True)
    p.add_argument("--clip", required=True)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--frames", type=int, default=0, help="the first N frames only; 0 = all")
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--cache", help="folder of exported models; default: exported anew by every process")
    p.add_argument("--pare-args", default="")
    p.add_argument("--json", action="store_true")
    return p.parse_args()


def run(args, command):
    """Stdout of a command bound to the first T CPUs, as JSON."""
    cpus = sorted(os.sched_getaffinity(0))[:args.threads]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False,
                          preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: exit {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def run_pare(args, out, recipe, keep):
    command = [args.pare, "reduce", args.clip, "-m", args.model, "--size", f"{SIZE}x{SIZE}", "--recipe", recipe, "-j",
               str(args.threads), "-o", out, "--json", *shlex.split(args.pare_args)]
    if keep:
        command += ["--keep", keep]
    if args.frames:
        command += ["--end", repr((args.frames - 0.5) / clip_rate(args))]
    return run(args, command)


def clip_rate(args):
    """Frames per second of the clip, for the end of --frames."""
    if not hasattr(args, "rate"):
        args.rate = run(args, [args.pare, "info", args.clip, "--json"])["rate"]
    return args.rate


def run_peer(args, size, save=None):
    command = [args.python, os.path.join(os.path.dirname(os.path.abspath(__file__)), "video_peer.py"), "--model",
               args.model, "--clip", args.clip, "--threads", str(args.threads), "--size", str(size)]
    for name, value in (("--frames", args.frames), ("--cache", args.cache), ("--save", save)):
        if value:
            command += [name, str(value)]
    return run(args, command)


def tensors(path):
    """Arrays of a safetensors file, mapped."""
    types = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "u1", "BOOL": "u1"}
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
    data = np.memmap(path, np.uint8, "r", offset=8 + n)
    header.pop("__metadata__", None)
    return {k: data[t["data_offsets"][0]:t["data_offsets"][1]].view(types[t["dtype"]]).reshape(t["shape"])
            for k, t in header.items()}


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def cosines(reduced, whole, peer):
    """Mean cosine with pare's own full run over the patches that were kept: of pare, of the peer at half the grid."""
    r, w, p = tensors(reduced), tensors(whole), np.load(peer, mmap_mode="r")
    t, row, col = (r["place"][:, i] for i in (2, 3, 4))
    n, side = p.shape[0], SIZE // 14
    full = w["embeds"].reshape(-1, side, side, w["embeds"].shape[1])
    inside = t < min(n, len(full))
    t, row, col = t[inside], row[inside], col[inside]
    want = full[t, row, col]
    return cosine(r["embeds"][inside], want).mean(), cosine(p[t, row // 2, col // 2], want).mean()


def rounds_of(args, folder):
    """Reports of every round by way."""
    out = os.path.join(folder, "reduced.safetensors")
    ways = [("pare", lambda: run_pare(args, out, RECIPE, KEEP)),
            ("peer_112", lambda: run_peer(args, SIZE // 2)),
            ("peer_224", lambda: run_peer(args, SIZE))]
    reports = {name: [] for name, _ in ways}
    for i in range(args.rounds):
        for name, way in ways if i % 2 == 0 else reversed(ways):
            reports[name].append(way())
    return reports


def fps(report):
    return report["fps"] if "fps" in report else report["frames_per_s"]


def summary(args, folder):
    reports = rounds_of(args, folder)
    speed = {k: statistics.median(map(fps, v)) for k, v in reports.items()}
    whole, peer = (os.path.join(folder, f) for f in ("whole.safetensors", "peer.npy"))
    run_pare(args, whole, "none", None)
    run_peer(args, SIZE // 2, peer)
    ours, theirs = cosines(os.path.join(folder, "reduced.safetensors"), whole, peer)
    first = reports["pare"][0]
    return {
        "clip": os.path.basename(args.clip), "frames": first["frames"], "threads": args.threads,
        "rounds": args.rounds, "cpu": reports["peer_112"][0]["cpu"], "versions": reports["peer_112"][0]["versions"],
        "pare": {k: first[k] for k in ("recipe", "backend", "precision", "blas_core") if k in first},
        "pare_ms": {k: statistics.median(r["ms"][k] for r in reports["pare"]) for k in first["ms"]},
        "frames_per_s": {k: round(v, 2) for k, v in speed.items()},
        "spread": {k: [round(f(map(fps, v)), 2) for f in (min, max)] for k, v in reports.items()},
        "speed_112": round(speed["pare"] / speed["peer_112"], 3),
        "speed_224": round(speed["pare"] / speed["peer_224"], 3),
        "cosine_pare": round(float(ours), 5), "cosine_peer_112": round(float(theirs), 5),
    }


def verdicts(s):
    return [("speed_112", s["speed_112"], f">= {BAR_112}", s["speed_112"] >= BAR_112),
            ("speed_224", s["speed_224"], f">= {BAR_224}", s["speed_224"] >= BAR_224),
            ("cosine", s["cosine_pare"], f"> {s['cosine_peer_112']}", s["cosine_pare"] > s["cosine_peer_112"])]


def show(s):
    versions = ", ".join(f"{k} {v}" for k, v in s["versions"].items())
    print(f"{s['clip']}, {s['frames']} frames, {s['threads']} thread(s), {s['rounds']} rounds; {s['cpu']}")
    print(f"pare: {', '.join(map(str, s['pare'].values()))}; peer: {versions}")
    for k, v in s["frames_per_s"].items():
        low, high = s["spread"][k]
        print(f"  {k:10} {v:8.2f} frames/s  ({low:.2f} to {high:.2f})")
    print("  pare ms  ", "  ".join(f"{k} {v:.0f}" for k, v in s["pare_ms"].items()))
    for name, value, bar, held in verdicts(s):
        print(f"  {name:10} {value:8.3f}  {bar:12} {'holds' if held else 'MISSED'}")


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        s = summary(args, folder)
    if args.json:
        print(json.dumps(s))
    else:
        show(s)
    return not all(held for *_, held in verdicts(s))


if __name__ == "__main__":
    sys.exit(main())
