#!/bin/sh
# SPDX-License-Identifier: MIT
# driver.sh SCRIPT: runs SCRIPT in an empty directory and compares its stdout with the .stdout file beside it.
# PARE_ACCEPT=1 writes that file instead.
set -u
script=$1
here=$(cd "$(dirname "$script")" && pwd)
script=$here/$(basename "$script")
expected=${script%.sh}.stdout
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
mkdir "$dir/work"
cd "$dir/work" || exit 1
export CLI_LIB="$here/lib.sh"
sh -eu "$script" >"$dir/stdout"
code=$?
[ "$code" = 77 ] && exit 77
if [ "${PARE_ACCEPT:-0}" = 1 ]; then
    cp "$dir/stdout" "$expected"
fi
diff -u "$expected" "$dir/stdout" || code=1
exit "$code"
