# SPDX-License-Identifier: MIT
# A camera that vanishes: a clear message, exit 4, and the tokens so far in a valid file that says it is incomplete. The
# camera is a broadcast over a socket of this machine; nobody says goodbye.
. "$CLI_LIB"
command -v python3 >/dev/null && command -v ffmpeg >/dev/null || exit 77
ffmpeg -loglevel error -nostdin -f lavfi -i testsrc2=size=64x48:rate=25:duration=2 -c:v libx264 -preset ultrafast -g 25 \
    -pix_fmt yuv420p live.ts 2>ffmpeg.txt || exit 77

# camera MODE: sends the clip to whoever comes; killed or silent behind it. Its port is in port.txt.
cat >camera.py <<'EOF'
import socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
with open("port.tmp", "w") as f:
    f.write(str(listener.getsockname()[1]))
import os
os.rename("port.tmp", "port.txt")
connection, _ = listener.accept()
connection.sendall(open("live.ts", "rb").read())
open("sent", "w").close()
time.sleep(60)
EOF
camera()
{
    rm -f port.txt sent
    python3 camera.py &
    pid=$!
    until [ -s port.txt ]; do sleep 0.1; done
    url=tcp://127.0.0.1:$(cat port.txt)
}
reduce() { "$PARE" reduce "$url" --size 112x84 --recipe random@patches --keep .5 --json -o "$1" --timeout "$2"; }

# killed: the sender's end of the connection is closed by the kernel
camera
{
    until [ -e sent ]; do sleep 0.1; done
    kill -9 $pid
} &
one_line 4 "tcp://127.0.0.1.*the sender has gone" reduce killed.safetensors 30 >line.json
jq -c '[.frames, .complete, .damaged]' line.json
"$PARE" info killed.safetensors | grep -E '^(complete|pts)'

# unplugged: nothing comes any more
camera
one_line 4 "tcp://127.0.0.1.*no packet came for 1 s" reduce silent.safetensors 1 >line.json
kill -9 $pid
jq -c '[.frames, .complete]' line.json
"$PARE" info silent.safetensors | grep '^complete'

# there is none
one_line 4 "/dev/video99.*No such file" "$PARE" reduce /dev/video99
one_line 4 "cannot open.*[Rr]efused" "$PARE" reduce "$url" --timeout 1 --reconnects 2
one_line 2 "reconnects" "$PARE" reduce "$url" --reconnects -1
rm -f live.ts line.json ffmpeg.txt camera.py port.txt sent stderr.txt
ls -A
