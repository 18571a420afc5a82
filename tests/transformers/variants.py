#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the cases of tests/golden/models that stand for heads and options the large fixtures do not have: random weights
under the published names, random pixels, the stages of timm, open_clip or transformers.

    variants.py make FOLDER         writes a case per entry of SMALL into FOLDER
    variants.py make FOLDER large   those of LARGE: whole architectures under OpenCLIP, not committed

Exit 0 made, 77 skipped (something is not installed: torch, timm, open_clip_torch, transformers, safetensors)."""
import json
import os
import sys

SKIP = 77
try:
    import open_clip
    import timm
    import torch
    import transformers
    from open_clip.model import _build_vision_tower
    from safetensors.torch import save_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(SKIP)

NORM = {"input_size": [3, 32, 32], "interpolation": "bicubic", "crop_pct": 1.0, "mean": [0.5] * 3, "std": [0.5] * 3}
TINY = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8)


def randomise(model):
    """Weights large enough that attention is far from uniform and biases matter."""
    g = torch.Generator().manual_seed(7)
    for name, w in model.named_parameters():
        r = torch.randn(w.shape, generator=g)
        if w.ndim > 1:
            w.data = r * (1.6 / w[0].numel() ** 0.5 if "token" not in name and "pos" not in name else 0.5)
        else:
            w.data = 1 + 0.2 * r if name.endswith(("norm.weight", "norm1.weight", "norm2.weight")) else 0.2 * r


def run(model, blocks, heads, pixels):
    """name -> tensor: outputs of the blocks, then what `heads` makes of the pixels."""
    seen = {"pixel_values": pixels}
    hooks = [b.register_forward_hook(lambda m, i, o, n=n: seen.update({f"hidden.{n}": o[0] if isinstance(o, tuple) else o}))
             for n, b in enumerate(blocks)]
    with torch.no_grad():
        made = heads(pixels.to(next(model.parameters()).dtype))
    for h in hooks:
        h.remove()
    return {**seen, **made}


# ---- timm -----------------------------------------------------------------------------------------------------------


def timm_case(name, classes, pool, **args):
    args = dict(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2, **args)
    model = timm.create_model(name, num_classes=classes, global_pool=pool, **args).eval()

    def heads(x):
        rows = model.forward_features(x)
        out = {"last_hidden": rows, "pooled": model.forward_head(rows, pre_logits=True)}
        if classes:
            out["logits"] = model.forward_head(rows)
        if hasattr(model, "head_dist"):
            out["cls_logits"] = model.head(rows[:, 0])
            out["distillation_logits"] = model.head_dist(rows[:, 1])
        return out

    config = {"architecture": name, "num_classes": classes, "global_pool": pool, "model_args": args, "pretrained_cfg": NORM}
    return model, model.blocks, heads, {"config.json": config}, "", "model.safetensors", "timm"


# ---- OpenCLIP -------------------------------------------------------------------------------------------------------


def openclip_case(embed, quick_gelu, **vision):
    model = _build_vision_tower(embed, dict(vision), quick_gelu).eval()
    blocks = model.trunk.blocks if hasattr(model, "trunk") else model.transformer.resblocks
    config = {"model_cfg": {"embed_dim": embed, "quick_gelu": quick_gelu, "vision_cfg": vision, "text_cfg": {}},
              "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}}
    return (model, blocks, lambda x: {"image_embeds": model(x)}, {"open_clip_config.json": config}, "visual.",
            "open_clip_model.safetensors", "openclip")


# ---- transformers ---------------------------------------------------------------------------------------------------


def classifier_case(kind, model_type):
    config = getattr(transformers, f"{kind}Config")(vision_config=TINY, id2label=dict(enumerate("abcde")))
    model = getattr(transformers, f"{kind}ForImageClassification")._from_config(config, attn_implementation="eager").eval()
    written = {"architectures": [f"{kind}ForImageClassification"], "model_type": model_type, "vision_config": TINY,
               "id2label": {str(i): c for i, c in enumerate("abcde")}}
    prep = {"do_resize": True, "size": {"height": 32, "width": 32}, "do_center_crop": False, "resample": 3,
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3}

    def heads(x):
        return {"last_hidden": model.vision_model(x).last_hidden_state, "logits": model(x).logits}

    return (model, model.vision_model.encoder.layers, heads,
            {"config.json": written, "preprocessor_config.json": prep}, "", "model.safetensors", model_type)


SMALL = {
    "timm-distilled": lambda: timm_case("deit_tiny_distilled_patch16_224", 5, "token"),
    "timm-reg-map-qknorm": lambda: timm_case("vit_so150m_patch16_reg4_map_256", 5, "map", qk_norm=True),
    "timm-pool-all": lambda: timm_case("vit_medium_patch16_reg1_gap_256", 5, "avg", pool_include_prefix=True, proj_bias=False),
    "timm-no-norm": lambda: timm_case("vit_base_patch16_radio_v3", 0, "token", reg_tokens=2),
    "openclip-pooled": lambda: openclip_case(12, True, image_size=32, layers=2, width=16, head_width=8, patch_size=8,
                                             mlp_ratio=2.0, no_ln_pre=True, pool_type="avg", final_ln_after_pool=True,
                                             ls_init_value=0.1, norm_kwargs={"eps": 1e-6}),
    "openclip-avg": lambda: openclip_case(12, False, image_size=32, layers=2, width=16, head_width=8, patch_size=8,
                                          pool_type="avg", pos_embed_type="sin_cos_2d", act_kwargs={"approximate": "tanh"}),
    "clip-classifier": lambda: classifier_case("CLIP", "clip"),
    "siglip-classifier": lambda: classifier_case("Siglip", "siglip"),
}
LARGE = {
    "openclip-siglip": lambda: openclip_case(768, False, image_size=224, timm_model_name="vit_base_patch16_siglip_224",
                                             timm_model_pretrained=False, timm_pool="map", timm_proj="none"),
    "openclip-linear": lambda: openclip_case(12, False, image_size=224, timm_model_name="vit_tiny_patch16_224",
                                             timm_model_pretrained=False, timm_pool="avg", timm_proj="linear"),
    "openclip-own-head": lambda: openclip_case(12, False, image_size=224, timm_model_name="vit_tiny_patch16_224",
                                               timm_model_pretrained=False, timm_pool="avg", timm_proj=None),
    "openclip-timm-clip": lambda: openclip_case(12, False, image_size=224, timm_proj_bias=True,
                                                timm_model_name="vit_xsmall_patch16_clip_224",
                                                timm_model_pretrained=False, timm_pool="token", timm_proj="linear"),
}


def plain(state, prefix):
    """Published names: the wrappers of this transformers keep a tower under a second "vision_model."."""
    skip = ("position_ids", "text_model", "logit_scale", "logit_bias")
    out = {k: v for k, v in state.items() if not any(s in k for s in skip)}
    return {prefix + k.replace("vision_model.vision_model.", "vision_model."): v.float().contiguous() for k, v in out.items()}


def make(folder, case, build):
    torch.manual_seed(3)
    model, blocks, heads, files, prefix, weights, family = build()
    randomise(model)
    side = 224 if "timm_model_name" in json.dumps(files) else 32
    pixels = torch.randn(1, 3, side, side)
    single = run(model, blocks, heads, pixels)
    double = run(model.double(), blocks, heads, pixels.double())
    model.float()
    at = os.path.join(folder, case)
    os.makedirs(at, exist_ok=True)
    tensors = {}
    for name, v in single.items():
        rms = float(v.double().pow(2).mean().sqrt())
        off = float((v.double() - double[name]).abs().max())
        tensors[name] = {"shape": list(v.shape), "dtype": "F32", "rms": float(f"{rms:.4g}"),
                         "max_abs_err_f32_vs_f64": float(f"{off:.3g}"),
                         "tol_abs": float(f"{max(10 * off, 3e-5 * rms):.2g}")}
    save_file({k: v.float().contiguous().clone() for k, v in single.items()}, os.path.join(at, "expected.safetensors"))
    save_file(plain(model.state_dict(), prefix), os.path.join(at, weights))
    kase = {"family": family, "variant": case, "weights": "f32", "run": {}, "inputs": [],
            "notes": "made by tests/transformers/variants.py; pixels are noise", "tensors": tensors,
            "versions": {"torch": torch.__version__.split("+")[0], "timm": timm.__version__,
                         "open_clip": open_clip.__version__, "transformers": transformers.__version__}}
    for name, content in {**files, "case.json": kase}.items():
        with open(os.path.join(at, name), "w") as f:
            json.dump(content, f, indent=1)
            f.write("\n")
    print(at)


def main():
    if len(sys.argv) < 3 or sys.argv[1] != "make":
        sys.exit(__doc__)
    for case, build in (LARGE if sys.argv[3:] == ["large"] else SMALL).items():
        make(sys.argv[2], case, build)


if __name__ == "__main__":
    main()
