#!/bin/sh
# SPDX-License-Identifier: MIT
# Every header compiles alone, and twice: check_headers.sh ROOT CC [CXX]. Public ones as C11, without our defines, and as
# C++11; internal ones as C11.
set -eu
root=$1 cc=$2 cxx=${3:-}
cd "$root"
failed=0

alone() { # header as included; the rest is the compiler
    header=$1
    shift
    printf '#include %s\n#include %s\nextern int not_empty;\n' "$header" "$header" |
        "$@" -Wall -Wextra -Werror -pedantic -fsyntax-only -Iinclude -Isrc - || {
        echo "$header does not compile alone with $*"
        failed=1
    }
}

n=0
for file in include/pare/*.h; do
    alone "<${file#include/}>" "$cc" -x c -std=c11
    [ -z "$cxx" ] || alone "<${file#include/}>" "$cxx" -x c++ -std=c++11
    n=$((n + 1))
done
for file in src/*/*.h; do
    case $file in
    src/core/*_tmpl.h) continue ;; # templates: mean something only inside vec_<isa>.c
    esac
    alone "\"${file#src/}\"" "$cc" -x c -std=c11 -D_GNU_SOURCE
    n=$((n + 1))
done
[ "$n" -ge 20 ] || failed=1
[ -n "$cxx" ] || echo "no C++ compiler: public headers were checked as C only"
echo "$n headers"
exit $failed
