#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes facts.json: for every model of encoders.json and multimodal.json the names and shapes of its tensors, and how many
tokens its own processor makes of photos and clips of ten sizes. Nothing is downloaded: the models are built on the meta
device from the configuration files of make.py, the processors from theirs.

    reference.py [NAME...]       needs torch, torchvision, transformers 5 and timm
Keys of a model: `class` is the one of transformers, `timm` an entry point of timm, `names` a layout without a class here:
"openclip" and "opengvlab" are spelled out below, anything else goes before timm's names. `tower`: which names are the visual
part (default: all), `unread`: which of these nobody needs for its output. `clip`: takes clips of so many frames only. `cut`:
what was made smaller. The language model is cut to one layer: it only has to be passed over."""
import copy
import json
import os
import re
import sys
import tempfile

import numpy as np
import timm
import timm.data
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers.core_model_loading import revert_weight_conversion

sys.dont_write_bytecode = True
import make  # noqa: E402

SIZES = [(640, 480), (480, 640), (1920, 1080), (1080, 1920), (224, 224), (336, 1000), (1000, 300), (333, 517), (97, 65),
         (3000, 2000)]  # width, height
CLIPS = {"qwen": (8, 9), "llava-onevision": (8,), "internvl3-1b": (8,), "videomae": (16,)}  # frames, by the start of a name


# ---- names and shapes -------------------------------------------------------------------------------------------------
def shapes(module):
    return {name: list(t.shape) for name, t in module.state_dict().items()}


def cut_language(config):
    """One layer is enough of what is passed over."""
    for part in {id(p): p for p in (getattr(config, "text_config", None),) if p is not None}.values():
        part.num_hidden_layers = 1
        if getattr(part, "layer_types", None):
            part.layer_types = part.layer_types[:1]


def names_of_class(model, folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    cut_language(config)
    with torch.device("meta"):
        built = getattr(transformers, model["class"])(config)
    state = revert_weight_conversion(built, built.state_dict())
    return {name: list(t.shape) for name, t in state.items()}


def names_of_timm(model):
    config = model.get("config.json", {})
    with torch.device("meta"):
        built = timm.create_model(model["timm"], num_classes=config.get("num_classes", 0))
    before = model.get("names", "")
    return {before + name: shape for name, shape in shapes(built).items()}


def linear(out, name, n_out, n_in, bias=True):
    out[name + ".weight"] = [n_out, n_in]
    if bias:
        out[name + ".bias"] = [n_out]


def norm(out, name, n, bias=True):
    out[name + ".weight"] = [n]
    if bias:
        out[name + ".bias"] = [n]


def names_of_openclip(model):
    """open_clip's own transformer: OpenCLIP names, engines.md 2.5.5."""
    c = model["open_clip_config.json"]["model_cfg"]
    v, d = c["vision_cfg"], c["vision_cfg"]["width"]
    grid = v["image_size"] // v["patch_size"]
    out = {"visual.class_embedding": [d], "visual.positional_embedding": [grid * grid + 1, d],
           "visual.proj": [d, c["embed_dim"]], "visual.conv1.weight": [d, 3, v["patch_size"], v["patch_size"]]}
    norm(out, "visual.ln_pre", d)
    norm(out, "visual.ln_post", d)
    for i in range(v["layers"]):
        b = f"visual.transformer.resblocks.{i}."
        norm(out, b + "ln_1", d)
        norm(out, b + "ln_2", d)
        out[b + "attn.in_proj_weight"], out[b + "attn.in_proj_bias"] = [3 * d, d], [3 * d]
        linear(out, b + "attn.out_proj", d, d)
        linear(out, b + "mlp.c_fc", 4 * d, d)
        linear(out, b + "mlp.c_proj", d, 4 * d)
    out.update({"logit_scale": [], "positional_embedding": [77, 512], "token_embedding.weight": [49408, 512]})
    return out


def names_of_opengvlab(model):
    """InternVisionModel and mlp1 as OpenGVLab writes them."""
    c = model["config.json"]
    v = c["vision_config"]
    d, f, rms = v["hidden_size"], v["intermediate_size"], v["norm_type"] == "rms_norm"
    grid, wide, llm = v["image_size"] // v["patch_size"], 4 * v["hidden_size"], c["llm_config"]["hidden_size"]
    e = "vision_model.embeddings."
    out = {e + "class_embedding": [1, 1, d], e + "position_embedding": [1, grid * grid + 1, d],
           e + "patch_embedding.weight": [d, 3, v["patch_size"], v["patch_size"]], e + "patch_embedding.bias": [d]}
    for i in range(v["num_hidden_layers"]):
        b = f"vision_model.encoder.layers.{i}."
        norm(out, b + "norm1", d, not rms)
        norm(out, b + "norm2", d, not rms)
        linear(out, b + "attn.qkv", 3 * d, d, v["qkv_bias"])
        linear(out, b + "attn.proj", d, d)
        if v["qk_normalization"]:
            norm(out, b + "attn.q_norm", d, False)
            norm(out, b + "attn.k_norm", d, False)
        linear(out, b + "mlp.fc1", f, d)
        linear(out, b + "mlp.fc2", d, f)
        out[b + "ls1"], out[b + "ls2"] = [d], [d]
    norm(out, "mlp1.0", wide)
    linear(out, "mlp1.1", llm, wide)
    linear(out, "mlp1.3", llm, llm)
    out["language_model.model.norm.weight"] = [llm]
    return out


