#!/usr/bin/env python3
"""Writes docs/operators.md from the operator catalogue.

    operators_md.py CATALOGUE_PROGRAM OUT [--tests FOLDER --skip-list FILE]    writes OUT
    operators_md.py CATALOGUE_PROGRAM OUT --check [...]                        exit 1 when OUT is not what it would write

Without --tests (the standard's cases are not there) --check leaves the case counts out of the comparison.
"""
import json
import pathlib
import re
import subprocess
import sys

DOMAINS = [
    ("", "ai.onnx"),
    ("ai.onnx.ml", "ai.onnx.ml"),
    ("ai.onnx.preview", "ai.onnx.preview"),
    ("ai.onnx.preview.training", "ai.onnx.preview.training"),
    ("com.microsoft", "com.microsoft"),
]
GROUPS = [
    ("every type", None),
    ("floats", {"float", "double", "float16", "bfloat16"}),
    ("float8", {"float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"}),
    ("integers", {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}),
    ("signed", {"int8", "int16", "int32", "int64"}),
    ("unsigned", {"uint8", "uint16", "uint32", "uint64"}),
    ("4-bit", {"int4", "uint4"}),
    ("2-bit", {"int2", "uint2"}),
    ("complex", {"complex64", "complex128"}),
]
ALL_TYPES = 26


def types_text(operator):
    """The element types of the first input that has a list, or of the output."""
    for formal in operator["inputs"] + operator["outputs"]:
        if formal["types"]:
            left = set(formal["types"])
            break
    else:
        return "sequences, maps or optionals"
    if len(left) == ALL_TYPES:
        return "every type"
    out = []
    for name, group in GROUPS[1:]:
        if group <= left:
            out.append(name)
            left -= group
    return ", ".join(out + sorted(left))


def row(o):
    versions = ", ".join(map(str, o["versions"])) + (f" (removed in {o['removed']})" if o["removed"] else "")
    passed, total = o["cases"]
    cases = f"{passed} of {total}" if total else ""
    kernels = " ".join(f"`{k}`" for k in o["kernels"])
    return f"| {o['name']} | {versions} | {types_text(o)} | {kernels} | {'yes' if o['gradient'] else ''} | {cases} |"


def document(catalogue):
    operators = [o for o in catalogue["operators"] if not o["internal"]]
    fast = sum(1 for o in operators if o["kernels"])
    lines = [
        "# Operators",
        "",
        "Made by `make docs` from the catalogue (`src/ops/ops.inc` and the families beside it); a test keeps it up to date.",
        "",
        f"{len(operators)} operators, up to opset {catalogue['newest_opset']} of the default domain, each with every version and every",
        "type the standard allows. All of them run on the device `cpu`; where no fast kernel is named it runs the reference",
        "implementation. The device `reference` runs all but those that own subgraphs, touch strings, sequences or maps, or make",
        f"shapes from values known only as the model runs: these stay on the host. {fast} have fast kernels on the CPU, for generic code and every x86 instruction set.",
        "",
        "*Types* are those of the first input (for operators that make tensors: of the output). *Fast kernels* are the names the",
        "profiler shows and `SKIFF_FORCE` takes. *Gradient*: the operator has a rule for `Gradient` and for training. *Cases*: the",
        "standard's backend tests that hold the operator and pass.",
    ]
    for key, title in DOMAINS:
        rows = sorted((o for o in operators if o["domain"] == key), key=lambda o: o["name"].lower())
        lines += ["", f"## {title}", "", "| operator | versions | types | fast kernels | gradient | cases |", "|---|---|---|---|---|---|"]
        lines += [row(o) for o in rows]
    return "\n".join(lines) + "\n"


def without_cases(text):
    return re.sub(r"[^|]*\|$", "|", text, flags=re.M)


def main():
    program, out = sys.argv[1], pathlib.Path(sys.argv[2])
    rest = sys.argv[3:]
    check = "--check" in rest
    if check:
        rest.remove("--check")
    if "--tests" in rest and not (pathlib.Path(rest[rest.index("--tests") + 1]) / "node").is_dir():
        print("the standard's cases are not there: their counts are not compared")
        rest = []
    made = document(json.loads(subprocess.run([program, *rest], check=True, capture_output=True, text=True).stdout))
    if not check:
        out.write_text(made)
        return 0
    have = out.read_text() if out.exists() else ""
    if not rest:
        made, have = without_cases(made), without_cases(have)
    if made == have:
        return 0
    for number, (a, b) in enumerate(zip(have.splitlines(), made.splitlines()), 1):
        if a != b:
            print(f"{out}:{number}\n  has   {a}\n  wants {b}")
            break
    print("docs/operators.md is not up to date; run `make docs`")
    return 1


sys.exit(main())
