#!/bin/sh
# SPDX-License-Identifier: MIT
# Dependency law of src/README.md, read from the #includes: check_layering.sh ROOT. Prints every offence; exit 1 if any.
set -eu
cd "$1"

exec awk '
BEGIN {
    # module: the modules whose headers it may name. api is src/*.c.
    law["core"] = "core"
    law["model"] = "model core"
    law["encode"] = "encode model core"
    law["select"] = "select core"
    law["view"] = "view core"
    law["write"] = "write core"
    law["reduce"] = "reduce encode select model core"
    law["media"] = "media"
    law["api"] = "api core model encode select reduce view write"
    law["outside"] = ""
    # Libraries of others stay behind one kind of file.
    guest["<lib(av(codec|format|util|device|filter)|sw(scale|resample))/"] = "^src/media/(source_av|av_[a-z]+|wr_video)[.][ch]$"
    guest["[<\"]stb_image[.]h"] = "^(src/media/source_stb[.]c|samples/.*)$"
    guest["[<\"]stb_image_write[.]h"] = "^src/write/wr_png[.]c$"
    guest["[<\"](cblas|openblas[a-z_]*|f77blas)[.]h"] = "^src/encode/backend_[a-z]+[.]c$"
    guest["<pare/media[.]h>"] = "^(src/media|tools|samples)/"
}

function offence(why) {
    printf "%s includes %s: %s\n", FILENAME, header, why
    n_offence++
}

function module_of(file, part, n) {
    n = split(file, part, "/")
    if (part[1] != "src") return "outside"
    return n == 2 ? "api" : part[2]
}

FNR == 1 { n_file++; module = module_of(FILENAME) }

/^[ \t]*#[ \t]*include/ {
    header = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
    header = substr(header, 1, index(substr(header, 2), substr(header, 1, 1) == "<" ? ">" : "\"") + 1)
    for (g in guest)
        if (header ~ g && FILENAME !~ guest[g]) offence("only " guest[g] " may")
    if (substr(header, 1, 1) == "<") next
    n = split(substr(header, 2, length(header) - 2), path, "/")
    if (path[1] == "pare") offence("public headers are included with <>")
    else if (module == "outside" && n > 1) offence("public headers only")
    else if (module == "outside" || (module == "api" && n == 1)) next
    else if (n == 1) offence("headers of src are named from src/")
    else if (!(module in law)) offence("module " module " has no law")
    else if (index(" " law[module] " ", " " path[1] " ") == 0) offence(module " may not know " path[1])
}

END {
    if (n_file < 20) { print "only " n_file " files found"; exit 1 }
    exit n_offence > 0
}' $(find src tools samples -name '*.c' -o -name '*.h' | sort)