def names_of(model, folder):
    if model.get("names") == "openclip":
        return names_of_openclip(model)
    if model.get("names") == "opengvlab":
        return names_of_opengvlab(model)
    return names_of_timm(model) if "timm" in model else names_of_class(model, folder)


def compress(names):
    """Runs of blocks of one shape become one line: see make.expand."""
    runs = {}
    for name, shape in names.items():
        found = re.search(r"(?<=\.)\d+(?=\.)", name)
        key = (name[: found.start()], name[found.end() :], tuple(shape)) if found else (name, None, tuple(shape))
        runs.setdefault(key, []).append(int(found[0]) if found else None)
    out = {}
    for (before, after, shape), numbers in runs.items():
        whole = after is not None and len(numbers) > 1 and sorted(numbers) == list(range(min(numbers), max(numbers) + 1))
        for n in ["{%d..%d}" % (min(numbers), max(numbers))] if whole else numbers:
            out[before if n is None else f"{before}{n}{after}"] = list(shape)
    assert make.expand(out) == names
    return out


def split(model, names):
    tower, unread = re.compile(model.get("tower", "visual" if "open_clip_config.json" in model else
                                         "vision_model|mlp1" if model.get("names") == "opengvlab" else "")), model.get("unread")
    read = {n: s for n, s in names.items() if tower.search(n) and not (unread and re.search(unread, n))}
    return read, {n: s for n, s in names.items() if n not in read}


# ---- tokens -----------------------------------------------------------------------------------------------------------
def tokenizer(*special, **named):
    special += tuple(named.values())
    words = {"[UNK]": 0, **{s: i + 1 for i, s in enumerate(special)}}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words, unk_token="[UNK]")),
                                                unk_token="[UNK]", extra_special_tokens=named)
    made.add_special_tokens({"additional_special_tokens": list(special)})
    return made


def picture(size):
    return Image.new("RGB", size, (90, 120, 60))


def clip(size, frames):
    return np.full((frames, size[1], size[0], 3), 90, np.uint8)


