#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A camera that moves, out of one that does not: a window glides over vtest.avi, 2 to 8 pixels a frame, turning at the
borders, with a shaking hand and a drift of brightness.

    pan.py --boxes DET.TXT --out PAN.RGB --out-boxes PAN.TXT [--clip vtest.avi] [--frames N] [--seed N]
    person.py --pare PARE --boxes PAN.TXT --clip PAN.RGB --raw --clip-size 512x384 --pan

PAN.RGB is raw rgb24, 512 x 384; boxes are moved with the window. Speed follows a random walk within 2..8 pixels, direction
turns slowly; jitter +-1 pixel in x and y; gain 1 +- .1 as a slow random walk. Needs numpy and ffmpeg."""
import argparse

import numpy as np

import clips

CLIP_W, CLIP_H, WIDTH, HEIGHT = 768, 576, 512, 384
SLOWEST, FASTEST, JITTER, GAIN = 2.0, 8.0, 1, .1


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clip", default="/usr/share/doc/opencv-doc/examples/data/vtest.avi")
    p.add_argument("--boxes", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--out-boxes", required=True)
    p.add_argument("--frames", type=int, default=795)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


def glide(frames, rng):
    """[frames, 2] left and top of the window, and [frames] gains."""
    room = np.array([CLIP_W - WIDTH - 2 * JITTER, CLIP_H - HEIGHT - 2 * JITTER], float)
    at, angle, speed, gain = room / 2, rng.uniform(0, 2 * np.pi), 5.0, 1.0
    corner, gains = np.zeros((frames, 2), int), np.ones(frames)
    for n in range(frames):
        jitter = rng.integers(-JITTER, JITTER + 1, 2)
        corner[n] = np.round(at).astype(int) + JITTER + jitter
        gains[n] = gain
        speed = np.clip(speed + rng.normal(0, .5), SLOWEST, FASTEST)
        angle += rng.normal(0, .1)
        step = speed * np.array([np.cos(angle), np.sin(angle)])
        for axis, turned in ((0, np.pi - angle), (1, -angle)):
            if not 0 <= at[axis] + step[axis] <= room[axis]:
                step[axis], angle = -step[axis], turned
        at = np.clip(at + step, 0, room)
        gain = np.clip(gain + rng.normal(0, .01), 1 - GAIN, 1 + GAIN)
    return corner, gains


def write_boxes(path, boxes, corner):
    with open(path, "w", encoding="utf-8") as f:
        for n, x, y, width, height in boxes:
            if n < len(corner):
                left, top = corner[int(n)]
                f.write(f"{int(n) + 1},-1,{x - left:.3f},{y - top:.3f},{width:.3f},{height:.3f},1,-1,-1,-1\n")


def main():
    args = arguments()
    corner, gains = glide(args.frames, np.random.default_rng(args.seed))
    with open(args.out, "wb") as f:
        for (left, top), gain, picture in zip(corner, gains, clips.pictures(args.clip, CLIP_W, CLIP_H, args.frames)):
            window = picture[top:top + HEIGHT, left:left + WIDTH].astype(np.float32)
            f.write(np.clip(window * gain + .5, 0, 255).astype(np.uint8).tobytes())
    write_boxes(args.out_boxes, clips.read_boxes(args.boxes), corner)


if __name__ == "__main__":
    main()
