#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything that a change must survive, in one command on Debian 12, as root or with sudo: installs the packages, then
#   style      clang-format
#   clang      the whole tree with clang, warnings are errors
#   fuzz       every fuzz target with libFuzzer: its corpus, then a short run
#   sanitize   the tests under address and undefined-behaviour sanitizers
#   release    all tests, gcc, warnings are errors
#   abi        what is public has changed only if the version has (tests/check_abi.sh)
# tests/run.sh [FIXTURES] : directory of the large fixtures (also from the environment, PARE_FIXTURES); tests that need
# it report themselves as skipped without it. PARE_STAGES="release style" picks stages, PARE_BUILD the build directory.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

fixtures=${1:-${PARE_FIXTURES:-}}
[ -z "$fixtures" ] || fixtures=$(cd "$fixtures" && pwd)
build=${PARE_BUILD:-$root/build-tests}
stages=${PARE_STAGES:-style clang fuzz sanitize release abi}
jobs=$(nproc)
failed=""
mkdir -p "$build"
build=$(cd "$build" && pwd)
scratch=""
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# Runs quietly; shows the log's end when it fails.
quietly()
{
    log=$1
    shift
    "$@" >"$log" 2>&1 || { tail -n 60 "$log"; return 1; }
}

# configure_and_build DIR TARGETS CMAKE_OPTION...
# shellcheck disable=SC2086
configure_and_build()
{
    dir=$build/$1
    target=$2
    shift 2
    mkdir -p "$dir"
    quietly "$dir/configure.log" cmake -S "$root" -B "$dir" -G Ninja -DPARE_WERROR=ON -DPARE_FIXTURES="$fixtures" "$@" &&
        quietly "$dir/build.log" cmake --build "$dir" -j "$jobs" --target $target
}

stage_style()
{
    cd "$root" && find src include tools tests samples -name '*.[ch]' -print0 |
        xargs -0 clang-format --dry-run -Werror
}

stage_clang() { configure_and_build clang all -DCMAKE_C_COMPILER=clang -DCMAKE_C_FLAGS_RELEASE=-O1; }

stage_fuzz()
{
    configure_and_build fuzz help -DCMAKE_C_COMPILER=clang -DPARE_FUZZ=ON -DPARE_SANITIZE=address,undefined \
        -DCMAKE_C_FLAGS_RELEASE=-O1 -DPARE_SAMPLES=OFF || return 1
    targets=$(sed -n 's/^\(fuzz_[a-z0-9_]*\): phony$/\1/p' "$build/fuzz/build.log" | sort -u)
    [ -n "$targets" ] || { echo "no fuzz target found"; return 1; }
    # shellcheck disable=SC2086
    configure_and_build fuzz "$targets" || return 1
    quietly "$build/fuzz/ctest.log" ctest --test-dir "$build/fuzz" -R '^fuzz_' --output-on-failure || return 1
    for target in $targets; do
        scratch=$(mktemp -d)
        (cd "$scratch" && quietly "$build/fuzz/$target.log" "$build/fuzz/tests/$target" -max_total_time=4 -timeout=20 \
            -rss_limit_mb=2048 "$scratch" "$root/tests/fuzz/corpus/${target#fuzz_}") || { echo "$target failed"; return 1; }
        rm -rf "$scratch"
        scratch=""
        echo "$target: $(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' "$build/fuzz/$target.log")"
    done
}

stage_sanitize()
{
    configure_and_build sanitize all -DPARE_SANITIZE=address,undefined -DCMAKE_C_FLAGS_RELEASE=-O2 || return 1
    # What these scripts drive is tested part by part here, and whole in the release stage; SIMD loops are not watched,
    # and what waits for clocks and networks is not slowed down.
    ctest --test-dir "$build/sanitize" --output-on-failure -j "$jobs" --timeout 600 \
        -E '^(cli_(exact|fair|files|heatmap|map|suite|bench|bench_report|documents|list|compare|random|plan|reuse|frames|kill|trace_families|vanish)|decode_(networks|reference|times)|published|test_(vec|mul|decode|families))$'
}

stage_release()
{
    configure_and_build release all || return 1
    ctest --test-dir "$build/release" --output-on-failure -j "$jobs" --timeout 600
}

stage_abi()
{
    status=0
    "$root/tests/check_abi.sh" "$build/abi" || status=$?
    [ "$status" = 0 ] || [ "$status" = 77 ]
}

# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES check clang clang-format libclang-rt-dev ffmpeg universal-ctags jq python3 python3-numpy python3-jsonschema abigail-tools

export CK_FORK=no OPENBLAS_NUM_THREADS=1
for stage in $stages; do
    began=$(date +%s)
    echo "== $stage"
    if "stage_$stage"; then
        echo "== $stage: ok, $(($(date +%s) - began)) s"
    else
        echo "== $stage: FAILED, $(($(date +%s) - began)) s"
        failed="$failed $stage"
    fi
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
