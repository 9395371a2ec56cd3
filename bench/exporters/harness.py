"""What a case is, how its outputs are compared, and the report."""
import json
import math
import time
import traceback

import numpy as np

CASES = []


class Case:
    """model: bytes of the exported ONNX file. feeds: inputs by name. want: the framework's outputs, in the order of the
    model's outputs, None for one that is not compared. rtol and atol: |got - want| <= atol + rtol |want|. rows: most rows
    on which a label may differ (float32 ties of models that compute in double)."""

    def __init__(self, model, feeds, want, rtol=1e-4, atol=1e-5, rows=0):
        self.model = model if isinstance(model, bytes) else model.SerializeToString()
        self.feeds, self.want, self.rtol, self.atol, self.rows = feeds, want, rtol, atol, rows


def case(exporter, name=None):
    """Registers a function that makes a Case (or several: a list of (suffix, Case))."""

    def register(make):
        CASES.append((exporter, name or make.__name__, make))
        return make

    return register


def add(exporter, name, make):
    CASES.append((exporter, name, make))


def flatten(x):
    """Maps and sequences as a list of plain arrays."""
    if x is None:
        return []
    if isinstance(x, dict):
        return [np.array(list(map(str, x.keys())), object), *flatten(list(x.values()))]
    if isinstance(x, (list, tuple)):
        if x and all(np.isscalar(i) for i in x):
            return [np.asarray(x)]
        return [a for i in x for a in flatten(i)]
    return [np.asarray(x)]


