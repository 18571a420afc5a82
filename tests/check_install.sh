#!/bin/sh
# SPDX-License-Identifier: MIT
# check_install.sh BUILD CC: what `cmake --install` lays down can be used: by pkg-config and by find_package, both from a
# prefix that is not the configured one; and the installed command runs.
set -eu
build=$1
cc=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
cmake --install "$build" --prefix "$tmp/p" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
libdir=$(dirname "$(find "$tmp/p" -name 'libpare.*' | head -n 1)")
cat >"$tmp/use.c" <<'C'
#include <pare/media.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    pare_list_entry e = {.struct_size = sizeof e};
    pare_source *s = NULL;
    pare_error err;
    if (strcmp(pare_version(), PARE_VERSION_TEXT)) return 1;
    if (pare_list(PARE_LIST_SELECTORS, 0, &e)) return 2;
    if (pare_source_open(&s, "/nonexistent", NULL, &err) != PARE_E_IO && err.code != PARE_E_NOTFOUND) return 3;
    puts(e.name);
    return 0;
}
C
expect()
{
    got=$(LD_LIBRARY_PATH="$libdir" "$@")
    [ "$got" = none ] || { echo "$1 printed '$got'"; exit 1; }
}
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
$cc -std=c11 -Wall -Wextra -Werror "$tmp/use.c" -o "$tmp/by-pkg-config" $(pkg-config --cflags --libs pare_media)
expect "$tmp/by-pkg-config"
cat >"$tmp/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.22)
project(use C)
find_package(pare VERSION CONFIG REQUIRED)
add_executable(use use.c)
target_link_libraries(use PRIVATE pare::pare_media)
C
version=$(sed -n 's/^#define PARE_VERSION_TEXT "\([0-9]*\.[0-9]*\).*/\1/p' "$(dirname "$0")/../include/pare/version.h")
sed -i "s/find_package(pare VERSION/find_package(pare $version/" "$tmp/CMakeLists.txt"
cmake -S "$tmp" -B "$tmp/b" -G Ninja -DCMAKE_PREFIX_PATH="$tmp/p" -DCMAKE_C_COMPILER="$cc" >"$tmp/log" 2>&1 &&
    cmake --build "$tmp/b" >>"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
expect "$tmp/b/use"
[ -s "$tmp/p/share/pare/dinov2-small-q8_0.gguf" ] || { echo "no default model"; exit 1; }
for file in suite/suite-v1.json suite/bench.schema.json prompt.schema.json; do
    cmp "$(dirname "$0")/../tools/$file" "$tmp/p/share/pare/${file##*/}" || { echo "$file is not installed"; exit 1; }
done
LD_LIBRARY_PATH=$libdir "$tmp/p/bin/pare" --version | grep -q "^pare $version" || { echo "the command does not run"; exit 1; }
echo "pkg-config, find_package and the command work from $tmp/p"
