# SPDX-License-Identifier: MIT
# Writes tests/data/pillow_resize.inc: hashes of Pillow's own resizes of noise pictures. Run with Pillow >= 13:
#   python3 pillow_resize.py > pillow_resize.inc
import random

import PIL
from PIL import Image

FILTERS = [("NEAREST", Image.NEAREST), ("BOX", Image.BOX), ("BILINEAR", Image.BILINEAR), ("BICUBIC", Image.BICUBIC),
           ("LANCZOS", Image.LANCZOS)]


def noise(n):
    state, out = 12345, bytearray(n)
    for i in range(n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state >> 24
    return bytes(out)


def fnv(data):
    h = 14695981039346656037
    for b in data:
        h = ((h ^ b) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return h


random.seed(3)
shapes = [(80, 130, 96, 96), (130, 80, 96, 96), (150, 110, 96, 96), (100, 100, 60, 19), (100, 100, 60, 20),
          (160, 120, 107, 80), (9, 200, 9, 31), (200, 9, 31, 9), (5, 5, 64, 64), (120, 3, 1, 1), (1, 1, 9, 9)]
shapes += [tuple(random.randint(1, 120) for _ in range(4)) for _ in range(19)]
print(f"/* SPDX-License-Identifier: MIT */\n/* Pillow {PIL.__version__}; written by pillow_resize.py */")
for sw, sh, dw, dh in shapes:
    image = Image.frombytes("RGB", (sw, sh), noise(sw * sh * 3))
    for name, kind in FILTERS:
        print(f"{{{sw}, {sh}, {dw}, {dh}, PARE__RESAMPLE_{name}, {fnv(image.resize((dw, dh), kind).tobytes())}u}},")
