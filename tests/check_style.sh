#!/bin/sh
# SPDX-License-Identifier: MIT
# House style that a machine can see: check_style.sh ROOT. SPDX line in every source, no notes-to-self, no tabs or trailing
# blanks in C, files of at most 600 lines, functions of at most 70. Prints every offence and the function lengths.
set -eu
cd "$1"

files=$(find src include tools tests samples CMakeLists.txt \( -name '*.c' -o -name '*.h' -o -name '*.sh' -o -name '*.cmake' \
    -o -name CMakeLists.txt \) -type f | sort)

exec awk '
BEGIN { note = "(^|[^A-Za-z])(TO" "DO|FIX" "ME|XX" "X)([^A-Za-z]|$)" }

function offence(line, why) {
    printf "%s:%d: %s\n", FILENAME, line, why
    n_offence++
}

function end_file() {
    if (lines > 600) { printf "%s: %d lines, 600 are possible\n", name, lines; n_offence++ }
    if (!licensed) { printf "%s: no SPDX line at its top\n", name; n_offence++ }
}

FNR == 1 {
    if (name) end_file()
    name = FILENAME
    is_c = name ~ /[.][ch]$/
    licensed = signature = open = 0
    n_file++
}
{ lines = FNR }
FNR <= 2 && /SPDX-License-Identifier: MIT/ { licensed = 1 }
$0 ~ note { offence(FNR, "a note to oneself") }
!is_c { next }

/[ \t]$/ { offence(FNR, "blank at the end of the line") }
/\t/ { offence(FNR, "a tab") }
/^[A-Za-z_]/ { signature = FNR }
/^{/ { open = 1 }
/^}/ && open {
    length_of[++n_function] = FNR - signature + 1
    if (FNR - signature + 1 > 70) offence(signature, "a function of " FNR - signature + 1 " lines, 70 are possible")
    open = 0
}

END {
    end_file()
    if (n_file < 50 || n_function < 200) { printf "only %d files, %d functions found\n", n_file, n_function; exit 1 }
    for (i = 1; i <= n_function; i++) count[length_of[i]]++
    for (l = 1; l <= 1000; l++) {
        seen += count[l]
        if (!median && seen >= n_function * 0.5) median = l
        if (!p90 && seen >= n_function * 0.9) p90 = l
    }
    printf "%d files, %d functions: median %d lines, 90 %% within %d\n", n_file, n_function, median, p90
    exit n_offence > 0
}' $files
