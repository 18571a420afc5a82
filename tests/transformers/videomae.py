#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/models/videomae-tiny from transformers' VideoMAE: a random checkpoint under the published names, a
synthetic clip, the stages of the reference, and which tubelets run-length tokenization keeps of the clip.

    videomae.py make FOLDER    writes the case
    videomae.py check FOLDER   loads the checkpoint that lies there into transformers and compares with what lies there

Exit 0 passed, 1 failed, 77 skipped (no transformers). RLT here is numpy over pixel_values, after the formula of the paper
(arXiv 2411.05222) and of rccchoudhury/rlt: mean over a patch of |last frame - first frame of the tubelet before|."""
import json
import os
import sys

SKIP = 77
try:
    import numpy as np
    import torch
    import transformers
    from PIL import Image
    from safetensors.numpy import load_file, save_file
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(SKIP)

ATTN_LAYER = 1
TAU = 0.1  # RLT's threshold, in units of pixel_values
CONFIG = dict(image_size=32, patch_size=8, num_channels=3, num_frames=8, tubelet_size=2, hidden_size=32, num_hidden_layers=3,
              num_attention_heads=2, intermediate_size=64, hidden_act="gelu", layer_norm_eps=1e-12, qkv_bias=True,
              use_mean_pooling=True, decoder_num_attention_heads=1, decoder_hidden_size=16, decoder_num_hidden_layers=1,
              decoder_intermediate_size=32)
LABELS = ["falling", "resting", "rising", "turning", "waving"]
PREP = dict(do_resize=True, size={"shortest_edge": 32}, resample=2, do_center_crop=True,
            crop_size={"height": 32, "width": 32}, do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
            image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
            image_processor_type="VideoMAEImageProcessor")


def make_frames():
    """8 frames of 52 x 44: a still scene, a square that moves, a corner that gets brighter slowly, another at once."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:44, 0:52]
    scene = 110 + 60 * np.sin(x / 7)[..., None] * np.cos(y / (5 + np.arange(3)[:, None, None])).transpose(1, 2, 0)
    scene = scene + rng.normal(0, 12, scene.shape)
    frames = []
    for t in range(8):
        f = scene.copy()
        f[30:, 36:] += 3 * t
        f[:10, :12] += 40 * (t >= 4)
        f[14:24, 6 + 4 * t:14 + 4 * t] = [220, 40, 90]
        frames.append(np.clip(np.rint(f), 0, 255).astype(np.uint8))
    return frames


