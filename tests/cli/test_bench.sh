# SPDX-License-Identifier: MIT
# Tables over a folder, a CSV, a .tar with and without a CSV, and a clip: facts, rows, units, outcomes, where they go.
. "$CLI_LIB"
mkdir -p data/Golden-Delicious data/Granny-Smith
photo 0 data/Golden-Delicious/a.png
photo 1 data/Golden-Delicious/b.png
photo 2 data/Granny-Smith/c.png
printf 'path,other,fine\nGolden-Delicious/a.png,9,0\n"Golden-Delicious/b.png",9,0\nGranny-Smith/c.png,9,1\n' >data/labels.csv
"$PARE" bench --size 112x112 --data data --keep 1,.25 --recipe tome@block --json >folder.json
jq -c '.schema_version, .run.photos, (.sections | length), (.sections[0].rows == .rows)' folder.json
# What is random has five seeds, and is one line.
jq -c '.rows[] | [.recipe, .keep, .units_kept, .saves, .seeds, .items, .top1_percent != null]' folder.json
jq -c '.rows[0] | [.agreement_percent, .cosine, .speed_up]' folder.json
jq -r '.rows[] | [.ms_p50, .ms_p95, .encode_ms_p50, .images_per_s] | map(. > 0) | all' folder.json | sort -u

quality() { jq -c '[.rows[] | [.top1_percent, .agreement_percent, .cosine]]' "$1"; }
"$PARE" bench --size 112x112 --data data/labels.csv --label-column fine --keep .25 --recipe tome@block --json >csv.json
[ "$(quality folder.json)" = "$(quality csv.json)" ] || fail "folder and csv differ"
# Chance, too, is the same: it depends on the last two parts of a photo's name.
tar -cf plain.tar -C data Golden-Delicious Granny-Smith
tar -cf csv.tar -C data labels.csv Golden-Delicious Granny-Smith
"$PARE" bench --size 112x112 --data plain.tar --keep .25 --recipe tome@block --json >plain.json
"$PARE" bench --size 112x112 --data csv.tar --label-column fine --keep .25 --recipe tome@block -o tar.json
[ "$(quality folder.json)" = "$(quality plain.json)" ] || fail "folder and tar differ"
[ "$(quality folder.json)" = "$(quality tar.json)" ] || fail "folder and tar with csv differ"

"$PARE" bench --size 112x112 --data data --limit 1 --seeds 1 --keep .5 -o t.csv
grep -v '^#' t.csv | cut -d, -f1,2,3
"$PARE" bench --size 112x112 --data data --stride 2 --seeds 1 --keep .5 -o t.md
grep -c '^|' t.md
grep -E '^- (photos|threads|model|seed)' t.md | sed 's/threads: .*/threads/'
"$PARE" bench -i "$clip" --frames 2 --size 112x112 --keep .5 --seeds 1 --rounds 1 --json | jq -c '[.run.clips, .run.frames, .run.units_per_frame], (.rows[] | [.recipe, .units_kept, .top1_percent])'

# Segments of 10 frames are the items of a clip, whose frames are counted all the same.
"$PARE" bench -i "$clip" -i "$clip" --end 1.2 --size 56x56 --keep .5 --seeds 1 --rounds 1 --json |
    jq -c '.run | [.clips, .frames, .units_per_frame], (.sections[0] | [.items, .frames, .units_per_frame])'
# Pages have amounts of their own unless some are asked for.
few="--task counting --limit 1 --train-stride 96 --seeds 1 --json"
"$PARE" bench $few | jq -c '[.rows[] | select(.recipe == "random@patches") | .keep]'
"$PARE" bench $few --keep .5 | jq -c '[.rows[] | select(.recipe == "random@patches") | .keep]'

one_line 2 "no column 'fin'; did you mean 'fine'" "$PARE" bench --size 112x112 --data data/labels.csv --label-column fin
one_line 4 "line 2: not in the archive: x.png|x.png" sh -c 'printf "path,l\nx.png,0\n" >labels.csv; tar -cf bad.tar labels.csv; "$PARE" bench --data bad.tar'

# A table replaces a file, not a device, a link or an input.
mkfifo pipe
cat pipe >through.md &
"$PARE" bench --size 112x112 --data data --limit 1 --seeds 1 --keep .5 -o pipe
wait $!
[ -p pipe ] && grep -c '^|' through.md
: >real.md
chmod 600 real.md
ln -s real.md link.md
"$PARE" bench --size 112x112 --data data --limit 1 --seeds 1 --keep .5 -o link.md
[ -L link.md ] && [ -s real.md ] && [ "$(stat -c %a real.md)" = 600 ] || fail "link replaced or permissions lost"
"$PARE" bench --size 112x112 --data data --limit 1 --seeds 1 --keep .5 -o - | grep -c '^|'
[ ! -e ./- ] || fail "a file called -"
one_line 2 "labels.csv is the input" "$PARE" bench --data data/labels.csv -o data/labels.csv
one_line 2 "photos or clips, not both" "$PARE" bench -i data/Golden-Delicious/a.png -i "$clip"
one_line 2 "comes only once" "$PARE" bench -i -
printf 'path,l\nGolden-Delicious/a.png,0\nGolden-Delicious/b.png,\n' >data/bare.csv
expect 0 "1 of 2 photos have no label" "$PARE" bench --size 112x112 --data data/bare.csv --seeds 1 --keep .5 --json | jq '.rows[0].top1_percent != null'
printf 'path,l\na\000.png,0\n' >nul.csv
one_line 4 "NUL" "$PARE" bench --data nul.csv
head -c 700 csv.tar >cut.tar
one_line 4 "cut.tar" "$PARE" bench --data cut.tar
echo junk >data/Granny-Smith/d.png
expect 3 "left out: data/Granny-Smith/d.png" "$PARE" bench --size 112x112 --data data --seeds 1 --keep .5 --json | jq .run.photos
