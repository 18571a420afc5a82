# SPDX-License-Identifier: MIT
# kill -9 at any moment of writing: the output is the old file or the complete new one, and nothing is left beside it.
. "$CLI_LIB"
command -v python3 >/dev/null || exit 77

# Old and new of every format; a killed run may leave either.
set -- --size 112x84 --recipe random@patches --keep .5 -q
for name in a.safetensors a.npz; do
    "$PARE" reduce "$clip" --frames 2 "$@" -o old.$name >/dev/null
    "$PARE" reduce "$clip" --frames 3 "$@" -o new.$name >/dev/null
done
"$PARE" heatmap "$clip" --start 1 --end 1.2 --at 1 "$@" -o old.a.png >/dev/null
"$PARE" heatmap "$clip" --end 0.2 --at 0 "$@" -o new.a.png >/dev/null
"$PARE" heatmap "$clip" --end 0.1 "$@" -o old.a.mp4 >/dev/null
"$PARE" heatmap "$clip" --end 0.3 "$@" -o new.a.mp4 >/dev/null
cat >killer.py <<'EOF'
# killer.py FILE COUNT COMMAND...: COUNT runs, each killed later than the one before, over the time that a whole run takes.
import filecmp, os, random, shutil, subprocess, sys, time
name, count, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
os.mkdir("out")
target = os.path.join("out", name)

def run(delay):
    shutil.copy("old." + name, target)
    began = time.monotonic()
    child = subprocess.Popen(command + ["-o", target], stdout=subprocess.DEVNULL)
    if delay is not None:
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()
    return time.monotonic() - began

whole = run(None)
assert filecmp.cmp(target, "new." + name, False) and not filecmp.cmp(target, "old." + name, False), "a whole run"
old = new = 0
for i in range(count):
    run(whole * random.uniform(0.5, 1.1) if i % 2 else whole * (i + 1) / count)
    is_old, is_new = (filecmp.cmp(target, which + name, False) for which in ("old.", "new."))
    assert is_old or is_new, f"{name}: neither old nor new after kill {i}"
    old, new = old + is_old, new + is_new
left = os.listdir("out")
try:
    os.close(os.open("out", os.O_TMPFILE | os.O_RDWR))
except OSError:  # a file system where temporary files have names: those of killed runs stay
    left = [n for n in left if not n.endswith(".tmp")]
assert left == [name], left
assert old > 0, "no run was killed in time"
shutil.rmtree("out")
print(f"{name}: {old + new} runs, old or new")
EOF
python3 killer.py a.safetensors 8 "$PARE" reduce "$clip" --frames 3 "$@"
python3 killer.py a.npz 8 "$PARE" reduce "$clip" --frames 3 "$@"
python3 killer.py a.png 6 "$PARE" heatmap "$clip" --end 0.2 --at 0 "$@"
python3 killer.py a.mp4 8 "$PARE" heatmap "$clip" --end 0.3 "$@"
