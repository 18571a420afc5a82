# SPDX-License-Identifier: MIT
"""reference.py LIST_FRAMES FIXTURES: pare's frames against those that torchcodec stored beside the clips of data/decode.

Every *.pt file is a saved uint8 tensor: a zip whose data.pkl tells shape and strides and whose data/0 is the memory. It is
read without torch. Bar: 99 % of the samples within 2 levels, mean error below .5; stamps and durations of all frames
equal the JSON, to its six digits. Of a damaged clip the good frames come, and the damage is counted."""
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import zipfile

try:
    import numpy as np
except ImportError:
    sys.exit(77)

CLOSE, SHARE, MEAN = 2, 0.99, 0.5


class Reader(pickle.Unpickler):
    """Rebuilds a tensor as (storage, offset, shape, strides); knows nothing else."""

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *rest: (storage, offset, shape, strides)
        if (module, name) in (("torch", "ByteStorage"), ("collections", "OrderedDict")):
            return dict
        raise pickle.UnpicklingError(f"{module}.{name} in a tensor file")

    def persistent_load(self, pid):
        return pid[2]


def load(path):
    """-> [height, width, 3] uint8"""
    with zipfile.ZipFile(path) as z:
        root = z.namelist()[0].split("/")[0]
        key, offset, shape, strides = Reader(z.open(f"{root}/data.pkl")).load()
        data = np.frombuffer(z.read(f"{root}/data/{key}"), np.uint8)
    tensor = np.lib.stride_tricks.as_strided(data[offset:], shape, strides)
    return tensor if tensor.shape[2] == 3 else tensor.transpose(1, 2, 0)


def listed(tool, *args):
    """Lines of frames, and the last line."""
    lines = subprocess.run([tool, *args], capture_output=True, text=True).stdout.splitlines()
    return [line.split() for line in lines if re.match(r"-?\d", line)], lines[-1]


def one_frame(tool, clip, *args):
    """-> (pts, pixels) of the one frame that the arguments ask for"""
    with tempfile.TemporaryDirectory() as folder:
        raw = os.path.join(folder, "raw")
        frames, _ = listed(tool, clip, f"raw={raw}", *args)
        assert len(frames) == 1, (clip, args, len(frames))
        width, height = int(frames[0][2]), int(frames[0][3])
        return float(frames[0][0]), np.fromfile(raw, np.uint8).reshape(height, width, 3)


def check_frame(name, want, got):
    assert want.shape == got.shape, (name, want.shape, got.shape)
    difference = np.abs(want.astype(int) - got)
    share, mean = float((difference <= CLOSE).mean()), float(difference.mean())
    print(f"{name}: {100 * share:.3f} % within {CLOSE}, mean {mean:.4f}, worst {difference.max()}")
    assert share >= SHARE and mean < MEAN, name


def check_references(tool, folder):
    names = sorted(n for n in os.listdir(folder) if n.endswith(".pt"))
    assert len(names) >= 12, names
    for name in names:
        clip, what = re.match(r"(.*?\.mp4)\.(.*)\.pt", name).groups()
        path, stream = os.path.join(folder, clip), ["stream=2"] if clip.startswith("nasa") else []
        if what.startswith("time"):
            pts, got = one_frame(tool, path, f"start={what[4:]}", "max=1", *stream)
            assert pts >= float(what[4:]) - 1e-6, (name, pts)
        else:
            index = int(re.search(r"frame(\d+)", what).group(1))
            _, got = one_frame(tool, path, f"only={index}", f"max={index + 1}", *stream)
        check_frame(name, load(os.path.join(folder, name)), got)


def check_stamps(tool, folder):
    with open(os.path.join(folder, "nasa_13013.mp4.stream3.all_frames_info.json"), encoding="utf-8") as f:
        want = [(w["pts_time"], w["duration_time"]) for w in json.load(f)]
    frames, _ = listed(tool, os.path.join(folder, "nasa_13013.mp4"), "stream=2")
    assert [tuple(f[:2]) for f in frames] == want
    print(f"nasa_13013.mp4: {len(want)} stamps and durations equal")


def check_clips(tool, folder):
    """name -> frames, damaged, size, rotation, as the table of the data and ffprobe -count_frames have it"""
    clips = {
        "av1_video.mkv": (125, 0, "640 360 0"),
        "bt709_full_range.mp4": (30, 0, "1280 720 0"),
        "corrupted.mp4": (49, 1, "1280 720 0"),
        "h264_10bits.mp4": (30, 0, "200 200 0"),
        "h265_10bits.mp4": (30, 0, "200 200 0"),
        "h265_video.mp4": (10, 0, "128 128 0"),
        "nasa_13013.mp4": (390, 0, "480 270 0"),
        "unordered.mov": (4, 0, "50 50 0"),
        "video_0.mov": (3, 0, "568 320 0"),
        "video_90.mov": (3, 0, "320 568 90"),
        "video_180.mov": (3, 0, "568 320 180"),
        "video_270.mov": (3, 0, "320 568 270"),
    }
    for name, (count, damaged, look) in clips.items():
        frames, end = listed(tool, os.path.join(folder, name))
        stamps = [float(f[0]) for f in frames]
        assert len(frames) == count and f"damaged {damaged} " in end, (name, len(frames), end)
        assert " ".join(frames[0][2:5]) == look, (name, frames[0])
        assert stamps == sorted(set(stamps)), name
    print(f"{len(clips)} clips as listed, corrupted.mp4 with 49 good frames and 1 damaged")


def main(tool, fixtures):
    folder = os.path.join(fixtures, "data", "decode")
    if not fixtures or not os.path.isdir(folder):
        sys.exit(77)
    check_references(tool, folder)
    check_stamps(tool, folder)
    check_clips(tool, folder)


main(*sys.argv[1:3])
