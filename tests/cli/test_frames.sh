# SPDX-License-Identifier: MIT
# pare frames: budgets hold for every consumer, files and prompt agree, folders appear whole, what cannot work is refused.
. "$CLI_LIB"
count() { jq -r ".consumers[] | select(.name == \"$2\") | .$3" "$1"; }

echo '# a folder of pictures, named by index and time, the prompt last'
expect 0 "" "$PARE" frames "$clip" -o out --frames 6 | head -n 1 | sed 's/, coverage.*//'
ls out | sed 's/_t.*[.]/_t.../' | sort -u | wc -l
jq -r '.frames[].file' out/prompt.json | while read -r f; do [ -s "out/$f" ] || fail "$f"; done
jq -c '[(.frames | length), .choice.frames, .choice.by, .source.frames]' out/prompt.json
jq -e '.choice.coverage > .choice.coverage_uniform' out/prompt.json
jq -r '.frames | [.[].index] == ([.[].index] | sort | unique)' out/prompt.json
expect 0 "" "$PARE" frames "out/$(jq -r '.frames[0].file' out/prompt.json)" -c llava-1.5 --json | jq -c '[.choice.width, .choice.height, .consumers[0].tokens, .consumers[0].input]'

echo '# the budget holds, exactly as the consumer counts'
for budget in 900 4000; do
    for who in qwen2.5-vl internvl gpt-4o claude; do
        expect 0 "" "$PARE" frames "$clip" -c $who --tokens $budget --size auto --json >plan.json
        jq -e ".consumers[0].tokens <= $budget and .consumers[0].tokens > $budget / 2" plan.json >/dev/null || fail "$who $budget"
    done
done
expect 0 "" "$PARE" frames "$clip" -c all --tokens 20000 --size auto --json | jq '[.consumers[].tokens | select(. > 20000)] | length'
expect 0 "" "$PARE" frames "$clip" -c qwen3-vl --tokens-per-frame 100 --frames 4 --json | jq -c '[.choice.frames, .consumers[0].tokens_per_frame <= 100]'
expect 0 "" "$PARE" frames "$clip" -c internvl --keep .25 --json | jq -c '[.choice.frames, .consumers[0].tokens]'

echo '# messages in the words of each interface'
expect 0 "" "$PARE" frames "$clip" --frames 2 --uniform --json >all.json
for who in gpt-4o claude gemini-2 qwen2.5-vl gemma-3; do count all.json $who message | jq -c '[.. | objects | .type? // empty] | unique'; done
count all.json qwen2.5-vl 'message.content[0]' | jq -c 'keys'

echo '# a video, a folder with one, several clips'
expect 0 "" "$PARE" frames "$clip" -c gemini-2 -o key.mp4 --frames 5 | sed 's/, coverage.*//'
jq -c '[.video, .consumers[0].input, .consumers[0].tokens, .frames[0].file]' key.prompt.json
expect 0 "" "$PARE" info key.mp4 --json | jq .frames
cp "$clip" other.mp4
expect 0 "" "$PARE" frames "$clip" other.mp4 -c gpt-4o -o both --frames 2 --format png --size 64x36 | wc -l
ls both both/other | grep -vc frame_

echo '# replaced at one stroke; folders of others are left alone'
expect 0 "" "$PARE" frames "$clip" -c gpt-4o -o out --frames 2 | wc -l
ls out | wc -l
mkdir mine && echo text >mine/notes
one_line 2 "mine is a folder that pare frames did not write" "$PARE" frames "$clip" -o mine
ls mine
ls -a | grep -c tmp || true

echo '# what cannot work'
one_line 2 "1 frame of 768x432 costs 425 tokens of gpt-4o, more than 100; --size auto" "$PARE" frames "$clip" -c gpt-4o --tokens 100
one_line 2 "costs 255 tokens of gpt-4o, more than 100$" "$PARE" frames "$clip" -c gpt-4o --tokens 100 --size auto
one_line 2 "unknown consumer 'gpt4o', did you mean 'gpt-4o'" "$PARE" frames "$clip" -c gpt4o --tokens 1000
one_line 2 "tokens differ from consumer to consumer" "$PARE" frames "$clip" --tokens 1000
one_line 2 "exclude each other" "$PARE" frames "$clip" -c gpt-4o --tokens 10 --keep .5
one_line 1 "claude: takes pictures, no video" "$PARE" frames "$clip" -c claude --tokens 9000 -o a.mp4
one_line 2 "would both be written" "$PARE" frames "$clip" "$clip" -o d
one_line 4 "nothing.mp4" "$PARE" frames nothing.mp4 --frames 2
one_line 2 "no clip given" "$PARE" frames

echo '# killed at any moment: the old folder or the new one, never a part'
"$PARE" frames "$clip" -o live --frames 3 -q >/dev/null
for ms in 10 30 50 80 120 160 200 250 300 400; do
    timeout -s KILL 0.$(printf %03d $ms) "$PARE" frames "$clip" -o live --frames 9 -q >/dev/null 2>&1 || true
    n=$(jq '.frames | length' live/prompt.json)
    [ "$(ls live | wc -l)" = $((n + 1)) ] || fail "killed after $ms ms: $n frames, $(ls live | wc -l) files"
    jq -r '.frames[].file' live/prompt.json | while read -r f; do [ -s "live/$f" ] || fail "$f after $ms ms"; done
done
expect 0 "" "$PARE" frames "$clip" -c gpt-4o -o live --frames 9 -q | wc -l
