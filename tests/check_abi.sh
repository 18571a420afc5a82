#!/bin/sh
# SPDX-License-Identifier: MIT
# The ABI of both libraries against the dumps in tests/abi: check_abi.sh [--update] [BUILD]. Fails when something public
# changed (a symbol, a struct, a constant) while MAJOR.MINOR in include/pare/version.h did not; then either undo the change
# or raise the version and run --update, which rewrites the dumps. BUILD: a directory to build in (default: a temporary
# one). Exit 77 where libabigail is missing.
#   libNAME.abi    functions and public structs of libNAME.so (abidw; no paths, no lines, no private types)
#   constants.txt  enumerators and numeric macros of the public headers, which debug information does not tie to a symbol
#   version        MAJOR.MINOR that they describe
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
stored=$root/tests/abi
update=0
[ "${1:-}" != --update ] || { update=1; shift; }
command -v abidw >/dev/null && command -v abidiff >/dev/null || { echo "abi: skipped, abidw is missing (abigail-tools)"; exit 77; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
build=${1:-$tmp/build}

build_libraries()
{
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=None -DBUILD_SHARED_LIBS=ON -DPARE_TESTS=OFF \
        -DPARE_SAMPLES=OFF -DCMAKE_C_FLAGS="-O0 -g -ffile-prefix-map=$root=. -ffile-prefix-map=$build=." &&
        cmake --build "$build" --target libpare.so libpare_media.so
}

# dump NAME: the ABI of libNAME.so; source files become numbers, as abidiff wants them to be distinct
dump()
{
    abidw --headers-dir "$root/include" --drop-private-types --exported-interfaces-only --drop-undefined-syms --no-elf-needed \
        --no-corpus-path --no-comp-dir-path --no-show-locs --no-architecture --type-id-style hash "$build/lib$1.so" |
        awk '{ if (sub(/ path=.[^ ]*/, " path='"'"'" n + 1 "'"'"'")) n++; print }'
}

# What still begins with PARE_ after the preprocessor is an enumerator; macros count where they are plain numbers.
constants()
{
    (cd "$root/include" && printf '#include <%s>\n' pare/*.h) >"$tmp/all.c"
    ${CC:-cc} -I"$root/include" -E -P "$tmp/all.c" | grep -o 'PARE_[A-Z0-9_]*' >"$tmp/names"
    ${CC:-cc} -I"$root/include" -E -dM "$tmp/all.c" |
        sed -n 's/^#define \(PARE_[A-Z0-9_]*\) [0-9][0-9]*$/\1/p' | grep -v '^PARE_VERSION_' >>"$tmp/names"
    {
        cat "$tmp/all.c"
        printf '#include <stdio.h>\nint main(void)\n{\n'
        sort -u "$tmp/names" | sed 's/.*/    printf("%s %lld\\n", "&", (long long)&);/'
        printf '    return 0;\n}\n'
    } >"$tmp/print.c"
    ${CC:-cc} -I"$root/include" "$tmp/print.c" -o "$tmp/print" && "$tmp/print"
}

build_libraries >"$tmp/build.log" 2>&1 || { tail -n 40 "$tmp/build.log"; exit 1; }
mkdir "$tmp/now"
for name in pare pare_media; do dump "$name" >"$tmp/now/lib$name.abi"; done
constants >"$tmp/now/constants.txt"
sed -n 's/^#define PARE_VERSION_\(MAJOR\|MINOR\) \([0-9]*\)$/\2/p' "$root/include/pare/version.h" | paste -sd. >"$tmp/now/version"
grep -q '^[0-9]*[.][0-9]*$' "$tmp/now/version" || { echo "abi: no version found in include/pare/version.h"; exit 1; }
grep -q pare_reducer_push "$tmp/now/libpare.abi" || { echo "abi: the dump of libpare lacks its functions"; exit 1; }

if [ "$update" = 1 ]; then
    mkdir -p "$stored"
    cp "$tmp/now/"* "$stored/"
    echo "abi: dumps of version $(cat "$stored/version") written"
    exit 0
fi

changed=0
for name in pare pare_media; do
    status=0
    abidiff "$stored/lib$name.abi" "$tmp/now/lib$name.abi" >"$tmp/report" 2>&1 || status=$?
    [ "$status" = 0 ] || cat "$tmp/report"
    case $status in
    0) ;;
    4 | 8 | 12) changed=1 ;; # bits: 4 changed, 8 incompatibly
    *) echo "abi: abidiff failed on lib$name ($status)"; exit 1 ;;
    esac
done
diff -u --label constants.txt --label now "$stored/constants.txt" "$tmp/now/constants.txt" || changed=1
was=$(cat "$stored/version")
is=$(cat "$tmp/now/version")
if [ "$changed" = 0 ]; then
    echo "abi: as stored ($is)"
elif [ "$was" != "$is" ]; then
    echo "abi: changed, as the version did, from $was to $is; run tests/check_abi.sh --update"
else
    echo "abi: changed, but the version is still $is: undo it, or raise MINOR and run tests/check_abi.sh --update"
    exit 1
fi
