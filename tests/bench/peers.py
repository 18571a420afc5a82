#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pare beside the runtimes that a user would pick instead, on the same ViT and the same pixels.

    peers.py export DIR [--models NAME ...]
        writes every model once, with random weights: DIR/NAME.onnx, DIR/NAME-int8.onnx (ONNX Runtime, dynamic),
        DIR/NAME-int8.xml (OpenVINO, NNCF W8A8, calibrated on noise: for timing), DIR/NAME/ (a checkpoint for pare)
    peers.py run DIR --pare build/pare [--models NAME ...] [--batch 1 16] [--threads 1 2] [--rounds 7]
                 [--engines auto:f32 ...] [--peers ort ...] [--json FILE] [--table FILE]
        one table of all; the cases one after the other, each in a process of its own
    peers.py case DIR --pare build/pare --model NAME --batch B --threads T ...
        one case, as JSON

Within a case the contenders take turns, round by round, never two at a time: each makes one call to warm up and a few
that are timed (their median is the round's), then everybody sleeps until idle threads have stopped spinning. pare runs as
`pare bench --random`, a process per round whose start is outside its times. So the machine's drift meets all alike:
compare medians of one run only. "-s2": two streams of OpenVINO with half the batch each. Every contender's tokens are
compared with those of ONNX Runtime f32: mean cosine of all tokens of the first picture (pare: `pare reduce` of it as PNG).

Needs from PyPI: torch timm onnx onnxscript onnxruntime openvino nncf safetensors pillow numpy. A peer that is missing
is left out, and said so."""
import argparse
import datetime
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

# name: timm's name, pixels a side
MODELS = {
    "vit_base_patch16_224": ("vit_base_patch16_224", 224),
    "vit_small_patch14_dinov2": ("vit_small_patch14_dinov2.lvd142m", 224),
    "vit_large_patch14_clip_336": ("vit_large_patch14_clip_336.openai", 336),
}
PACKAGES = ["torch", "timm", "onnx", "onnxruntime", "openvino", "nncf", "numpy"]
ENGINES = ["auto:f32", "openblas:f32", "auto:bf16", "auto:int8"]
GEMM_SIDE, GEMM_CALLS = 1536, 3
TIMED_CALLS = {1: 5}  # per round, by batch; otherwise 1
CALIBRATION_PICTURES = 8


# ---- export -------------------------------------------------------------------------------------------------------


def make_encoder(name, weights=None):
    """The ViT: pixels [B, 3, S, S] -> all tokens after the final norm [B, n, d]. Random weights, or those of a file."""
    import timm
    import torch

    torch.manual_seed(0)
    full, size = MODELS[name]
    extra = {"img_size": size} if "dinov2" in full else {}
    model = timm.create_model(full, pretrained=False, num_classes=0, global_pool="", **extra).eval()
    if weights:
        from safetensors.torch import load_file

        model.load_state_dict(load_file(weights))
        return model
    with torch.no_grad():  # fresh weights hardly do anything: blocks scaled by 1e-5, biases 0, attention flat
        for key, p in model.named_parameters():
            if key.endswith("gamma"):
                p.uniform_(0.3, 1.0)
            elif key.endswith("bias"):
                p.normal_(std=0.05)
            elif key.endswith("qkv.weight"):
                p.mul_(2)
    return model


def save_checkpoint(model, name, where):
    """A folder as timm publishes it. crop_pct 1: a picture of the model's size is taken as it is."""
    from safetensors.torch import save_file

    os.makedirs(where, exist_ok=True)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, os.path.join(where, "model.safetensors"), metadata={"format": "pt"})
    size = MODELS[name][1]
    pretrained = {"input_size": [3, size, size], "interpolation": "bicubic", "crop_pct": 1.0}
    pretrained.update({k: list(model.pretrained_cfg[k]) for k in ("mean", "std")})
    with open(os.path.join(where, "config.json"), "w") as f:
        json.dump({"architecture": name, "num_classes": 0, "pretrained_cfg": pretrained}, f)


def save_onnx(model, name, path):
    import torch

    x = torch.randn(2, 3, MODELS[name][1], MODELS[name][1])
    batch = torch.export.Dim("b", min=1, max=64)
    torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["y"], dynamic_shapes=({0: batch},),
                      dynamo=True, external_data=True)


def save_onnx_int8(path, out):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path, out, weight_type=QuantType.QInt8)


