# SPDX-License-Identifier: MIT
# --tokens N is exact: 30 draws of clip, N, recipe, window, grid and sampling over the real clips; and where fewer frames can
# be decoded than a file lists, up to all of their units.
. "$CLI_LIB"
data=$PARE_FIXTURES/data
[ -n "$PARE_FIXTURES" ] && [ -d "$data/video/asl" ] && [ -d "$data/decode" ] || exit 77

recipes="random@patches random@output random@block=3 spatial-uniform@patches spatial-uniform@block=5 stride@output
topk:score=motion@patches topk:score=norm@output topk:score=cls-attn@block=6 temporal-redundancy@patches
temporal-redundancy@output background@patches rlt@patches evs@output dtd@patches dtd@output vidcom2@output vcast@output
fastvid@output sttm@output tome@block visionzip@output pitome@block tofu@block evit@block diffrate@block mustdrop@block
mustdrop@output hiprune@output vscan@output flowcut@block mctf@block prumerge@output prumerge-plus@output ats@block
divprune@output cdpruner@output scope@output vispruner@output dart@block=4 pixelprune@patches
topk:score=motion:alloc=motion@patches rlt:threshold=0.1@patches,topk@output tome:r=2@block,random@output"

# draw CLIP...: 30 lines "CLIP RECIPE WINDOW SIZE PICK U", U in 0..1 (0, 1 and almost 1 first); no clip comes twice.
draw()
{
    printf '%s\n' "$@" | awk -v recipes="$recipes" '
        function u() { state = state * 16807 % 2147483647; return state / 2147483647 }
        function one(n) { return 1 + int(u() * n) }
        { clip[NR] = $0 }
        END {
            state = 20008
            n = split(recipes, recipe)
            split("1 3 7 32 all", window)
            split("56x56 84x56 42x70", size)
            split("--every=9 --frames=60 --fps=2", pick)
            for (i = 1; i <= 30 && i <= NR; i++) {
                j = i + int(u() * (NR - i + 1))
                c = clip[j]; clip[j] = clip[i]
                print c, recipe[one(n)], window[one(5)], size[one(3)], pick[one(3)], \
                    i == 1 ? 0 : i == 2 ? 1 : i == 3 ? .999 : u()
            }
        }'
}

run() { "$PARE" reduce --json -q "$@"; }

# units CLIP OPTION...: its frames and units. spent: units that remain of it.
units() { run --plan --keep 1 -r none "$@" | jq -r '"\(.grid[0]) \(.units)"'; }
spent() { run "$@" | jq .units_out; }

draw "$data"/video/*.mp4 "$data"/video/asl/*.mkv "$data"/decode/*.mp4 "$data"/decode/*.mov "$data"/decode/*.mkv >draws
[ "$(wc -l <draws)" = 30 ] || fail "$(wc -l <draws) draws"
while read -r clip recipe window size pick u; do
    case $clip in */asl/* | */corrupted.mp4) pick= ;; esac
    set -- "$clip" --size "$size" --window "$window"
    [ -z "$pick" ] || set -- "$@" "${pick%%=*}" "${pick#*=}"
    all=$(units "$@")
    # a merging block leaves at least one unit of a frame
    case $recipe in tome*@block | pitome* | tofu* | mctf*) low=${all% *} ;; *) low=1 ;; esac
    n=$(awk -v low="$low" -v all="${all#* }" -v u="$u" 'BEGIN { print low + int(u * (all - low)) }')
    got=$(spent "$@" -r "$recipe" --tokens "$n" 2>stderr.txt)
    [ "$got" = "$n" ] || fail "$n of $all asked, $got left: $recipe $*: $(cat stderr.txt)"
done <draws
echo "30 draws"

# A damaged file lists frames that never come, and so does one that was cut off.
head -c 100000 "$data/video/asl/book.mkv" >cut.mkv
for clip in "$data/decode/corrupted.mp4" cut.mkv; do
    all=$(units "$clip" --size 56x56)
    all=${all#* }
    for n in $all $((all - 1)); do
        for recipe in temporal-redundancy@patches topk@output; do
            got=$(spent "$clip" --size 56x56 --window 5 -r $recipe --tokens "$n" 2>/dev/null)
            [ "$got" = "$n" ] || fail "$n of $all asked, $got left: $recipe, $clip"
            planned=$(run --plan "$clip" --size 56x56 -r $recipe --tokens "$n" 2>/dev/null | jq .tokens)
            [ "$planned" = "$n" ] || fail "$n of $all asked, $planned planned: $recipe, $clip"
        done
    done
    expect 2 "have only $all units" run "$clip" --size 56x56 -r random@patches --tokens $((all + 1)) -o x.npz >/dev/null
done
ls
