#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/models/{internvl-6b,llava-next,onevision-shrink}-tiny from transformers: random checkpoints under the
names that transformers 5 saves, one photo each, the stages of the reference. What the big fixtures do not hold: RMS norms
and norms of queries and keys over all heads, LLaVA-NeXT's tiles, OneVision's shrunk tiles.

    mllm.py make FOLDER    writes the cases as FOLDER/CASE
    mllm.py check FOLDER   loads the checkpoints that lie there into transformers and compares with what lies there

Exit 0 passed, 1 failed, 77 skipped (no transformers)."""
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
    from transformers import (InternVLConfig, InternVLForConditionalGeneration, LlavaNextConfig,
                              LlavaNextForConditionalGeneration, LlavaOnevisionConfig,
                              LlavaOnevisionForConditionalGeneration)
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
    from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(SKIP)

WIDTH = 12  # of the language model
TEXT = dict(hidden_size=WIDTH, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
            vocab_size=64, max_position_embeddings=512)
NORM = dict(image_mean=[0.48, 0.46, 0.41], image_std=[0.27, 0.26, 0.28])
HALF = dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])


def grid(side, most):
    return [[side * i, side * j] for i in range(1, most + 1) for j in range(1, most + 1)]


# name -> configuration, classes, preprocessor's file, size of the photo
CASES = {
    "internvl-6b-tiny": dict(
        family="internvl", model=InternVLForConditionalGeneration, config=InternVLConfig, process=GotOcr2ImageProcessorPil,
        notes="RMS norms, norms of queries and keys over all heads, qkv without bias; crop_to_patches is false in the file, "
              "but InternVLProcessor crops; 3 x 1 tiles and the whole picture",
        dims=dict(model_type="internvl", downsample_ratio=0.5, image_token_id=60, text_config=dict(model_type="qwen2", **TEXT),
                  vision_config=dict(model_type="internvl_vision", hidden_size=20, num_hidden_layers=2,
                                     num_attention_heads=5, intermediate_size=32, norm_type="rms_norm", use_qk_norm=True,
                                     attention_bias=False, image_size=[16, 16], patch_size=[4, 4])),
        prep=dict(image_processor_type="GotOcr2ImageProcessor", processor_class="InternVLProcessor", crop_to_patches=False,
                  min_patches=1, max_patches=4, do_resize=True, resample=3, size=dict(height=16, width=16), **NORM),
        run=dict(crop_to_patches=True), size=(52, 18)),
    "llava-next-tiny": dict(
        family="llava", model=LlavaNextForConditionalGeneration, config=LlavaNextConfig, process=LlavaNextImageProcessorPil,
        notes="the whole picture, then 2 x 2 tiles without padding and with newlines; layer -2",
        dims=dict(model_type="llava_next", image_token_index=60, image_grid_pinpoints=[[16, 32], [32, 16], [32, 32]],
                  vision_feature_layer=-2, text_config=dict(model_type="llama", **TEXT),
                  vision_config=dict(model_type="clip_vision_model", hidden_size=16, intermediate_size=24,
                                     num_hidden_layers=3, num_attention_heads=4, image_size=16, patch_size=4)),
        prep=dict(image_processor_type="LlavaNextImageProcessor", do_resize=True, do_center_crop=True, do_pad=True,
                  resample=3, size=dict(shortest_edge=16), crop_size=dict(height=16, width=16),
                  image_grid_pinpoints=[[16, 32], [32, 16], [32, 32]], **NORM),
        run={}, size=(50, 35)),
    "onevision-shrink-tiny": dict(
        family="onevision", model=LlavaOnevisionForConditionalGeneration, config=LlavaOnevisionConfig,
        process=LlavaOnevisionImageProcessorPil,
        notes="4 x 4 tiles of 3 x 3 patches, unpadded, are more than anyres_max_9 leaves: shrunk; 1 pixel of a tile's side "
              "is in no patch",
        dims=dict(model_type="llava_onevision", image_token_index=60, video_token_index=61, image_grid_pinpoints=grid(16, 4),
                  vision_aspect_ratio="anyres_max_9", vision_feature_layer=-1, vision_feature_select_strategy="full",
                  text_config=dict(model_type="qwen2", **TEXT),
                  vision_config=dict(model_type="siglip_vision_model", hidden_size=8, intermediate_size=16,
                                     num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=5,
                                     vision_use_head=False)),
        prep=dict(image_processor_type="LlavaOnevisionImageProcessor", do_resize=True, do_pad=True, resample=3,
                  size=dict(height=16, width=16), image_grid_pinpoints=grid(16, 4), **HALF),
        run={}, size=(64, 57)),
}


def make_photo(size):
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:size[1], 0:size[0]]
    scene = 120 + 70 * np.sin(x[..., None] / (4 + np.arange(3))) * np.cos(y[..., None] / (6 - np.arange(3)))
    scene[10:20, 5:30] = [200, 60, 30]
    return Image.fromarray(np.clip(scene + rng.normal(0, 2, scene.shape), 0, 255).astype(np.uint8))


def make_model(case):
    torch.manual_seed(0)
    config = case["config"](**json.loads(json.dumps({k: v for k, v in case["dims"].items() if k != "model_type"})))
    config._attn_implementation = "eager"
    config.vision_config._attn_implementation = "eager"
    return case["model"](config).eval()


def randomise(model):
    """Weights large enough that attention is far from uniform and norms and biases matter."""
    g = torch.Generator().manual_seed(13)
    for name, w in model.named_parameters():
        r = torch.randn(w.shape, generator=g)
        is_factor = ("norm" in name and name.endswith("weight")) or "lambda" in name
        if w.ndim > 1 and "embedding" not in name and "token" not in name:
            w.data = r * (1.6 / np.sqrt(w[0].numel()))
        else:
            w.data = 1 + 0.2 * r if is_factor else 0.3 * r


def is_tower(name):
    return "vision_tower" in name or "projector" in name or "newline" in name


def processed(case, photo):
    known = {k: v for k, v in case["prep"].items() if k not in ("image_processor_type", "processor_class")}
    known.update(case["run"])
    return case["process"](**known)(photo, return_tensors="pt")


def sizes_of(inputs):
    return torch.tensor([[int(v) for v in size] for size in inputs["image_sizes"]])


def tower_blocks(model):
    encoder = model.model.vision_tower
    encoder = getattr(encoder, "vision_model", encoder).encoder
    return encoder.layer if hasattr(encoder, "layer") else encoder.layers


def stages(model, case, inputs):
    """name -> (what it is, array)"""
    seen, blocks = {}, tower_blocks(model)
    at = len(blocks) - 2
    first = lambda o: o[0] if isinstance(o, tuple) else o
    hooks = [b.register_forward_hook(lambda m, i, o, n=n: seen.update({f"hidden.{n}": first(o)})) for n, b in enumerate(blocks)]
    hooks.append(blocks[0].register_forward_pre_hook(lambda m, i, k: seen.update(embeddings=i[0] if i else k["hidden_states"]),
                                                     with_kwargs=True))
    attention = blocks[at].attention if hasattr(blocks[at], "attention") else blocks[at].self_attn
    keys = attention.k_norm if isinstance(getattr(attention, "k_norm", None), torch.nn.Module) else attention.k_proj
    hooks.append(keys.register_forward_hook(lambda m, i, o: seen.update(keys=o)))
    hooks.append(attention.register_forward_hook(lambda m, i, o: seen.update(attn=o[1])))
    projector = model.model.multi_modal_projector
    hooks.append(projector.register_forward_hook(lambda m, i, o: seen.update(into=i[0], out=o)))
    pixels = inputs["pixel_values"].to(next(model.parameters()).dtype)
    more = {"image_sizes": sizes_of(inputs)} if "image_sizes" in inputs else {}
    with torch.no_grad():
        projected = model.model.get_image_features(pixels, return_dict=True, **more).pooler_output
    for h in hooks:
        h.remove()
    heads = case["dims"]["vision_config"]["num_attention_heads"]
    out = {"pixel_values": ("processor output", inputs["pixel_values"]), "embeddings": ("tokens entering block 0", seen["embeddings"])}
    for n in range(len(blocks)):
        out[f"hidden.{n}"] = (f"output of block {n}", seen[f"hidden.{n}"])
    out[f"attn.col_mean.{at}"] = ("attention received by each token, mean over heads and over queries", seen["attn"].mean((1, 2)))
    out[f"keys.{at}"] = ("keys of this block as attention sees them, mean over heads", seen["keys"].unflatten(-1, (heads, -1)).mean(-2))
    out["shuffled" if case["family"] == "internvl" else "selected"] = ("what the projector reads", seen["into"])
    if "image_sizes" in inputs:
        out["projector_out"] = ("what the projector gives, per picture", seen["out"])
        projected = torch.cat(list(projected))
    out["projected"] = ("what the language model receives", projected)
    return {k: (text, np.ascontiguousarray(v.detach().double().numpy())) for k, (text, v) in out.items()}


def reference(model, case, inputs):
    """f32 stages and their distance from f64."""
    single = stages(model, case, inputs)
    double = stages(model.double(), case, inputs)
    model.float()
    return {k: (text, np.ascontiguousarray(v, np.float32), float(np.abs(v - double[k][1]).max())) for k, (text, v) in single.items()}


def describe(name, case, ref):
    tensors = {}
    for key, (text, v, off) in ref.items():
        rms = float(np.sqrt((v.astype(np.float64) ** 2).mean()))
        tensors[key] = {"is": text, "shape": list(v.shape), "dtype": "F32", "rms": float(f"{rms:.4g}"),
                        "max_abs_err_f32_vs_f64": float(f"{off:.3g}"), "tol_abs": float(f"{max(10 * off, 3e-5 * rms):.2g}")}
    tensors["pixel_values"]["preprocess_tol_abs"] = 1e-5
    return {"family": case["family"], "variant": name, "weights": "f32", "shards": 1, "processor": "PIL backend",
            "notes": case["notes"], "run": {}, "inputs": ["image_0.png"],
            "tolerance": {"rule": "max_abs_diff <= tol_abs of the tensor (10 x the reference's own f32-vs-f64 error, at least "
                                  "3e-5 of the tensor RMS)", "simple_alternative_rel_rms": 0.0001},
            "tensors": tensors,
            "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}}


def write_json(folder, name, value):
    with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def make(name, folder):
    case = CASES[name]
    os.makedirs(folder, exist_ok=True)
    photo, model = make_photo(case["size"]), make_model(case)
    randomise(model)
    inputs = processed(case, photo)
    ref = reference(model, case, inputs)
    expected = {k: v for k, (_, v, _) in ref.items()}
    description = describe(name, case, ref)
    if "image_sizes" in inputs:
        expected["image_sizes"] = sizes_of(inputs).numpy().astype(np.int32)
        described = {"image_sizes": {"is": "original height, width", "shape": [1, 2], "dtype": "I32", "tol": "exact"}}
        description["tensors"] = {**described, **description["tensors"]}
    photo.save(os.path.join(folder, "image_0.png"))
    for key, value in (("config", case["dims"]), ("preprocessor_config", case["prep"]), ("case", description)):
        write_json(folder, key, value)
    weights = {k: v.detach().float().numpy().copy() for k, v in model.state_dict().items() if is_tower(k)}
    save_file(weights, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    save_file(expected, os.path.join(folder, "expected.safetensors"))


def check(name, folder):
    case = CASES[name]
    model = make_model(case)
    state = {k: torch.from_numpy(v) for k, v in load_file(os.path.join(folder, "model.safetensors")).items()}
    found = model.load_state_dict(state, strict=False)
    bad = list(found.unexpected_keys) + [k for k in found.missing_keys if is_tower(k)]
    with open(os.path.join(folder, "case.json"), encoding="utf-8") as f:
        tensors = json.load(f)["tensors"]
    expected = load_file(os.path.join(folder, "expected.safetensors"))
    inputs = processed(case, Image.open(os.path.join(folder, "image_0.png")).convert("RGB"))
    for key, (_, v) in stages(model, case, inputs).items():
        if v.shape != expected[key].shape or np.abs(v - expected[key]).max() > tensors[key]["tol_abs"]:
            bad.append(key)
    print(f"{'FAIL' if bad else 'ok  '} {name} {' '.join(bad)}")
    return bool(bad)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "check"):
        print(__doc__)
        return 1
    folders = {name: os.path.join(sys.argv[2], name) for name in CASES}
    if sys.argv[1] == "check":
        return int(any([check(name, folder) for name, folder in folders.items()]))
    for name, folder in folders.items():
        make(name, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