def difference(got, want, c):
    """'' when equal within the tolerance, else one line."""
    gs, ws = flatten(got), flatten(want)
    if len(gs) != len(ws):
        return f"{len(gs)} parts, wanted {len(ws)}"
    for g, w in zip(gs, ws):
        if g.shape != w.shape:
            if g.size != w.size or g.squeeze().shape != w.squeeze().shape:
                return f"shape {g.shape}, wanted {w.shape}"
            g, w = g.squeeze(), w.squeeze()
        if g.dtype.kind in "OUS" or w.dtype.kind in "OUS":
            bad = g.astype(str) != w.astype(str)
            if bad.sum() > c.rows:
                i = int(np.flatnonzero(bad)[0])
                return f"{int(bad.sum())} of {g.size} texts differ, first at {i}: {g.flat[i]!r}, wanted {w.flat[i]!r}"
            continue
        if g.dtype.kind in "iub" and w.dtype.kind in "iub":
            bad = g.astype(np.int64) != w.astype(np.int64)
            if bad.sum() > c.rows:
                i = int(np.flatnonzero(bad)[0])
                return f"{int(bad.sum())} of {g.size} integers differ, first at {i}: {g.flat[i]}, wanted {w.flat[i]}"
            continue
        a, b = g.astype(np.float64), w.astype(np.float64)
        both_nan = np.isnan(a) & np.isnan(b)
        with np.errstate(invalid="ignore"):
            bad = ~((np.abs(a - b) <= c.atol + c.rtol * np.abs(b)) | (a == b) | both_nan)
        if bad.sum() > c.rows * (a.size // max(1, len(a)) if a.ndim else 1):
            i = int(np.nanargmax(np.where(bad, np.nan_to_num(np.abs(a - b), nan=math.inf), -1)))
            return f"{int(bad.sum())} of {a.size} numbers differ, worst at {i}: {a.flat[i]:.8g}, wanted {b.flat[i]:.8g}"
    return ""


def first_difference(got, c):
    for (name, g), w in zip(got.items(), c.want):
        if w is None:
            continue
        d = difference(g, w, c)
        if d:
            return f"output '{name}': {d}"
    return ""


def with_known_locale(model):
    """ONNX Runtime wants the locale en_US.UTF-8 installed for StringNormalizer; C.UTF-8 is everywhere."""
    if b"StringNormalizer" not in model:
        return model
    import onnx

    m = onnx.load_from_string(model)
    for n in m.graph.node:
        if n.op_type == "StringNormalizer" and not any(a.name == "locale" for a in n.attribute):
            n.attribute.append(onnx.helper.make_attribute("locale", "C.UTF-8"))
    return m.SerializeToString()


def run_peer(c):
    import onnxruntime as ort

    o = ort.SessionOptions()
    o.log_severity_level = 4
    s = ort.InferenceSession(with_known_locale(c.model), o, providers=["CPUExecutionProvider"])
    return s.run(None, {n: np.asarray(v) if not isinstance(v, list) else v for n, v in c.feeds.items()})


def runs_elsewhere(c):
    """Whether ONNX Runtime runs it. Without that package the failure is taken for Skiff's."""
    try:
        run_peer(c)
    except ImportError:
        return True
    except Exception:
        return False
    return True


def peer_outputs(c, names):
    """ONNX Runtime's outputs by name; None when it cannot run the model."""
    try:
        return dict(zip(names, run_peer(c)))
    except Exception:
        return None


# Each model runs in each of these; the first is what users get.
MODES = [("", {}), ("no passes", {"skip_passes": "all"}), ("generic, one thread", {"isa": "generic", "threads": 1})]


def judge(c, open_session):
    """Status and note of one model: passed; failed: Skiff is wrong, or alone in refusing it; missing: Skiff lacks an
    operator that ONNX Runtime has; refused: ONNX Runtime refuses the file as well; converter: ONNX Runtime, given the
    same file, misses the framework's result too."""
    for mode, options in MODES:
        label = f"[{mode}] " if mode else ""
        try:
            got = open_session(c.model, options).run(c.feeds)
        except Exception as e:
            text = label + str(e)[:300]
            if not runs_elsewhere(c):
                return "refused", text + " (ONNX Runtime refuses it too)"
            return ("missing" if "is not known to this build" in text else "failed"), text + " (ONNX Runtime runs it)"
        d = first_difference(got, c)
        if not d:
            continue
        peer = peer_outputs(c, got.keys())
        if peer is None:
            return "failed", label + d
        miss = first_difference(peer, c)
        if not first_difference(got, Case(c.model, c.feeds, list(peer.values()))):
            return "converter", label + d + " (ONNX Runtime gives the same as Skiff)"
        if miss:
            return "converter", label + d + f" (ONNX Runtime: {miss})"
        return "failed", label + d + " (ONNX Runtime agrees with the framework)"
    return "passed", ""


def run_case(exporter, name, make, open_session):
    """Rows of the report."""
    start = time.time()
    try:
        made = make()
    except Exception as e:
        return [row(exporter, name, "export", str(e).strip().split("\n")[0][:300] or traceback.format_exc(), start)]
    return [row(exporter, name + suffix, *judge(c, open_session), start)
            for suffix, c in (made if isinstance(made, list) else [("", made)])]


def row(exporter, name, status, note, start):
    return {"exporter": exporter, "case": name, "status": status, "note": note, "seconds": round(time.time() - start, 2)}


def write_report(rows, versions, json_path, md_path):
    with open(json_path, "w") as f:
        json.dump({"versions": versions, "cases": rows}, f, indent=1)
    groups = {}
    for r in rows:
        groups.setdefault(r["exporter"], []).append(r["status"])
    kinds = ["passed", "failed", "missing", "refused", "converter", "export"]
    lines = ["| exporter | cases | passed | failed | operator missing | refused by ONNX Runtime too | converter's own difference "
             "| not exported |", "|---" * 8 + "|"]
    for e, s in [*groups.items(), ("all", [r["status"] for r in rows])]:
        lines.append(f"| {e} | {len(s)} | " + " | ".join(str(s.count(k)) for k in kinds) + " |")
    lines.append("")
    for r in rows:
        if r["status"] != "passed":
            lines.append(f"- {r['status']}: {r['exporter']} {r['case']}: {r['note']}")
    lines.append("")
    lines.append("Versions: " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    with open(md_path, "w") as f:
        f.write("\n".join(lines) + "\n")
    return "\n".join(lines)
