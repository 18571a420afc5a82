#!/bin/sh
# SPDX-License-Identifier: MIT
# check_schema.sh SCHEMA COMMAND...: what the command prints (a report of the bench, or the prompt of `pare frames --json`)
# is a document of the schema, and the schema refuses it as soon as something in it is wrong (else it would check nothing).
# 77 without python3-jsonschema.
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

section = lambda d: d["sections"][0]
row = lambda d: section(d)["rows"][0]
report = {
    "version": lambda d: d.update(schema_version=1),
    "header": lambda d: d["run"].pop("seed"),
    "no units": lambda d: row(d).pop("units_kept"),
    "text in a column": lambda d: row(d).update(top1_percent="72"),
    "verdict": lambda d: row(d).update(overall="first"),
    "interval": lambda d: row(d)["primary"].pop("lo"),
    "saves": lambda d: row(d).update(saves="time"),
    "no sentence": lambda d: section(d).pop("resize_says"),
}
consumer = lambda d: d["consumers"][0]
prompt = {
    "version": lambda d: d.update(schema_version=2),
    "no frames": lambda d: d.update(frames=[]),
    "no tokens": lambda d: consumer(d).pop("tokens"),
    "no message": lambda d: consumer(d).pop("message"),
    "tokens in words": lambda d: consumer(d).update(tokens="many"),
    "nobody": lambda d: d.update(consumers=[]),
    "coverage": lambda d: d["choice"].update(coverage=1.5),
    "unknown part": lambda d: consumer(d)["message"]["content"].append({"type": "audio"}),
    "time": lambda d: d["frames"][0].pop("seconds"),
}
is_report = "sections" in document
accepted = [name for name, change in (report if is_report else prompt).items() if not refuses(change)]
if accepted:
    sys.exit("accepted: " + ", ".join(accepted))
if is_report:
    rows = sum(len(s["rows"]) for s in document["sections"])
    print(len(document["sections"]), "sections,", rows, "rows,", len(document["columns"]), "columns")
else:
    print(len(document["frames"]), "frames,", len(document["consumers"]), "consumers")
' "$schema"
