# SPDX-License-Identifier: MIT
# Sourced by the CLI tests. PARE = the command, SAMPLES = the samples folder.
clip=$SAMPLES/clip.mp4
# Where only counts and places matter: patches of 14 as of the model that ships with pare, and next to nothing to compute.
tiny=$SAMPLES/../tests/golden/models/dinov2-swiglu

fail()
{
    echo "FAILED: $*" >&2
    exit 1
}

# expect CODE PATTERN COMMAND...: runs it, passes its stdout on, and fails unless it exits with CODE and one line of
# stderr matches the extended regular expression ('' = stderr must be empty).
expect()
{
    want=$1
    pattern=$2
    shift 2
    got=0
    "$@" 2>stderr.txt || got=$?
    [ "$got" = "$want" ] || fail "exit $got, not $want: $*: $(cat stderr.txt)"
    if [ -z "$pattern" ]; then
        [ ! -s stderr.txt ] || fail "stderr: $(cat stderr.txt)"
    else
        grep -Eq -- "$pattern" stderr.txt || fail "stderr lacks /$pattern/: $(cat stderr.txt)"
    fi
}

# one_line CODE PATTERN COMMAND...: as expect, and the complaint is exactly one line.
one_line()
{
    expect "$@"
    [ "$(wc -l <stderr.txt)" = 1 ] || fail "not one line: $(cat stderr.txt)"
}

# value KEY: the number or text of a key on a JSON line of stdin.
value() { sed -n 's/.*"'"$1"'":\("[^"]*"\|[^,}]*\).*/\1/p'; }

# A photo of the clip at SECOND.
photo() { "$PARE" heatmap "$clip" -m "$tiny" --at "$1" --end "$1.04" --start "$1" --keep 1 --recipe none -q -o "$2" >/dev/null; }

# Little-endian f32 values 1 and 2 for hand-made tensors.
one() { printf '\000\000\200\077'; }
two() { printf '\000\000\000\100'; }

# An 8-byte little-endian length below 65536.
length() { printf "\\$(printf %03o $(($1 % 256)))\\$(printf %03o $(($1 / 256)))\\000\\000\\000\\000\\000\\000"; }

# npy DESCR SHAPE: the header of an array, its data are to follow: npy '<f4' '2, 3'.
npy()
{
    dict="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
    printf '\223NUMPY\001\000'
    printf "\\$(printf %03o ${#dict})\\000%s" "$dict"
}

# safetensors HEADER: its length and itself, the data are to follow.
safetensors()
{
    length ${#1}
    printf %s "$1"
}

# i32 VALUE...: little-endian, each below 256.
i32() { for i32_value in "$@"; do printf "\\$(printf %03o "$i32_value")\\000\\000\\000"; done; }

# tensor FILE NAME TYPE: the values of a tensor of a .safetensors file on one line, TYPE as od takes it (d8, f4, d4).
tensor()
{
    header=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    range=$(head -c $((8 + header)) "$1" | tail -c "$header" |
        sed -n 's/.*"'"$2"'":{[^}]*"data_offsets":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/p')
    [ -n "$range" ] || fail "no tensor $2 in $1"
    od -An -v -w100000 -t"$3" -j $((8 + header + ${range% *})) -N $((${range#* } - ${range% *})) "$1" | tr -s ' '
}
