"""Round trips of real models: onnx_roundtrip.py HELPER MODELS_DIR [PART_OF_A_PATH]

Each model is read and written by HELPER at two levels. At the level of messages the result must be the same protobuf
message. At the level of the graph it must hold the same nodes, weights, inputs, outputs and metadata. Both must pass
onnx.checker where the original does. Exit code 77: skipped.
"""
import os
import subprocess
import sys
import tempfile

try:
    import onnx
    from onnx import numpy_helper
except ImportError:
    print("skipped: this Python has no onnx package (pip install onnx)")
    sys.exit(77)


def passes_checker(path):
    try:
        onnx.checker.check_model(path)
        return ""
    except Exception as e:  # the checker raises several kinds
        return str(e) or type(e).__name__


def canonical(message):
    return message.SerializeToString(deterministic=True)


def type_text(info):
    return canonical(info)


def attribute_text(a):
    """An attribute with graphs and tensors in a form that does not depend on how they are stored."""
    if a.type == onnx.AttributeProto.GRAPH:
        return (a.name, a.doc_string, graph_text(a.g))
    if a.type == onnx.AttributeProto.TENSOR:
        return (a.name, a.doc_string, tensor_text(a.t))
    return (a.name, canonical(a))


def tensor_text(t):
    if t.data_type == onnx.TensorProto.STRING:
        data = tuple(t.string_data)
    else:
        data = numpy_helper.to_array(t).tobytes()
    return (t.name, t.data_type, tuple(t.dims), t.doc_string, data)


def node_text(n):
    domain = "" if n.domain == "ai.onnx" else n.domain
    rest = onnx.NodeProto()
    rest.CopyFrom(n)
    for field in ("input", "output", "attribute", "name", "op_type", "domain", "overload"):
        rest.ClearField(field)
    return (n.name, domain, n.op_type, n.overload, tuple(n.input), tuple(n.output),
            tuple(attribute_text(a) for a in n.attribute), canonical(rest))


def graph_text(g):
    rest = onnx.GraphProto()
    rest.CopyFrom(g)
    for field in ("node", "initializer", "input", "output", "value_info"):
        rest.ClearField(field)
    initializers = {t.name for t in g.initializer}
    return {
        "name": g.name,
        "nodes": sorted(map(node_text, g.node), key=repr),
        "initializers": sorted(map(tensor_text, g.initializer), key=lambda t: t[0]),
        "inputs": [type_text(i) for i in g.input if i.name not in initializers],
        "listed initializers": sorted(i.name for i in g.input if i.name in initializers),
        "outputs": [type_text(o) for o in g.output],
        "value_info": sorted(type_text(v) for v in g.value_info),
        "rest": canonical(rest),
    }


def model_text(m):
    rest = onnx.ModelProto()
    rest.CopyFrom(m)
    for field in ("graph", "ir_version", "opset_import", "producer_name", "producer_version", "domain",
                  "model_version", "doc_string", "metadata_props", "functions"):
        rest.ClearField(field)
    text = graph_text(m.graph)
    text["model"] = (m.ir_version, [(o.domain, o.version) for o in m.opset_import], m.producer_name,
                     m.producer_version, m.domain, m.model_version, m.doc_string,
                     [(p.key, p.value) for p in m.metadata_props], canonical(rest))
    text["functions"] = [(f.domain, f.name, f.overload, tuple(f.input), tuple(f.output), tuple(f.attribute),
                          [node_text(n) for n in f.node], canonical(f)) for f in m.functions]
    return text


def check(helper, path, folder):
    problems = []
    original = onnx.load(path)
    complaint = passes_checker(path)
    for level in ("wire", "graph"):
        out = os.path.join(folder, level + ".onnx")
        run = subprocess.run([helper, level, path, out], capture_output=True, text=True)
        if run.returncode != 0:
            problems.append(f"{level}: {run.stderr.strip() or run.returncode}")
            continue
        if not complaint and passes_checker(out):
            problems.append(f"{level}: onnx.checker: {passes_checker(out)}")
        written = onnx.load(out)
        if level == "wire":
            if canonical(written) != canonical(original):
                problems.append("wire: the message differs")
        else:
            a, b = model_text(original), model_text(written)
            problems += [f"graph: {key} differ" for key in a if a[key] != b[key]]
        os.remove(out)
    return problems, complaint


def main():
    helper, models = sys.argv[1], sys.argv[2]
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    paths = sorted(os.path.join(d, f) for d, _, files in os.walk(models) for f in files if f.endswith(".onnx"))
    paths = [p for p in paths if part in p]
    if not paths:
        print(f"skipped: no models under {models}")
        sys.exit(77)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            problems, complaint = check(helper, path, folder)
            if complaint:
                print(f"note: onnx.checker refuses the original {path}: {complaint.splitlines()[0]}")
            for p in problems:
                print(f"FAILED {path}: {p}")
            failed += bool(problems)
    print(f"{len(paths) - failed} models passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
