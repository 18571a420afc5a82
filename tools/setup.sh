#!/bin/sh
# SPDX-License-Identifier: MIT
# Set-up in one command on a fresh Debian 12, as root or with sudo: installs the packages, builds into build/, and runs
# the main job on the sample clip: fewer tokens, a heatmap and the accuracy-latency table, all under out/.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES

cd "$root"
mkdir -p build
cmake -S . -B build -G Ninja -DPARE_TESTS=OFF >build/build.log 2>&1 || { cat build/build.log; exit 1; }
cmake --build build >>build/build.log 2>&1 || { cat build/build.log; exit 1; }

mkdir -p out
pare=build/pare
clip=samples/clip.mp4

echo
echo "== machine"
$pare info
echo
echo "== $clip, a quarter of the tokens"
$pare reduce "$clip" --keep .25 -o out/clip.safetensors
echo
echo "== heatmaps"
$pare heatmap "$clip" --keep .25 --legend -o out/heat.mp4
$pare heatmap "$clip" --keep .25 --legend --at 2 -o out/heat.png
echo
echo "== table (8 frames of the clip)"
$pare bench -i "$clip" --frames 8 --keep 1,.25 --window all --recipe temporal-redundancy@patches --recipe tome@block \
    -o out/table.md
cat out/table.md
echo
echo "written: out/clip.safetensors  out/heat.mp4  out/heat.png  out/table.md; the command is build/pare"
