# SPDX-License-Identifier: MIT
"""networks.py LIST_FRAMES: inputs that fall silent, vanish and come back. Senders are sockets and pipes of this process on
localhost, which pass on a broadcast that the ffmpeg command made."""
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

tool = None


def make_broadcast():
    """-> bytes of 4 s of MPEG-TS with a key frame every second, or None"""
    done = subprocess.run(["ffmpeg", "-loglevel", "error", "-nostdin", "-y", "-f", "lavfi", "-i",
                           "testsrc2=size=64x48:rate=25:duration=4", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25",
                           "-pix_fmt", "yuv420p", "-muxrate", "400k", "live.ts"], capture_output=True)
    if done.returncode != 0:
        return None
    with open("live.ts", "rb") as f:
        return f.read()


def read(*args, stdin=None):
    """-> frames, facts, the text of an error, seconds"""
    began = time.monotonic()
    done = subprocess.run([tool, *args], capture_output=True, stdin=stdin, timeout=60)
    lines = done.stdout.decode().splitlines()
    frames = [line.split() for line in lines if re.match(r"-?\d", line)]
    facts = next((line for line in lines if line.startswith("end ")), "")
    error = next((line for line in lines if line.startswith("error")), "")
    return frames, facts, error, time.monotonic() - began


def serve(*scripts):
    """Accepts one connection per script, a list of bytes to send and pauses in seconds, then closes it. -> port"""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        for script in scripts:
            connection, _ = listener.accept()
            try:
                for part in script:
                    time.sleep(part) if isinstance(part, (int, float)) else connection.sendall(part)
            except OSError:
                pass
            connection.close()
        listener.close()

    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1]


def rising(frames):
    at = [float(f[0]) for f in frames]
    return all(b > a for a, b in zip(at, at[1:]))


# ---- silence ---------------------------------------------------------------------------------------------------------

def check_silence(data):
    port = serve([data[:len(data) // 2], 20])
    frames, _, error, took = read(f"tcp://127.0.0.1:{port}", "timeout=1")
    assert "no packet came for 1 s" in error and "error -3" in error and len(frames) > 10 and took < 10, (error, took)
    port = serve([20])
    _, _, error, took = read(f"tcp://127.0.0.1:{port}", "timeout=0.5")
    assert "nothing came for 0.5 s" in error and took < 8, (error, took)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    _, _, error, took = read(f"udp://127.0.0.1:{port}", "timeout=0.5")
    assert "nothing came for 0.5 s" in error and took < 8, (error, took)
    print("silence: given up after the time asked for, the seconds named")


def check_pipes(data):
    """A pipe has no patience of its own; a time that is asked for holds, whoever reads."""
    y4m = b"YUV4MPEG2 W16 H16 F25:1 C420jpeg\n" + 3 * (b"FRAME\n" + bytes(384))
    for name, part, count in (("ts", data[:len(data) // 2], 10), ("y4m", y4m, 3)):
        out, into = os.pipe()
        os.write(into, part[:60000])
        frames, _, error, took = read("-", "timeout=0.6", stdin=out)
        assert "for 0.6 s" in error and len(frames) >= count and took < 8, (name, error, len(frames))
        os.close(into)
        os.close(out)
    out, into = os.pipe()
    os.write(into, y4m)
    threading.Timer(1.5, os.close, (into,)).start()
    frames, _, error, took = read("-", stdin=out)
    assert len(frames) == 3 and not error and took > 1.3, (error, took)
    os.close(out)
    print("pipes: waited for, but not longer than asked")


# ---- back again ------------------------------------------------------------------------------------------------------

def check_gone(data):
    port = serve([data])
    frames, _, error, _ = read(f"tcp://127.0.0.1:{port}")
    assert "the sender has gone" in error and len(frames) == 100, (error, len(frames))
    port = serve([data[:len(data) // 2]])
    frames, facts, error, took = read(f"tcp://127.0.0.1:{port}", "reconnects=2", "timeout=1")
    assert error and len(frames) > 10 and took < 15 and "reconnects 0" in facts, (error, facts, took)
    print("a sender that has gone is told, behind every frame that came")


def check_back(data):
    middle = data[len(data) // 2 // 188 * 188:]
    port = serve([data[:len(data) // 2], 0.2], [middle, 0.2], [data])
    frames, facts, error, _ = read(f"tcp://127.0.0.1:{port}", "reconnects=2", "timeout=2")
    assert "reconnects 2" in facts and rising(frames) and len(frames) > 150, (facts, len(frames), error)
    at = [float(f[0]) for f in frames]
    gaps = [b - a for a, b in zip(at, at[1:]) if b - a > 0.041]
    assert 2 <= len(gaps) <= 4 and max(gaps) < 20, gaps
    print("back again: two new connections, stamps rise by the clock")


class Halves(http.server.BaseHTTPRequestHandler):
    """A file by ranges; the first answers break off in the middle."""
    data, cuts = b"", 2

    def do_GET(self):
        first = int((re.findall(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["0"])[0])
        body = self.data[first:]
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {first}-{len(self.data) - 1}/{len(self.data)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if Halves.cuts > 0 and len(body) > len(self.data) // 3:
            Halves.cuts -= 1
            body = body[:len(self.data) // 3]
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *args):
        pass


def check_file_over_http(data):
    """A file that breaks off goes on behind its last frame, with the stamps of the file."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Halves)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Halves.data, Halves.cuts = data, 0
    url = f"http://127.0.0.1:{server.server_port}/live.ts"
    want, _, _, _ = read("live.ts")
    frames, facts, error, _ = read(url)
    assert frames == want and not error and "live 0" in facts, (len(frames), facts, error)
    Halves.cuts = 100
    frames, facts, error, _ = read(url)
    assert error and frames == want[:len(frames)] and 10 < len(frames) < 100, (len(frames), error)
    Halves.cuts = 3
    frames, facts, error, _ = read(url, "reconnects=5")
    assert frames == want and not error and "reconnects 0" not in facts, (len(frames), facts, error)
    server.shutdown()
    print("a file over HTTP that breaks off is read on, frame by frame what the file holds")


def main():
    global tool
    tool = os.path.abspath(sys.argv[1])
    if not shutil.which("ffmpeg"):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        data = make_broadcast()
        if not data:
            sys.exit(77)
        for check in (check_silence, check_pipes, check_gone, check_back, check_file_over_http):
            check(data)
        os.chdir("/")


main()