def resized(frames):
    """As the PIL processor: shortest edge 32 bilinear, centre crop. [T, 32, 32, 3] u8"""
    out = []
    for f in frames:
        h, w = f.shape[:2]
        height, width = (32, 32 * w // h) if h <= w else (32 * h // w, 32)
        r = np.asarray(Image.fromarray(f).resize((width, height), Image.BILINEAR))
        top, left = (height - 32) // 2, (width - 32) // 2
        out.append(r[top:top + 32, left:left + 32])
    return np.stack(out)


def rlt_keep(pixels):
    """pixels [T, 3, H, W] -> [tubelets] 1 = kept"""
    p, t = CONFIG["patch_size"], CONFIG["tubelet_size"]
    first, last = pixels[:-t:t], pixels[2 * t - 1::t]
    d = np.abs(last.astype(np.float64) - first).mean(1)
    d = d.reshape(len(d), d.shape[1] // p, p, d.shape[2] // p, p).mean((2, 4))
    assert np.abs(d - TAU).min() > 2e-3, "a tubelet is too near the threshold to be a test"
    return np.concatenate([np.ones_like(d[:1]), d > TAU]).astype(np.int32).ravel()


def processed(frames):
    """pixel_values [1, T, 3, H, W] of transformers' own PIL processor."""
    from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

    known = {k: v for k, v in PREP.items() if k != "image_processor_type"}
    pixels = VideoMAEImageProcessorPil(**known)([Image.fromarray(f) for f in frames], return_tensors="pt")["pixel_values"]
    pixels = pixels.reshape(1, len(frames), 3, 32, 32)
    u8 = torch.from_numpy(resized(frames).astype(np.float32)).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(PREP[k]).reshape(3, 1, 1) for k in ("image_mean", "image_std"))
    assert (pixels[0] - (u8 / 255 - mean) / std).abs().max() < 1e-5, "not the PIL processor's arithmetic"
    return pixels


def make_model():
    config = VideoMAEConfig(**CONFIG, id2label=dict(enumerate(LABELS)), architectures=["VideoMAEForVideoClassification"])
    config._attn_implementation = "eager"
    return VideoMAEForVideoClassification(config).eval()


def randomise(model):
    """Weights large enough that attention is far from uniform and biases matter."""
    g = torch.Generator().manual_seed(11)
    for name, w in model.named_parameters():
        r = torch.randn(w.shape, generator=g)
        is_norm = "norm" in name
        if w.ndim > 1:
            w.data = r * (1.6 / np.sqrt(w[0].numel()))
        else:
            w.data = 1 + 0.2 * r if is_norm and name.endswith("weight") else 0.2 * r


def published(model):
    """Tensors under the names of the hub."""
    names = {"attention.attention.query.bias": "attention.attention.q_bias",
             "attention.attention.value.bias": "attention.attention.v_bias"}
    out = {}
    for name, w in model.state_dict().items():
        for new, old in names.items():
            name = name.replace(new, old)
        out[name] = w.detach().float().numpy().copy()
    return out


def load(model, folder):
    state = load_file(os.path.join(folder, "model.safetensors"))
    back = {"attention.attention.q_bias": "attention.attention.query.bias",
            "attention.attention.v_bias": "attention.attention.value.bias"}
    for name in list(state):
        for old, new in back.items():
            if old in name:
                state[name.replace(old, new)] = state.pop(name)
    missing = model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=True)
    assert not missing.missing_keys and not missing.unexpected_keys


def stages(model, pixels):
    """name -> (what it is, array)"""
    with torch.no_grad():
        body, block = model.videomae, model.videomae.encoder.layer
        seen = {}
        hooks = [layer.register_forward_hook(lambda m, i, o, n=n: seen.update({f"hidden.{n}": o[0] if isinstance(o, tuple) else o}))
                 for n, layer in enumerate(block)]
        attention = block[ATTN_LAYER].attention.attention
        hooks.append(attention.key.register_forward_hook(lambda m, i, o: seen.update(keys=o)))
        hooks.append(attention.register_forward_hook(lambda m, i, o: seen.update(attn=o[1])))
        hooks.append(body.embeddings.register_forward_hook(lambda m, i, o: seen.update(embeddings=o)))
        hooks.append(body.register_forward_hook(lambda m, i, o: seen.update(last=o.last_hidden_state)))
        hooks.append(model.fc_norm.register_forward_hook(lambda m, i, o: seen.update(pooled=o)))
        logits = model(pixels.to(next(model.parameters()).dtype)).logits
        for h in hooks:
            h.remove()
    heads = CONFIG["num_attention_heads"]
    keys = seen["keys"].unflatten(-1, (heads, -1)).mean(-2)
    out = {"pixel_values": ("processor output [clip, frame, channel, row, col]", pixels),
           "embeddings": ("tokens entering block 0, positions added", seen["embeddings"])}
    for n in range(len(block)):
        out[f"hidden.{n}"] = (f"output of block {n}", seen[f"hidden.{n}"])
    out[f"attn.col_mean.{ATTN_LAYER}"] = ("attention received by each token, mean over heads and over queries, all steps",
                                          seen["attn"].mean((1, 2)))
    out[f"keys.{ATTN_LAYER}"] = ("keys of this block, mean over heads, no RoPE in this family", keys)
    out["last_hidden"] = ("output of the last block (mean pooling: no final norm)", seen["last"])
    out["pooled"] = ("fc_norm (eps 1e-5) of the mean over all tokens", seen["pooled"])
    out["logits"] = ("classifier output", logits)
    return {k: (text, np.ascontiguousarray(v.detach().double().numpy())) for k, (text, v) in out.items()}


