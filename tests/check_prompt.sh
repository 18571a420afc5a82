#!/bin/sh
# SPDX-License-Identifier: MIT
# check_prompt.sh SCHEMA COMMAND...: the line of JSON that `pare frames --json` prints is a document of the schema, and the
# schema refuses it as soon as something in it is wrong. 77 without python3-jsonschema.
set -eu
schema=$1
shift
python3 -c 'import jsonschema; jsonschema.Draft202012Validator' 2>/dev/null || exit 77
"$@" | python3 -c '
import copy, json, sys
import jsonschema

schema = json.load(open(sys.argv[1]))
document = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
errors = [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator.iter_errors(document)]
if errors:
    sys.exit("\n".join(errors[:10]))

def refuses(change):
    other = copy.deepcopy(document)
    change(other)
    return not validator.is_valid(other)

first = lambda d: d["consumers"][0]
changes = {
    "version": lambda d: d.update(schema_version=2),
    "no frames": lambda d: d.update(frames=[]),
    "no tokens": lambda d: first(d).pop("tokens"),
    "no message": lambda d: first(d).pop("message"),
    "tokens in words": lambda d: first(d).update(tokens="many"),
    "nobody": lambda d: d.update(consumers=[]),
    "coverage": lambda d: d["choice"].update(coverage=1.5),
    "unknown part": lambda d: first(d)["message"]["content"].append({"type": "audio"}),
    "time": lambda d: d["frames"][0].pop("seconds"),
}
accepted = [name for name, change in changes.items() if not refuses(change)]
if accepted:
    sys.exit("accepted: " + ", ".join(accepted))
print(len(document["frames"]), "frames,", len(document["consumers"]), "consumers")
' "$schema"