def save_openvino_int8(name, path, out):
    import nncf
    import openvino as ov

    size = MODELS[name][1]
    model = ov.Core().read_model(path)
    model.reshape({"x": [1, 3, size, size]})
    noise = [random_pixels(name, 1, seed)[1] for seed in range(CALIBRATION_PICTURES)]
    data = nncf.Dataset(noise, lambda x: {"x": x})
    quantised = nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(noise))
    ov.save_model(quantised, out, compress_to_fp16=False)


def export(args):
    os.makedirs(args.dir, exist_ok=True)
    for name in args.models:
        base = os.path.join(args.dir, name)
        model = make_encoder(name)
        save_checkpoint(model, name, base)
        save_onnx(model, name, base + ".onnx")
        save_onnx_int8(base + ".onnx", base + "-int8.onnx")
        save_openvino_int8(name, base + ".onnx", base + "-int8.xml")
        print(f"{base}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters", flush=True)


# ---- pixels and tokens ---------------------------------------------------------------------------------------------


def random_pixels(name, batch, seed=0):
    """u8 pictures [B, S, S, 3] of blurred noise, and what the network sees of them [B, 3, S, S]."""
    import timm

    full, size = MODELS[name]
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (batch, size // 7, size // 7, 3))
    fine = rng.integers(-32, 33, (batch, size, size, 3))
    rgb = np.clip(coarse.repeat(7, axis=1).repeat(7, axis=2) + fine, 0, 255).astype(np.uint8)
    rule = timm.get_pretrained_cfg(full)
    x = (rgb / 255.0 - np.array(rule.mean)) / np.array(rule.std)
    return rgb, np.ascontiguousarray(x.transpose(0, 3, 1, 2).astype(np.float32))


def mean_cosine(a, b):
    """Of the rows of two [n, d]."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.mean((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))))


# ---- contenders ----------------------------------------------------------------------------------------------------


class Case:
    """A model, a batch, a number of threads."""

    def __init__(self, args):
        self.dir, self.pare, self.name = args.dir, args.pare, args.model
        self.batch, self.threads = args.batch, args.threads
        self.calls = TIMED_CALLS.get(self.batch, 1)
        self.gflop = None  # of a picture, when pare has told
        self.rgb, self.x = random_pixels(self.name, self.batch)

    def path(self, suffix):
        return os.path.join(self.dir, self.name + suffix)


class Peer:
    """A runtime in this process: `call` encodes the batch, `read` makes tokens [B, n, d] of what it returned."""

    is_pare = False
    backend = None

    def __init__(self, case, label, precision, call, read):
        self.case, self.label, self.precision, self.call, self.read = case, label, precision, call, read

    def tokens(self):
        return self.read(self.call())[0]

    def round_ms(self):
        """Milliseconds per picture."""
        self.call()
        times = []
        for _ in range(self.case.calls):
            began = time.perf_counter()
            self.call()
            times.append(time.perf_counter() - began)
        return statistics.median(times) / self.case.batch * 1e3


class Pare:
    """pare as a process of its own."""

    is_pare = True

    def __init__(self, case, engine):
        self.case = case
        self.backend, self.precision = engine.split(":")
        self.label = f"pare {engine}"

    def run(self, *args):
        common = ["-m", self.case.path(""), "--threads", str(self.case.threads), "--backend", self.backend,
                  "--precision", self.precision, "--json"]
        done = subprocess.run([self.case.pare, *args, *common], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(args)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def tokens(self):
        from PIL import Image
        from safetensors.numpy import load_file

        with tempfile.TemporaryDirectory() as where:
            picture, out = os.path.join(where, "picture.png"), os.path.join(where, "out.safetensors")
            Image.fromarray(self.case.rgb[0]).save(picture)
            self.run("reduce", picture, "-o", out, "--recipe", "none")
            found = load_file(out)
        return np.concatenate([found["prefix"][0], found["embeds"]])

    def round_ms(self):
        batch = self.case.batch
        report = self.run("bench", "--random", str(batch * self.case.calls), "--batch", str(batch))
        self.backend, self.case.gflop = report["backend"], report["gflop_per_image"]
        return report["ms_per_image_p50"]


def torch_peer(case, label, precision):
    import torch

    torch.set_num_threads(case.threads)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = make_encoder(case.name, os.path.join(case.path(""), "model.safetensors")).to(dtype)
    x = torch.from_numpy(case.x).to(dtype)

    def call():
        with torch.inference_mode():
            return model(x)

    return Peer(case, label, precision, call, lambda y: y.float().numpy())


def onnx_peer(case, label, precision):
    import onnxruntime

    opts = onnxruntime.SessionOptions()
    opts.intra_op_num_threads, opts.inter_op_num_threads = case.threads, 1
    path = case.path("-int8.onnx" if precision == "int8" else ".onnx")
    session = onnxruntime.InferenceSession(path, opts, providers=["CPUExecutionProvider"])
    return Peer(case, label, precision, lambda: session.run(None, {"x": case.x}), lambda y: y[0])


def openvino_peer(case, label, precision):
    import openvino as ov

    streams = 2 if label.endswith("-s2") else 1
    if case.threads < streams or case.batch % streams:
        return None  # half a picture, or half a thread
    core = ov.Core()
    model = core.read_model(case.path("-int8.xml" if precision == "int8" else ".onnx"))
    model.reshape({"x": [case.batch // streams, *case.x.shape[1:]]})
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
                                                 "INFERENCE_NUM_THREADS": case.threads, "NUM_STREAMS": streams})
    requests = [compiled.create_infer_request() for _ in range(streams)]
    parts = np.split(case.x, streams)

    def call():
        for request, part in zip(requests, parts):
            request.start_async({"x": part})
        for request in requests:
            request.wait()
        return requests

    return Peer(case, label, precision, call,
                lambda done: np.concatenate([np.array(r.get_output_tensor(0).data) for r in done]))


PEERS = {
    "torch": (torch_peer, "f32"),
    "ort": (onnx_peer, "f32"),
    "ov-f32": (openvino_peer, "f32"),
    "ov-f32-s2": (openvino_peer, "f32"),
    "torch-bf16": (torch_peer, "bf16"),
    "ov-bf16": (openvino_peer, "bf16"),
    "ov-bf16-s2": (openvino_peer, "bf16"),
    "ort-int8": (onnx_peer, "int8"),
    "ov-int8": (openvino_peer, "int8"),
    "ov-int8-s2": (openvino_peer, "int8"),
}


def make_contenders(case, args):
    """Those that work here, each with its cosine; what failed is told on stderr."""
    found = []
    reference = onnx_peer(case, "reference", "f32").tokens()
    makers = [(f"pare {e}", lambda e=e: Pare(case, e)) for e in args.engines]
    makers += [(p, lambda p=p: PEERS[p][0](case, p, PEERS[p][1])) for p in args.peers]
    for label, make in makers:
        try:
            contender = make()
            if contender is None:
                continue
            contender.cosine = mean_cosine(contender.tokens(), reference)
        except (ImportError, RuntimeError, ValueError, KeyError, OSError) as e:
            print(f"{label} left out: {e}", file=sys.stderr, flush=True)
            continue
        found.append(contender)
    return found


# ---- one case ------------------------------------------------------------------------------------------------------


def gemm_gflops(threads):
    """Best of a few products by PyTorch."""
    import torch

    torch.set_num_threads(threads)
    a = torch.randn(GEMM_SIDE, GEMM_SIDE)
    best = float("inf")
    for _ in range(GEMM_CALLS + 1):
        began = time.perf_counter()
        torch.mm(a, a)
        best = min(best, time.perf_counter() - began)
    return 2 * GEMM_SIDE**3 / best / 1e9


def run_case(args):
    case = Case(args)
    contenders = make_contenders(case, args)
    times, gemm = {c.label: [] for c in contenders}, []
    for i in range(args.rounds):
        shift = i % max(1, len(contenders))  # nobody has always the same one before it
        for c in contenders[shift:] + contenders[:shift]:
            time.sleep(args.pause)
            times[c.label].append(c.round_ms())
        time.sleep(args.pause)
        gemm.append(gemm_gflops(case.threads))
    rows = [{"contender": c.label, "precision": c.precision, "is_pare": c.is_pare, "backend": c.backend,
             "min_ms": min(times[c.label]), "median_ms": statistics.median(times[c.label]), "cosine": c.cosine,
             "rounds_ms": times[c.label]} for c in contenders]
    result = {"model": case.name, "batch": case.batch, "threads": case.threads, "rounds": args.rounds,
              "gemm_gflops": statistics.median(gemm), "gemm_gflops_best": max(gemm), "gflop_per_picture": case.gflop,
              "rows": rows}
    add_ratios(rows)
    add_rates(rows, case.gflop)
    json.dump(result, sys.stdout)


def add_ratios(rows):
    """vs_fastest: median of the fastest peer of the same precision / own median; above 1 = faster than every peer."""
    for row in rows:
        peers = [r for r in rows if not r["is_pare"] and r["precision"] == row["precision"]]
        fastest = min(peers, key=lambda r: r["median_ms"], default=None)
        row["fastest_peer"] = fastest["contender"] if fastest else None
        row["vs_fastest"] = fastest["median_ms"] / row["median_ms"] if fastest else None


def add_rates(rows, gflop):
    for row in rows:
        row["gflops"] = gflop / row["median_ms"] * 1e3 if gflop else None


# ---- all cases -----------------------------------------------------------------------------------------------------


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown CPU"


def version_of(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe_machine(args):
    about = subprocess.run([args.pare, "info", "--json"], capture_output=True, text=True)
    return {"cpu": cpu_name(), "n_cpu": len(os.sched_getaffinity(0)), "load_before": os.getloadavg()[0],
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "versions": {p: version_of(p) for p in PACKAGES},
            "pare": json.loads(about.stdout) if about.returncode == 0 else None}


def spawn_case(args, name, batch, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    command = [sys.executable, os.path.abspath(__file__), "case", args.dir, "--pare", args.pare, "--model", name,
               "--batch", str(batch), "--threads", str(threads), "--rounds", str(args.rounds), "--pause",
               str(args.pause), "--engines", *args.engines, "--peers", *args.peers]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}, batch {batch}, {threads} threads: failed with {done.returncode}")
    return json.loads(done.stdout)


def number(value, form):
    return "-" if value is None else format(value, form)


def table_of(report):
    """Markdown: one line per contender and case."""
    machine = report["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items() if v)
    lines = [f"{machine['cpu']}, {machine['n_cpu']} CPUs, load before {machine['load_before']:.1f}, {machine['date']}; "
             f"{versions}. Milliseconds per picture; GEMM: GFLOP/s of {GEMM_SIDE}^3 by PyTorch in the same rounds; "
             "vs fastest: median of the fastest peer of that precision / own.", "",
             "| model | batch | threads | GEMM | precision | contender | min | median | GFLOP/s | vs fastest | cosine |",
             "|---|--:|--:|--:|---|---|--:|--:|--:|--:|--:|"]
    for case in report["cases"]:
        for row in sorted(case["rows"], key=lambda r: (r["precision"] != "f32", r["precision"], r["median_ms"])):
            label = f"**{row['contender']}** ({row['backend']})" if row["is_pare"] else row["contender"]
            lines.append(f"| {case['model']} | {case['batch']} | {case['threads']} | {case['gemm_gflops']:.0f} | "
                         f"{row['precision']} | {label} | {row['min_ms']:.1f} | {row['median_ms']:.1f} | "
                         f"{number(row['gflops'], '.0f')} | {number(row['vs_fastest'], '.3f')} | {row['cosine']:.5f} |")
    return "\n".join(lines) + "\n"


def run(args):
    report = {"machine": describe_machine(args), "cases": []}
    for name in args.models:
        for batch in args.batch:
            for threads in args.threads:
                report["cases"].append(spawn_case(args, name, batch, threads))
                if args.json:  # after every case, so that an interrupted run is not lost
                    with open(args.json, "w") as f:
                        json.dump(report, f, indent=1)
    table = table_of(report)
    print(table, end="")
    if args.table:
        with open(args.table, "w") as f:
            f.write(table)


def add_contest(parser):
    parser.add_argument("--pare", required=True, help="the command")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between contenders")
    parser.add_argument("--engines", nargs="*", default=ENGINES, help="backend:precision of pare")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, dest="verb")
    parsers = {verb: verbs.add_parser(verb) for verb in ("export", "run", "case")}
    for p in parsers.values():
        p.add_argument("dir", help="where the exported models lie")
    for verb in ("export", "run"):
        parsers[verb].add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    for verb in ("run", "case"):
        add_contest(parsers[verb])
    parsers["run"].add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parsers["run"].add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parsers["run"].add_argument("--json", help="file for all numbers")
    parsers["run"].add_argument("--table", help="file for the table, which is printed too")
    parsers["case"].add_argument("--model", required=True, choices=list(MODELS))
    parsers["case"].add_argument("--batch", type=int, required=True)
    parsers["case"].add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def main():
    args = parse_args()
    {"export": export, "run": run, "case": run_case}[args.verb](args)


if __name__ == "__main__":
    main()
