#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tokens of photos and clips as the consumers' own processors make them, for tests/data/consumers.json (test_consumers holds
pare to it).

    consumers.py make|check FILE [CONSUMER...]
The processors are built from the released configurations in tests/published; nothing is downloaded. null: the processor
refuses the input. Exit 77 without transformers."""
import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "published"))
try:
    import transformers
    import reference  # noqa: E402  (needs timm, too)
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
import make  # noqa: E402

transformers.logging.set_verbosity_error()

# consumer: (released configuration, takes clips)
CONSUMERS = {
    "qwen2-vl": ("qwen2-vl-2b", True), "qwen2.5-vl": ("qwen2.5-vl-3b", True), "qwen3-vl": ("qwen3-vl-8b", True),
    "llava-1.5": ("llava-1.5-7b", False), "llava-next": ("llava-v1.6-mistral-7b", False),
    "llava-onevision": ("llava-onevision-qwen2-0.5b", True), "internvl": ("internvl3-1b-hf", True),
    "idefics3": ("idefics3-8b", False), "smolvlm": ("smolvlm-256m", False), "smolvlm2": ("smolvlm2-500m", True),
    "gemma-3": ("gemma-3-4b", False), "siglip2-naflex": ("siglip2-base-patch16-naflex", False),
}
# width, height, frames (0 = a photo)
INPUTS = [(w, h, 0) for w, h in [
    (640, 480), (480, 640), (1920, 1080), (1080, 1920), (1280, 720), (720, 1280), (3840, 2160), (224, 224), (336, 336),
    (384, 384), (448, 448), (512, 512), (513, 512), (768, 768), (896, 896), (1000, 1000), (1024, 1024), (2048, 2048),
    (333, 517), (517, 333), (97, 65), (28, 28), (40, 30), (1, 1), (7, 300), (1000, 100), (100, 1000), (2000, 40),
    (3000, 12), (1500, 500), (500, 1500), (1568, 1568), (1200, 900), (900, 1200), (799, 601), (601, 799), (2592, 1944),
    (1344, 336), (1008, 336), (672, 336), (1152, 1536)]]
INPUTS += [(640, 480, 1), (640, 480, 2), (640, 480, 8), (640, 480, 9), (1280, 720, 4), (1920, 1080, 6), (720, 1280, 5),
           (320, 240, 16), (320, 240, 17), (176, 144, 64), (176, 144, 300), (768, 576, 12), (64, 64, 3), (96, 40, 7),
           (500, 20, 4), (1000, 1000, 10), (480, 854, 32)]


def smolvlm_clip(model, folder, size, frames):
    """As many tokens a frame as of a photo that is not cut; the frames must come at the size of the tower."""
    made = transformers.SmolVLMVideoProcessor.from_pretrained(folder)
    pixels = made(videos=[reference.clip(size, frames)], return_tensors="pt", do_sample_frames=False)["pixel_values"]
    side = model["config.json"]["vision_config"]["image_size"]
    assert tuple(pixels.shape[-2:]) == (side, side), pixels.shape
    return pixels.shape[1] * model["processor_config.json"]["image_seq_len"]


def count(name, model, folder, width, height, frames):
    try:
        if frames and name == "smolvlm2":
            return smolvlm_clip(model, folder, (width, height), frames)
        return reference.tokens(CONSUMERS[name][0], model, folder, (width, height), frames)
    except (ValueError, ZeroDivisionError) as refused:
        print(f"{name} {width}x{height} {frames}: {type(refused).__name__} {str(refused)[:90]}", file=sys.stderr)
        return None


def counts_of(name):
    published, takes_clips = CONSUMERS[name]
    model = make.models()[published]
    with tempfile.TemporaryDirectory() as folder:
        make.write_files(model, folder)
        return [count(name, model, folder, w, h, n) if takes_clips or not n else
                count(name, model, folder, w, h, 0) * n if count(name, model, folder, w, h, 0) is not None else None
                for w, h, n in INPUTS]


def save(path, counts):
    lines = ",\n".join(f'  "{name}": {json.dumps(values)}' for name, values in counts.items())
    with open(path, "w") as f:
        f.write(f'{{\n "by": "transformers {transformers.__version__}",\n "inputs": {json.dumps(INPUTS)},\n'
                f' "tokens": {{\n{lines}\n }}\n}}\n')


def main():
    mode, path, names = sys.argv[1], sys.argv[2], sys.argv[3:] or list(CONSUMERS)
    known = json.load(open(path)) if os.path.exists(path) else {"tokens": {}}
    counts = dict(known["tokens"])
    wrong = 0
    for name in names:
        made = counts_of(name)
        if mode == "check":
            pairs = zip(INPUTS, known["tokens"][name], made)
            different = [(i, was, now) for i, was, now in pairs if was != now]
            wrong += len(different)
            print(name, "ok" if not different else different, flush=True)
        counts[name] = made
    if mode == "check" and [list(i) for i in INPUTS] != known["inputs"]:
        sys.exit("the inputs are others")
    if mode == "make":
        save(path, {name: counts[name] for name in CONSUMERS if name in counts})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