def patches(pixels, side):
    return int(pixels.shape[-2] // side) * int(pixels.shape[-1] // side)


def timm_photo(model, size):
    transform = timm.data.create_transform(**timm.data.resolve_data_config(
        pretrained_cfg=model["config.json"]["pretrained_cfg"]))
    with torch.device("meta"):
        made = timm.create_model(model["timm"], num_classes=0)
    return patches(transform(picture(size)), made.patch_embed.patch_size[0])


def openclip_photo(model, size):
    """open_clip is not needed to see that both its ways (shortest and crop, squash) end in the square of the model."""
    v = model["open_clip_config.json"]["model_cfg"]["vision_cfg"]
    return (v["image_size"] // v.get("patch_size", 16)) ** 2


def opengvlab_tiles(model):
    """The tiles of the model card's dynamic_preprocess, as transformers has them."""
    c = model["config.json"]
    side = c["force_image_size"]
    return transformers.GotOcr2ImageProcessor(size={"height": side, "width": side}, crop_to_patches=True,
                                              min_patches=c["min_dynamic_patch"], max_patches=c["max_dynamic_patch"])


def processor_of(model, folder):
    """LLaVA's processors count newlines; they want a tokenizer that knows their words."""
    config = model["processor_config.json"]
    cls = getattr(transformers, config["processor_class"])
    keys = {k: v for k, v in config.items() if k != "processor_class"}
    parts = {"image_processor": transformers.AutoImageProcessor.from_pretrained(folder),
             "tokenizer": tokenizer("<image>", "<video>")}
    if "Onevision" in config["processor_class"]:
        parts["video_processor"] = transformers.LlavaOnevisionVideoProcessor.from_pretrained(folder)
    return cls(**parts, **keys)


def llava(model, folder, size, frames):
    processor = processor_of(model, folder)
    if frames:
        out = processor(text="<video>", videos=[clip(size, frames)], return_tensors="pt", do_sample_frames=False)
    else:
        out = processor(text="<image>", images=picture(size), return_tensors="pt")
    wanted = processor.tokenizer.convert_tokens_to_ids("<video>" if frames else "<image>")
    return int((out["input_ids"] == wanted).sum())


def internvl(model, folder, size):
    """Its processor cuts photos into tiles whatever preprocessor_config.json says."""
    processor = transformers.InternVLProcessor(
        image_processor=transformers.AutoImageProcessor.from_pretrained(folder),
        video_processor=transformers.InternVLVideoProcessor(),
        tokenizer=tokenizer(start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>",
                            video_token="<video>"))
    out = processor(text="<IMG_CONTEXT>", images=picture(size), return_tensors="pt")
    return int((out["input_ids"] == processor.image_token_id).sum())


def qwen(model, folder, size, frames):
    if frames:
        kind = "Qwen3VLVideoProcessor" if "qwen3" in model["config.json"]["model_type"] else "Qwen2VLVideoProcessor"
        made = getattr(transformers, kind).from_pretrained(folder)
        grid = made(videos=[clip(size, frames)], return_tensors="pt", do_sample_frames=False)["video_grid_thw"]
    else:
        grid = transformers.AutoImageProcessor.from_pretrained(folder)(picture(size), return_tensors="pt")["image_grid_thw"]
    return int(grid.prod()) // 4


def tokens(name, model, folder, size, frames):
    config = model.get("config.json", {})
    kind = config.get("model_type", "")
    if "open_clip_config.json" in model:
        return openclip_photo(model, size)
    if "timm" in model:
        return timm_photo(model, size)
    if kind == "internvl_chat":
        return 256 * (frames or int(opengvlab_tiles(model)(picture(size), return_tensors="pt")["num_patches"][0]))
    if kind.startswith("llava"):
        return llava(model, folder, size, frames)
    if kind.startswith("qwen"):
        return qwen(model, folder, size, frames)
    if kind == "internvl":
        return 256 * frames if frames else internvl(model, folder, size)
    made = transformers.AutoImageProcessor.from_pretrained(folder)
    if kind == "videomae":
        pixels = made(list(clip(size, frames)), return_tensors="pt")["pixel_values"]
        return pixels.shape[1] // config["tubelet_size"] * patches(pixels, config["patch_size"])
    out = made(picture(size), return_tensors="pt")
    if kind in ("idefics3", "smolvlm"):
        return model["processor_config.json"]["image_seq_len"] * out["pixel_values"].shape[1]
    if kind == "gemma3":
        return config["mm_tokens_per_image"] * (1 + int(out["num_crops"][0]))
    if "spatial_shapes" in out:
        return int(out["spatial_shapes"][0].prod())
    return patches(out["pixel_values"], config.get("vision_config", config).get("patch_size", 16))


# ---- all of it --------------------------------------------------------------------------------------------------------
def facts_of(name, model):
    with tempfile.TemporaryDirectory() as folder:
        make.write_files(model, folder)
        read, left = split(model, names_of(model, folder))
        clips = next((f for start, f in CLIPS.items() if name.startswith(start)), ())
        return {
            "tensors": compress(read),
            "left": compress(left),
            "photos": None if "clip" in model else [tokens(name, model, folder, s, 0) for s in SIZES],
            "clips": {str(n): [tokens(name, model, folder, s, n) for s in SIZES] for n in clips},
        }


def save(facts):
    """A line for every tensor, a line for the counts."""
    def block(items):
        return "{" + ",".join(f'\n   "{k}": {json.dumps(v)}' for k, v in items.items()) + "}"

    lines = [f' "versions": {json.dumps(facts["versions"])},\n "sizes": {json.dumps(facts["sizes"])},\n "models": {{']
    for name, f in facts["models"].items():
        lines.append(f'  "{name}": {{\n  "photos": {json.dumps(f["photos"])},\n  "clips": {json.dumps(f["clips"])},\n'
                     f'  "tensors": {block(f["tensors"])},\n  "left": {block(f["left"])}}},')
    lines[-1] = lines[-1][:-1]
    with open(os.path.join(make.HERE, "facts.json"), "w") as f:
        f.write("{\n" + "\n".join(lines) + "\n }\n}\n")


def main():
    known, path = make.models(), os.path.join(make.HERE, "facts.json")
    facts = make.load("facts.json") if os.path.exists(path) else {"models": {}}
    facts["versions"] = {"transformers": transformers.__version__, "timm": timm.__version__, "torch": torch.__version__}
    facts["sizes"] = SIZES
    for name in sys.argv[1:] or known:
        facts["models"][name] = facts_of(name, known[name])
        print(name, facts["models"][name]["photos"], facts["models"][name]["clips"], flush=True)
    facts["models"] = {name: facts["models"][name] for name in known if name in facts["models"]}
    save(copy.deepcopy(facts))


if __name__ == "__main__":
    main()
