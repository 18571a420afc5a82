#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every published checkpoint (make.py) is opened by `pare info`: all tensors of the visual part must be bound, and the
tokens of ten photos, and of clips where the family takes any, be as many as the model's own processor makes (facts.json).

    check.py PARE [NAME...]
Exit 0 passed, 1 failed; every difference is printed."""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import make  # noqa: E402


def ask(pare, folder, sizes, frames):
    """The JSON of pare info for sources of these sizes; or the complaint."""
    command = [pare, "info", folder, "--json", "--quiet"] + [f"--source={w}x{h}" for w, h in sizes]
    command += ["--frames", str(frames)] if frames else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return None, f"exit {done.returncode}: {done.stderr.strip()}"
    return json.loads(done.stdout), None


def differences(answer, want, sizes):
    """Lines that say where the counts are others."""
    for plan, tokens, (w, h) in zip(answer["plans"], want, sizes):
        if tokens is None:
            continue
        if plan["error"] is not None:
            yield f"{w}x{h}: {plan['error']}"
        elif plan["tokens"] != tokens:
            yield f"{w}x{h}: {plan['tokens']} tokens ({plan['tiles']} tiles, {plan['slots']} of {plan['grid']}), not {tokens}"


def check(pare, model, facts, sizes, folder):
    """What is wrong with one model."""
    make.write_checkpoint(model, facts, folder)
    wrong, answers = [], []
    for frames, want in [(0, facts["photos"])] + [(int(n), w) for n, w in facts["clips"].items()]:
        if want is None:
            continue
        answer, complaint = ask(pare, folder, sizes, frames)
        if answer is None:
            return [complaint]
        wrong += [f"{frames} frames, {text}" if frames else text for text in differences(answer, want, sizes)]
        answers.append(answer)
    bound = sum(make.count(s) for s in make.expand(facts["tensors"]).values())
    if answers[0]["parameters"] != bound:
        wrong.append(f"{answers[0]['parameters']} parameters are bound of {bound}")
    if not answers[0]["preprocess"] or not answers[0]["sites"]:
        wrong.append("no preprocessing or no sites are told")
    return wrong


def main():
    pare, facts, failed = os.path.abspath(sys.argv[1]), make.load("facts.json"), 0
    known = make.models()
    for name in sys.argv[2:] or known:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            wrong = check(pare, known[name], facts["models"][name], facts["sizes"], os.path.join(folder, name))
        print(f"{'FAILED' if wrong else 'ok':7} {name:34} {time.monotonic() - began:5.1f} s", flush=True)
        for line in wrong:
            print(f"        {line}")
        failed += bool(wrong)
    print(f"{failed} of {len(sys.argv[2:] or known)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
