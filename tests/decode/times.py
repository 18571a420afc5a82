# SPDX-License-Identifier: MIT
"""times.py LIST_FRAMES: time, order and orientation of clips that the ffmpeg command makes, held against ffprobe, against
a whole read of the same clip, and against pixels turned here. Encoders that this ffmpeg lacks are passed over."""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

FFMPEG = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-threads", "2"]
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
tool = None


def pattern(seconds, size="128x96"):
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}"]


def make(name, *args):
    """-> name, or None where this ffmpeg cannot"""
    done = subprocess.run([*FFMPEG, *args, name], capture_output=True, text=True)
    return name if done.returncode == 0 and os.path.getsize(name) > 0 else None


def read(name, *options, data=None):
    """-> frames as lists of words, the facts at the end, the text of an error"""
    done = subprocess.run([tool, name, *options], capture_output=True, input=data)
    lines = done.stdout.decode().splitlines()
    frames = [line.split() for line in lines if re.match(r"-?\d", line)]
    facts = next((line for line in lines if line.startswith("end ")), "")
    return frames, facts, next((line for line in lines if line.startswith("error")), "")


def stamps(frames):
    return [float(f[0]) for f in frames]


def probed(name):
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                          "frame=best_effort_timestamp_time", "-of", "csv=p=0", name], capture_output=True, text=True)
    return [float(word) for word in re.findall(r"-?\d+\.\d+", out.stdout)]


# ---- segments --------------------------------------------------------------------------------------------------------

