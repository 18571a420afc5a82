# SPDX-License-Identifier: MIT
# Writes tests/data/tiling.inc: what transformers makes of photos of many sizes: tiles, tokens, and a checksum of what the
# language model receives when unit i of all slots holds (i % 97, i % 89 + 1). Run with transformers >= 5:
#   python3 tiling.py > tiling.inc
import types

import numpy as np
import torch
import transformers
from transformers.image_processing_utils import select_best_resolution
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel

NEWLINE = (1000.0, 2000.0)
SIZES = [(336, 336), (640, 480), (480, 640), (1920, 1080), (1080, 1920), (100, 100), (1000, 333), (333, 1000), (17, 400),
         (672, 672), (673, 671), (1344, 336), (2500, 1900), (4000, 3000), (3000, 4000), (500, 499), (1, 1), (4096, 512),
         (801, 1203), (1234, 777), (97, 31), (2048, 2047), (5000, 100), (384, 384), (385, 769)]
NEXT = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
ONEVISION = [[384 * i, 384 * j] for i in range(1, 7) for j in range(1, 7)]


def features(n):
    i = torch.arange(n, dtype=torch.float32)
    return torch.stack([i % 97, i % 89 + 1], 1)


def checksum(rows):
    k = np.arange(1, rows.shape[0] + 1, dtype=np.float64)[:, None]
    return float((rows.double().numpy() * (k % 31)).sum())


def config(side, patch, pinpoints):
    vision = types.SimpleNamespace(image_size=side, patch_size=patch)
    return types.SimpleNamespace(config=types.SimpleNamespace(vision_config=vision, image_grid_pinpoints=pinpoints))


def anyres(kind, w, h):
    side, pinpoints, model = (336, NEXT, LlavaNextModel) if kind == "NEXT" else (384, ONEVISION, LlavaOnevisionModel)
    grid = side // 14
    best = select_best_resolution((h, w), pinpoints)
    if best is None:
        return None
    tiles = best[0] // side * (best[1] // side)
    x = features((1 + tiles) * grid * grid).reshape(1 + tiles, grid * grid, 2)
    more = {"vision_feature_select_strategy": "default"} if kind == "NEXT" else {"vision_aspect_ratio": "anyres_max_9"}
    out, _ = model.pack_image_features(config(side, 14, pinpoints), [x], torch.tensor([[h, w]]),
                                       image_newline=torch.tensor(NEWLINE), **more)
    return best[0] // side, best[1] // side, 1, out[0]


def internvl(w, h):
    cols, rows = get_optimal_tiled_canvas((h, w), (448, 448), 1, 12)
    slots = rows * cols + (rows * cols > 1)
    return rows, cols, int(rows * cols > 1), features(slots * 256)


# 2048 pixels over tiles of 512, 8 x 8 units each: SmolVLM.
def smolvlm(w, h):
    p = Idefics3ImageProcessorPil(size={"longest_edge": 2048}, max_image_size={"longest_edge": 512}, do_pad=False,
                                  do_rescale=False, do_normalize=False, return_row_col_info=True)
    p.resize = types.MethodType(lambda self, image, size, resample=None, **k: fake_resize(image, size), p)
    got = p(np.zeros((h, w, 3), np.uint8), input_data_format="channels_last")
    rows, cols = got["rows"][0][0], got["cols"][0][0]
    slots = len(got["pixel_values"][0])
    return max(rows, 1), max(cols, 1), int(rows * cols > 0), features(slots * 64)


# The pixels do not matter, the sizes do.
def fake_resize(image, size):
    from transformers.models.idefics3.image_processing_pil_idefics3 import get_resize_output_image_size
    if size.longest_edge:
        height, width = get_resize_output_image_size(image, resolution_max_side=size.longest_edge)
    else:
        height, width = size.height, size.width
    return np.zeros((3, height, width), np.uint8)


def clip(frames):
    grid = 27
    x = features(frames * grid * grid).reshape(frames, grid * grid, 2)
    out = LlavaOnevisionModel.apply_pooling(config(384, 14, None), x).reshape(-1, 2)
    return torch.cat([out, torch.tensor([NEWLINE])])


print(f"/* SPDX-License-Identifier: MIT */\n/* transformers {transformers.__version__}; written by tiling.py */")
for kind, find in (("NEXT", lambda w, h: anyres("NEXT", w, h)), ("ONEVISION", lambda w, h: anyres("ONEVISION", w, h)),
                   ("INTERNVL", internvl), ("SMOLVLM", smolvlm)):
    for w, h in SIZES:
        found = find(w, h)
        if found:
            rows, cols, whole, x = found
            print(f"{{{kind}, {w}, {h}, 0, {rows}, {cols}, {whole}, {x.shape[0]}, {checksum(x):.3f}}},")
for frames in (1, 2, 5):
    x = clip(frames)
    print(f"{{ONEVISION, 640, 480, {frames}, 1, 1, 0, {x.shape[0]}, {checksum(x):.3f}}},")
