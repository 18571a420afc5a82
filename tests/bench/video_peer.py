#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What one would write today to encode a clip, without pare: PyAV decodes, torchvision resizes, OpenVINO encodes every
frame with DINOv2-S. Public packages only: av, numpy, torch, torchvision, transformers, onnx, onnxscript, openvino.

    video_peer.py --model DIR --clip CLIP --threads T --size 112|224 [--frames N] [--batch 16] [--save tokens.npy]
                  [--cache DIR]

DIR is a Hugging Face checkpoint (config.json, model.safetensors). The whole frame is squashed to SIZE x SIZE, as `pare
reduce --size` does, with the checkpoint's own filter, mean and std. The position table is brought to SIZE once, by the
checkpoint's own code, before the export, so that the graph does not do it again. --cache keeps the exported model;
--save writes the patch tokens [frames, rows, cols, dim].

Prints one JSON object: frames, fps, seconds of decode, prep, encode and in total (from opening the clip on; exporting and
compiling the model are not in it), CPU, versions."""
import argparse
import json
import os
import sys
import tempfile
import time


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--clip", required=True)
    p.add_argument("--threads", type=int, required=True)
    p.add_argument("--size", type=int, required=True)
    p.add_argument("--frames", type=int, default=0, help="0 = all")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--save")
    p.add_argument("--cache", help="folder of exported models; default: none is kept")
    return p.parse_args()


ARGS = arguments() if __name__ == "__main__" else None
if ARGS:
    os.environ["OMP_NUM_THREADS"] = str(ARGS.threads)  # before torch reads it

import av  # noqa: E402
import numpy as np  # noqa: E402
import openvino  # noqa: E402
import torch  # noqa: E402
import torchvision.transforms.functional as tv  # noqa: E402
import transformers  # noqa: E402
from torchvision.transforms import InterpolationMode  # noqa: E402

FILTERS = {2: InterpolationMode.BILINEAR, 3: InterpolationMode.BICUBIC}  # PIL's numbers, as checkpoints write them


class Tokens(torch.nn.Module):
    """Patch tokens after the final norm, [batch, rows * cols, dim]."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(pixel_values=x).last_hidden_state[:, 1:]


def load(folder, size):
    """The checkpoint with its position table brought to `size`."""
    transformers.logging.set_verbosity_error()
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    e, patch = model.embeddings, model.config.patch_size
    n = (size // patch) ** 2
    with torch.inference_mode():
        table = e.interpolate_pos_encoding(torch.zeros(1, 1 + n, model.config.hidden_size), size, size)
    e.position_embeddings = torch.nn.Parameter(table.clone(), requires_grad=False)
    return Tokens(model).eval()


def export(folder, size, batch, path):
    x = torch.zeros(batch, 3, size, size)
    torch.onnx.export(load(folder, size), (x,), path, input_names=["x"], output_names=["y"], dynamo=True,
                      external_data=False, verbose=False)


def compiled(args):
    """An inference request of the exported model."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.cache or scratch
        os.makedirs(folder, exist_ok=True)
        name = os.path.basename(os.path.normpath(args.model))
        path = os.path.join(folder, f"{name}-{args.size}-{args.batch}.onnx")
        if not os.path.exists(path):
            with open(os.devnull, "w") as null:  # the exporter talks
                out, sys.stdout = sys.stdout, null
                try:
                    export(args.model, args.size, args.batch, path)
                finally:
                    sys.stdout = out
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": args.threads, "NUM_STREAMS": 1}
        return openvino.Core().compile_model(path, "CPU", settings).create_infer_request()


def preprocessing(folder):
    with open(os.path.join(folder, "preprocessor_config.json")) as f:
        p = json.load(f)
    column = [torch.tensor(p[k]).view(3, 1, 1) for k in ("image_mean", "image_std")]
    return FILTERS[p["resample"]], *column


def frames_of(clip, threads, limit):
    """RGB frames [h, w, 3] in order."""
    with av.open(clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        for i, frame in enumerate(container.decode(stream)):
            if limit and i == limit:
                return
            yield frame.to_ndarray(format="rgb24")


class Clock:
    """Seconds per stage; lap(name) charges the time since the last lap to `name`."""

    def __init__(self):
        self.seconds = {"decode": 0.0, "prep": 0.0, "encode": 0.0}
        self.start = self.last = time.perf_counter()

    def lap(self, name):
        now = time.perf_counter()
        self.seconds[name] += now - self.last
        self.last = now

    def total(self):
        return time.perf_counter() - self.start


def encode_clip(args, request):
    """Number of frames, the clock, and the tokens of all frames if they are to be saved."""
    resample, mean, std = preprocessing(args.model)
    batch, tokens, n = [], [], 0

    def flush():
        x = torch.stack(batch + batch[-1:] * (args.batch - len(batch))).numpy()
        y = next(iter(request.infer({0: x}).values()))
        if args.save:
            tokens.append(np.array(y[:len(batch)]))
        batch.clear()
        clock.lap("encode")

    clock = Clock()
    for rgb in frames_of(args.clip, args.threads, args.frames):
        clock.lap("decode")
        x = torch.from_numpy(rgb).permute(2, 0, 1)
        x = tv.resize(x, [args.size, args.size], resample, antialias=True).float() / 255
        batch.append((x - mean) / std)
        n += 1
        clock.lap("prep")
        if len(batch) == args.batch:
            flush()
    if batch:
        flush()
    return n, clock, tokens


def cpu_name():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown"


def main(args):
    torch.set_num_threads(args.threads)
    request = compiled(args)
    with torch.inference_mode():
        request.infer({0: np.zeros((args.batch, 3, args.size, args.size), np.float32)})  # warm
        n, clock, tokens = encode_clip(args, request)
    total = clock.total()
    if args.save:
        y = np.concatenate(tokens)
        side = int(round(y.shape[1] ** 0.5))
        np.save(args.save, y.reshape(n, side, side, -1))
    print(json.dumps({
        "clip": os.path.basename(args.clip), "size": args.size, "batch": args.batch, "threads": args.threads,
        "frames": n, "fps": round(n / total, 2), "total_s": round(total, 3),
        **{k + "_s": round(v, 3) for k, v in clock.seconds.items()},
        "cpu": cpu_name(),
        "versions": {m.__name__: m.__version__ for m in (av, openvino, torch, transformers, np)},
    }))


if __name__ == "__main__":
    main(ARGS)