def reference(model, pixels):
    """f32 stages and their distance from f64."""
    single = stages(model, pixels)
    double = stages(model.double(), pixels.double())
    model.float()
    return {k: (text, np.ascontiguousarray(v, np.float32), float(np.abs(v - double[k][1]).max())) for k, (text, v) in single.items()}


def describe(ref, frames):
    tensors = {}
    for name, (text, v, off) in ref.items():
        rms = float(np.sqrt((v.astype(np.float64) ** 2).mean()))
        tensors[name] = {"is": text, "shape": list(v.shape), "dtype": "F32", "rms": float(f"{rms:.4g}"),
                         "max_abs_err_f32_vs_f64": float(f"{off:.3g}"),
                         "tol_abs": float(f"{max(10 * off, 3e-5 * rms):.2g}")}
    tensors["pixel_values"]["preprocess_tol_abs"] = 1e-5
    return {"family": "videomae", "variant": "videomae-tiny", "weights": "f32", "shards": 1, "processor": "PIL backend",
            "notes": "tubelets of 2 frames, joint attention of all 4 steps, sinusoid positions computed; q_bias and v_bias as "
                     "on the hub, no key bias; fc_norm has eps 1e-5, blocks 1e-12; rlt.safetensors: frames as the model "
                     "sees them and the tubelets that RLT keeps at 0.1",
            "run": {"video": True, "attn_layer": ATTN_LAYER},
            "inputs": [f"frame_{i:03d}.png" for i in range(len(frames))],
            "tolerance": {"rule": "max_abs_diff <= tol_abs of the tensor (10 x the reference's own f32-vs-f64 error, at least "
                                  "3e-5 of the tensor RMS)", "simple_alternative_rel_rms": 0.0001},
            "tensors": tensors,
            "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}}


def make(folder):
    os.makedirs(folder, exist_ok=True)
    frames, model = make_frames(), make_model()
    randomise(model)
    pixels = processed(frames)
    ref = reference(model, pixels)
    for i, f in enumerate(frames):
        Image.fromarray(f).save(os.path.join(folder, f"frame_{i:03d}.png"))
    config = dict(architectures=["VideoMAEForVideoClassification"], model_type="videomae", **CONFIG,
                  id2label={str(i): n for i, n in enumerate(LABELS)}, label2id={n: i for i, n in enumerate(LABELS)},
                  torch_dtype="float32")
    for name, value in (("config", config), ("preprocessor_config", PREP), ("case", describe(ref, frames))):
        with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as f:
            json.dump(value, f, indent=2)
            f.write("\n")
    save_file(published(model), os.path.join(folder, "model.safetensors"), {"format": "pt"})
    save_file({k: v for k, (_, v, _) in ref.items()}, os.path.join(folder, "expected.safetensors"))
    save_file({"frames": resized(frames), "keep": rlt_keep(pixels[0].numpy())}, os.path.join(folder, "rlt.safetensors"))


def check(folder):
    with open(os.path.join(folder, "case.json"), encoding="utf-8") as f:
        case = json.load(f)
    frames = [np.asarray(Image.open(os.path.join(folder, n)).convert("RGB")) for n in case["inputs"]]
    model = make_model()
    load(model, folder)
    pixels = processed(frames)
    expected, rlt = (load_file(os.path.join(folder, f"{n}.safetensors")) for n in ("expected", "rlt"))
    bad = 0
    for name, (_, v, _) in reference(model, pixels).items():
        off = np.abs(v.astype(np.float64) - expected[name]).max()
        if v.shape != expected[name].shape or not off <= case["tensors"][name]["tol_abs"]:
            print(f"{name}: off by {off:g}")
            bad = 1
    if set(expected) != set(case["tensors"]) or not (rlt["frames"] == resized(frames)).all():
        print("tensors or frames of the case are not those of the script")
        bad = 1
    keep = rlt_keep(pixels[0].numpy())
    if not (rlt["keep"] == keep).all():
        print(f"RLT keeps {keep.sum()} tubelets, the fixture says {rlt['keep'].sum()}")
        bad = 1
    return bad


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "check"):
        sys.exit(__doc__)
    sys.exit(make(sys.argv[2]) if sys.argv[1] == "make" else check(sys.argv[2]))
