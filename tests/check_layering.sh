#!/bin/sh
# SPDX-License-Identifier: MIT
# Structure of the sources, read from their text: check_layering.sh [--graph | --dot] ROOT.
#   law     the dependency law of src/README.md, from the #includes; the core includes nothing above it
#   names   core, encode and reduce name no method of the tables (selectors, scores, allocators, presets), nor do their
#           comments: what a method needs is said in general terms
#   graph   the block ```graph of src/README.md is what --graph prints
# Prints every offence; exit 1 if any. --graph prints who includes whom, folder by folder; --dot the same for Graphviz.
set -eu
mode=check
case $1 in
--graph | --dot)
    mode=${1#--}
    shift
    ;;
esac
cd "$1"

# includes MODE: check, graph or dot
includes()
{
    find src tools samples \( -name '*.c' -o -name '*.h' \) | sort | xargs awk -v mode="$1" '
BEGIN {
    # module: the modules whose headers it may name. api is src/*.c.
    law["core"] = "core"
    law["model"] = "model core"
    law["encode"] = "encode model core"
    law["select"] = "select core"
    law["measure"] = "measure core"
    law["view"] = "view core"
    law["write"] = "write core"
    law["reduce"] = "reduce encode select model core"
    law["media"] = "media"
    law["api"] = "api core model encode select reduce measure view write"
    law["outside"] = ""
    # Libraries of others stay behind one kind of file.
    guest["<lib(av(codec|format|util|device|filter)|sw(scale|resample))/"] = "^(src/media/(source_av|av_[a-z]+|wr_video)[.][ch]|samples/own_decoder[.]c)$"
    guest["[<\"]stb_image[.]h"] = "^(src/media/source_stb[.]c|samples/.*)$"
    guest["[<\"]stb_image_write[.]h"] = "^src/write/wr_picture[.]c$"
    guest["[<\"](cblas|openblas[a-z_]*|f77blas)[.]h"] = "^src/encode/backend_[a-z]+[.]c$"
    guest["<pare/media[.]h>"] = "^(src/media|tools|samples)/"
}

function offence(why) {
    if (mode == "check") printf "%s includes %s: %s\n", FILENAME, header, why
    n_offence++
}

function module_of(file, part, n) {
    n = split(file, part, "/")
    if (part[1] != "src") return "outside"
    return n == 2 ? "api" : part[2]
}

# Folders are nodes of the graph; the public headers are one of them.
function connect(to) {
    node[to] = 1
    if (to != folder) edge[folder, to] = 1
}

FNR == 1 {
    n_file++
    module = module_of(FILENAME)
    folder = module == "outside" ? substr(FILENAME, 1, index(FILENAME, "/") - 1) : module
    connect(folder)
}

/^[ \t]*#[ \t]*include/ {
    header = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
    header = substr(header, 1, index(substr(header, 2), substr(header, 1, 1) == "<" ? ">" : "\"") + 1)
    for (g in guest)
        if (header ~ g && FILENAME !~ guest[g]) offence("only " guest[g] " may")
    if (header ~ /^<pare\//) connect("include")
    if (substr(header, 1, 1) == "<") next
    n = split(substr(header, 2, length(header) - 2), path, "/")
    if (module != "outside" && n > 1) connect(path[1])
    if (path[1] == "pare") offence("public headers are included with <>")
    else if (module == "outside" && n > 1 && path[1] != "..") offence("public headers only")
    else if (module == "outside" || (module == "api" && n == 1)) next
    else if (n == 1) offence("headers of src are named from src/")
    else if (!(module in law)) offence("module " module " has no law")
    else if (index(" " law[module] " ", " " path[1] " ") == 0) offence(module " may not know " path[1])
}

# Level of a folder: one above the highest that it includes. A circle never settles.
function set_levels(moved, round, pair, e) {
    for (round = moved = 1; moved; round++) {
        if (round > 100) { print "the folders include each other in a circle"; exit 1 }
        moved = 0
        for (e in edge) {
            split(e, pair, SUBSEP)
            if (level[pair[1]] < level[pair[2]] + 1) { level[pair[1]] = level[pair[2]] + 1; moved = 1 }
        }
    }
}

# Folders from the bottom up, by name within a level.
function sort_nodes(i, j, held, f) {
    for (f in node) order[++n_node] = f
    for (i = 2; i <= n_node; i++) {
        held = order[i]
        for (j = i - 1; j && level[order[j]] + 0 "" order[j] > level[held] + 0 "" held; j--) order[j + 1] = order[j]
        order[j + 1] = held
    }
}

function print_graph(i, j, line) {
    for (i = 1; i <= n_node; i++) {
        line = sprintf("%d  %-8s", level[order[i]], order[i])
        for (j = n_node; j; j--)
            if ((order[i], order[j]) in edge) line = line (line ~ /->/ ? " " : " -> ") order[j]
        sub(/ *$/, "", line)
        print line
    }
}

function print_dot(i, j) {
    print "digraph pare {\n    rankdir = BT"
    for (i = 1; i <= n_node; i++)
        for (j = 1; j <= n_node; j++)
            if ((order[i], order[j]) in edge) printf "    \"%s\" -> \"%s\"\n", order[i], order[j]
    print "}"
}

END {
    if (n_file < 20) { print "only " n_file " files found"; exit 1 }
    set_levels()
    sort_nodes()
    if (mode == "graph") print_graph()
    if (mode == "dot") print_dot()
    exit mode == "check" && n_offence > 0
}'
}

# Names of the plug-in tables and presets, with - for _, but for words that mean something without any method.
method_names()
{
    generic='none|random|stride|pool|resize|topk|norm|motion|equal|custom|custom-window|given|text|jitter|uniform|cluster|scope'
    {
        sed -n 's/^ *X(\([a-z0-9_]*\)).*/\1/p' src/select/selectors.c src/select/scores.c src/select/allocators.c
        sed -n 's/^ *{"\([^"]*\)",.*/\1/p' src/select/methods.c
    } | tr _ - | grep -vxE "$generic" | sort -u
}

names()
{
    found=$(method_names)
    [ "$(echo "$found" | wc -l)" -ge 5 ] || { echo "too few methods found in the tables of src/select"; return 1; }
    pattern=$(echo "$found" | sed 's/-/[-_ ]?/g' | paste -sd'|')
    ! grep -rniE --include='*.[ch]' "(^|[^a-z0-9])($pattern)([^a-z0-9]|\$)" src/core src/encode src/reduce
}

graph()
{
    stored=$(sed -n '/^```graph$/,/^```$/p' src/README.md | sed '/^```/d')
    [ "$stored" = "$(includes graph)" ] && return 0
    echo "src/README.md: its block \`\`\`graph is not what check_layering.sh --graph prints:"
    includes graph
    return 1
}

if [ "$mode" != check ]; then
    includes "$mode"
    exit
fi
failed=0
includes check || failed=1
names || { echo "core, encode and reduce name no method"; failed=1; }
graph || failed=1
exit $failed
