#!/usr/bin/env python3
"""Compares the operator catalogue with the standard's schemas, as PyPI's onnx has them.

    schemas.py CATALOGUE_PROGRAM

For every operator of ai.onnx, ai.onnx.ml, ai.onnx.preview and ai.onnx.preview.training: the versions, each version's
attributes with their types, the numbers of inputs and outputs with what may be left out, and the element types each version
allows. The catalogue holds the union over the versions: a type or an attribute that some version has must be there, and none
that no version has. Exit 77 (skipped) without the onnx package.
"""
import json
import re
import subprocess
import sys

try:
    import onnx
    from onnx import defs
except ImportError:
    print("skipped: no onnx package")
    sys.exit(77)

DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")

# Where the catalogue means to differ, and why.
EXTRA_OPERATORS = {
    ":Affine": "experimental before opset 10, found in old files",
    ":Crop": "the same",
    ":ImageScaler": "the same",
    ":SimplifiedLayerNormalization": "ONNX Runtime's own, put by it into the default domain",
}
# They move elements whatever these are, so they take every type: exporters run ahead of the standard here.
MOVERS = set("""CenterCropPad Compress Concat ConcatFromSequence DepthToSpace Expand Gather GatherElements GatherND NonZero OneHot
RandomNormalLike RandomUniformLike ReverseSequence Scatter ScatterElements ScatterND SequenceAt SequenceConstruct SequenceInsert
Slice SpaceToDepth Split SplitToSequence TensorScatter Tile Trilu Unique Where""".split())
ALL_TYPES = 26
# Not among the element types of the pinned standard (26 of them); onnx 1.23 adds them.
NEW_TYPES = {"float6e2m3", "float6e3m2"}
# A hint of opset 1 that says nothing about the result.
IGNORED_ATTRIBUTES = {"consumed_inputs"}
EXCEPTIONS = {
    (":GroupNormalization", "versions"): "version 18 is deprecated and still run: files of opset 18 to 20 have it",
    ("ai.onnx.preview.training:Gradient", "inputs"): "bfloat16 has gradients like the other floats",
    ("ai.onnx.preview.training:Gradient", "outputs"): "the same",
    (":Scan", "inputs"): "version 8 has its variadic input in second place",
}


def types_of(strings):
    """Element types of tensors, and whether other kinds of values are allowed."""
    names, others = set(), False
    for s in strings:
        m = re.fullmatch(r"tensor\((\w+)\)", s)
        if m:
            names.add(m.group(1))
        else:
            others = True
    return names, others


def formal_types(schema, formal):
    for c in schema.type_constraints:
        if c.type_param_str == formal.type_str:
            return types_of(c.allowed_type_strs)
    return types_of([formal.type_str])


class Position:
    """One input or output over all versions."""

    def __init__(self):
        self.types, self.others, self.versions, self.arity = set(), False, 0, set()


def positions(schemas, what):
    out = []
    for s in schemas:
        for i, f in enumerate(getattr(s, what)):
            if i == len(out):
                out.append(Position())
            p = out[i]
            t, others = formal_types(s, f)
            p.types |= t
            p.others |= others
            p.versions += 1
            p.arity.add(str(f.option).split(".")[-1])
    return out


def compare_positions(key, what, schemas, ours, say):
    if (key, what) in EXCEPTIONS:
        return
    theirs = positions(schemas, what)
    if len(theirs) != len(ours):
        say(f"{key}: {len(ours)} {what}, the standard has {len(theirs)}")
    for i, (p, o) in enumerate(zip(theirs, ours)):
        where = f"{key}: {what[:-1]} {i} '{o['name']}'"
        if "Variadic" in p.arity:
            arity = "variadic"
        elif p.versions < len(schemas) or "Optional" in p.arity:
            arity = "optional"
        else:
            arity = "required"
        if what == "outputs" and arity == "required" and o["arity"] == "optional":
            pass  # an output nobody asks for may be left out
        elif arity != o["arity"]:
            say(f"{where} is {o['arity']}, the standard says {arity}")
        have = set(o["types"])
        if not have and (p.others or not p.types):
            continue  # values that are not tensors are not told by element types
        if not have and what == "outputs":
            continue
        missing, more = p.types - have - NEW_TYPES, have - p.types
        if key[1:] in MOVERS and len(have) == ALL_TYPES:
            more = set()
        if missing and have:
            say(f"{where} lacks {' '.join(sorted(missing))}")
        if not have:
            say(f"{where} has no types, the standard allows {' '.join(sorted(p.types))}")
        if more and not p.others:
            say(f"{where} allows {' '.join(sorted(more))}, which no version does")


def compare_attributes(key, schemas, ours, say):
    kinds = {}
    for s in schemas:
        for n, a in s.attributes.items():
            kinds.setdefault(n, []).append((str(a.type).split(".")[-1].lower(), a.required))
    have = {a["name"]: a for a in ours}
    for n, list_ in sorted(kinds.items()):
        types = {t for t, _ in list_}
        if n in IGNORED_ATTRIBUTES or (n not in have and len(types) > 1):
            continue  # one whose type changed is read by the operator itself
        if n not in have:
            say(f"{key}: attribute '{n}' is unknown")
            continue
        if have[n]["type"] not in {t.replace("_proto", "") for t in types}:
            say(f"{key}: attribute '{n}' is {have[n]['type']}, the standard says {'/'.join(types)}")
        required = all(r for _, r in list_) and len(list_) == len(schemas)
        if required != have[n]["required"]:
            say(f"{key}: attribute '{n}' is {'' if have[n]['required'] else 'not '}required, the standard says otherwise")
    for n in sorted(set(have) - set(kinds) - IGNORED_ATTRIBUTES):
        say(f"{key}: attribute '{n}' is in no version")


def main():
    catalogue = json.loads(subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout)
    ours = {f"{o['domain']}:{o['name']}": o for o in catalogue["operators"] if o["domain"] in DOMAINS}
    theirs = {}
    for s in defs.get_all_schemas_with_history():
        if s.domain in DOMAINS:
            theirs.setdefault(f"{s.domain}:{s.name}", []).append(s)
    problems = []
    say = problems.append
    for key in sorted(set(theirs) - set(ours)):
        say(f"{key} is missing")
    for key in sorted(set(ours) - set(theirs)):
        if key not in EXTRA_OPERATORS:
            say(f"{key} is not in the standard")
    compared = 0
    for key in sorted(set(ours) & set(theirs)):
        schemas = sorted(theirs[key], key=lambda s: s.since_version)
        live = [s for s in schemas if not s.deprecated]
        gone = [s.since_version for s in schemas if s.deprecated]
        o = ours[key]
        if o["versions"] != [s.since_version for s in live] and (key, "versions") not in EXCEPTIONS:
            say(f"{key}: versions {o['versions']}, the standard has {[s.since_version for s in live]}")
        if (gone[0] if gone else 0) != o["removed"] and (key, "versions") not in EXCEPTIONS:
            say(f"{key}: removed in {o['removed']}, the standard says {gone}")
        compare_attributes(key, live, o["attributes"], say)
        compare_positions(key, "inputs", live, o["inputs"], say)
        compare_positions(key, "outputs", live, o["outputs"], say)
        compared += len(schemas)
    newest = defs.onnx_opset_version()
    if catalogue["newest_opset"] != newest:
        say(f"the newest opset is {catalogue['newest_opset']}, onnx {onnx.__version__} has {newest}")
    for p in problems:
        print(p)
    print(f"{len(ours)} operators, {compared} schemas of onnx {onnx.__version__} compared, {len(problems)} differences")
    return 1 if problems else 0


sys.exit(main())