def segment_clips():
    """Containers and codecs whose seeking differs: index, bisection, open GOP, no key frames, no stamps."""
    long = pattern(20)
    yield make("b.mp4", *long, *X264, "-g", "100", "-bf", "3")
    yield make("open.mkv", *long, *X264, "-bf", "3", "-x264-params", "keyint=100:open-gop=1:b-adapt=0:scenecut=0")
    yield make("open.ts", "-i", "open.mkv", "-c", "copy")
    yield make("mpeg2.ts", *long, "-c:v", "mpeg2video", "-g", "60", "-bf", "2")
    yield make("mpeg2.mpg", *long, "-c:v", "mpeg2video", "-g", "60", "-bf", "2")
    yield make("old.avi", *long, "-c:v", "msmpeg4", "-g", "80")
    yield make("b.avi", *long, "-c:v", "mpeg4", "-g", "80", "-bf", "2")
    yield make("vp9.webm", *long, "-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-g", "100")
    yield make("h265.ts", *long, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=100")
    yield make("refresh.ts", *long, *X264, "-x264-params", "intra-refresh=1:keyint=50:bframes=0")
    yield make("raw.h264", "-i", "b.mp4", "-c", "copy")
    yield make("cut.mp4", "-ss", "3.3", "-i", "b.mp4", "-c", "copy")


def check_segments():
    n = 0
    for clip in filter(None, segment_clips()):
        whole, facts, error = read(clip)
        assert len(whole) > 400 and not error and "damaged 0 " in facts, (clip, len(whole), facts, error)
        origin = float(whole[0][0])
        for start in (2.5, 7.77, 13.0, 15.9):
            part, facts, error = read(clip, f"start={start}")
            want = [f for f in whole if float(f[0]) - origin >= start - 1e-6]
            assert part == want, (clip, start, len(part), len(want))
            assert "damaged 0 " in facts, (clip, start, facts)
            part, _, _ = read(clip, f"start={start}", f"end={start + 1}", "read_ahead=4")
            assert part == [f for f in want if float(f[0]) - origin < start + 1 - 1e-6], (clip, start)
        n += 1
    print(f"segments of {n} kinds of clips hold exactly the frames of the whole read")


# ---- stamps ----------------------------------------------------------------------------------------------------------

def check_stamps():
    vary = ["-vf", "select='not(mod(n,3))+lt(mod(n,7),2)'", "-vsync", "vfr"]
    clips = [make("vary.mkv", *pattern(4), *vary, *X264), make("vary.mp4", "-i", "vary.mkv", "-c", "copy"),
             make("below.ts", "-i", "b.mp4", "-t", "4", "-c", "copy", "-output_ts_offset", "-3",
                  "-avoid_negative_ts", "disabled", "-muxdelay", "0", "-muxpreload", "0")]
    for clip in filter(None, clips):
        frames, facts, _ = read(clip)
        assert stamps(frames) == probed(clip) and len(frames) > 40, clip
    gaps = {round(b - a, 3) for a, b in zip(stamps(read("vary.mkv")[0]), stamps(read("vary.mkv")[0])[1:])}
    assert len(gaps) > 1, gaps
    assert stamps(read("below.ts")[0])[0] == -3, "a negative stamp"
    first = [f for f in read("below.ts")[0] if float(f[0]) >= -2]
    assert read("below.ts", "start=1")[0] == first, "a range counts from the first frame"
    for clip in filter(None, [make("none.avi", "-i", "b.mp4", "-t", "4", "-c", "copy"), "raw.h264"]):
        at = stamps(read(clip)[0])
        assert all(abs(b - a - 0.04) < 1e-6 for a, b in zip(at, at[1:])), (clip, at[-3:])
    print("stamps as ffprobe has them: variable, negative; missing ones go on evenly")


# ---- pictures --------------------------------------------------------------------------------------------------------

def orient(source, target, mirrored, turns):
    """Writes a display matrix into the tkhd box of an MP4: a b u, c d v, x y w."""
    a, b, c, d = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)][turns]
    if mirrored:
        a, b = -a, -b
    with open(source, "rb") as f:
        data = bytearray(f.read())
    at = data.index(b"tkhd") + 44
    data[at:at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    with open(target, "wb") as f:
        f.write(data)


def pixels(clip):
    """-> rows of pixels of the first frame"""
    if os.path.exists("raw"):
        os.unlink("raw")
    frames, _, _ = read(clip, "max=1", "raw=raw")
    width, height = int(frames[0][2]), int(frames[0][3])
    with open("raw", "rb") as f:
        data = f.read()
    row = lambda y: [data[3 * (y * width + x):3 * (y * width + x) + 3] for x in range(width)]
    return [row(y) for y in range(height)], frames[0]


def check_orientation():
    if not make("plain.mp4", *pattern(0.2, "66x42"), *X264):
        return
    stored, _ = pixels("plain.mp4")
    for mirrored in (0, 1):
        for turns in range(4):
            orient("plain.mp4", "turned.mp4", mirrored, turns)
            want = [row[::-1] for row in stored] if mirrored else stored
            for _ in range(turns):
                want = [list(row) for row in zip(*want[::-1])]
            got, frame = pixels("turned.mp4")
            assert got == want, (mirrored, turns)
            assert frame[4:6] == [str(90 * turns), str(mirrored)], frame
    print("8 orientations: pixels as turned here")


def check_pictures():
    woven = make("woven.ts", *pattern(2), "-flags", "+ilme+ildct", "-top", "1", "-c:v", "mpeg2video")
    woven264 = make("woven.mp4", *pattern(2), *X264, "-x264-params", "interlaced=1:tff=1")
    for clip in filter(None, [woven, woven264]):
        frames, facts, _ = read(clip)
        assert len(frames) == 50 and "interlaced 1" in facts, (clip, facts)
    assert "interlaced 0" in read("b.mp4", "max=1")[1]
    if make("wide.mp4", *pattern(0.2), "-vf", "setsar=4/3", *X264):
        frames, facts, _ = read("wide.mp4")
        assert "aspect 1.33333" in facts and frames[0][2:4] == ["128", "96"], facts
        orient("wide.mp4", "high.mp4", 0, 1)
        assert "aspect 0.75" in read("high.mp4")[1]
    if make("odd.mkv", *pattern(0.2), "-vf", "scale=65:47", "-c:v", "ffv1", "-pix_fmt", "yuv420p"):
        assert read("odd.mkv")[0][0][2:4] == ["65", "47"]
    print("woven fields told, pixels of any shape as stored, odd sizes")


def check_streams():
    """Cover pictures are no video; of several streams the one marked as default, or the one asked for."""
    make("cover.png", *pattern(0.04, "640x480"))
    for order in ("0", "1"):
        maps = ["-map", "0", "-map", "1"] if order == "1" else ["-map", "1", "-map", "0"]
        make("covered.mp4", "-i", "vary.mp4", "-i", "cover.png", *maps, "-c", "copy", f"-disposition:v:{order}",
             "attached_pic")
        frames, facts, _ = read("covered.mp4")
        assert stamps(frames) == stamps(read("vary.mp4")[0]) and "stream 1/1" in facts, facts
        assert "video stream 2 was asked for, there are 1" in read("covered.mp4", "stream=2")[2]
    if make("song.mp3", "-f", "lavfi", "-i", "sine=d=1", "-i", "cover.png", "-map", "0", "-map", "1", "-c:v", "copy"):
        assert "has no video stream" in read("song.mp3")[2]
    make("two.mkv", *pattern(1, "64x48"), *pattern(1), "-map", "0", "-map", "1", *X264, "-disposition:v:0", "0",
         "-disposition:v:1", "default")
    for stream, width in (("0", "128"), ("1", "64"), ("2", "128")):
        frames, facts, _ = read("two.mkv", f"stream={stream}")
        assert frames[0][2] == width and len(frames) == 25 and "/2 " in facts, (stream, facts)
    print("covers are no video; streams by number")


# ---- damage ----------------------------------------------------------------------------------------------------------

def check_size_change():
    make("small.ts", *pattern(1, "64x48"), *X264)
    make("large.ts", *pattern(1), *X264, "-output_ts_offset", "2")
    with open("both.ts", "wb") as out:
        for part in ("small.ts", "large.ts", "small.ts"):
            with open(part, "rb") as f:
                out.write(f.read())
    frames, facts, error = read("both.ts")
    sizes = [f[2] for f in frames]
    assert sizes.count("64") == 50 and sizes.count("128") == 25 and "sizes 2" in facts and not error, (facts, error)
    print("a size that changes twice is counted, no frame is lost")


def check_damage():
    """Holes in a broadcast: what can be decoded comes, in order, and is what the whole clip has at that time."""
    make("whole.ts", *pattern(8), *X264, "-g", "25", "-bf", "2")
    whole = {f[0]: f for f in read("whole.ts")[0]}
    with open("whole.ts", "rb") as f:
        data = bytearray(f.read())
    for at in range(len(data) // 5, len(data) - 4000, len(data) // 5):
        for i in range(3000):
            data[at + i] = (data[at + i] * 7 + i) & 255
    with open("holes.ts", "wb") as f:
        f.write(data)
    frames, facts, error = read("holes.ts")
    at = stamps(frames)
    damaged, flawed = int(facts.split()[2]), int(facts.split()[4])
    assert not error and damaged + flawed > 0 and 120 < len(frames) <= 200, (len(frames), facts, error)
    good = sum(whole.get(f[0]) == f for f in frames)
    assert good > 100, good
    with open("short.ts", "wb") as f:
        f.write(bytes(data[:len(data) // 6]))
    frames, _, error = read("short.ts")
    assert 10 < len(frames) < 60 and not error, (len(frames), error)
    print(f"damage: {good} of 200 frames untouched, {len(at)} delivered, {damaged} counted as damaged, {flawed} as flawed")


def check_pipes():
    """stdin gives what the file gives; what a pipe cannot do is said."""
    make("front.mp4", "-i", "vary.mp4", "-c", "copy", "-movflags", "+faststart")
    make("parts.mp4", "-i", "vary.mp4", "-c", "copy", "-movflags", "+frag_keyframe+empty_moov")
    make("flash.flv", "-i", "vary.mp4", "-c", "copy")
    make("plain.y4m", "-i", "vary.mp4", "-pix_fmt", "yuv420p", "-vsync", "0")
    clips = ("front.mp4", "parts.mp4", "vary.mkv", "flash.flv", "open.ts", "mpeg2.mpg", "old.avi", "vp9.webm", "raw.h264",
             "plain.y4m")
    for clip in filter(os.path.exists, clips):
        with open(clip, "rb") as f:
            data = f.read()
        frames, facts, error = read("-", data=data)
        assert frames == read(clip)[0] and "live 1" in facts and not error, (clip, len(frames), error)
    with open("vary.mp4", "rb") as f:
        error = read("-", data=f.read())[2]
    assert "index lies behind its pictures" in error, error
    for data in (b"", b"\0" * 100):
        assert read("-", data=data)[2], data
    print("pipes give what files give")


def main():
    global tool
    tool = os.path.abspath(sys.argv[1])
    if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if not make("probe.mp4", *pattern(0.2), *X264):
            sys.exit(77)
        for check in (check_segments, check_stamps, check_orientation, check_pictures, check_streams, check_size_change,
                      check_damage, check_pipes):
            check()
        os.chdir("/")


main()
