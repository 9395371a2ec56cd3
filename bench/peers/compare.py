#!/usr/bin/env python3
"""Times Skiff and its peers on the same models and inputs, interleaved in one process.

    python3 -m venv .venv-bench && .venv-bench/bin/pip install -r bench/peers/requirements.txt
    .venv-bench/bin/python bench/peers/compare.py --library build/libskiff.so MODEL_DIR... [--threads 1 2] [--seconds 4]
    .venv-bench/bin/python bench/peers/compare.py --library build/libskiff.so --all ../shared/models --json r.json --markdown r.md

A MODEL_DIR holds model.onnx and, usually, test_data_set_0 (seeded inputs are made up otherwise); --all takes every such
folder below its argument whose model is not quantized. All engines run in short bursts by turns, so that a noisy machine hits all; a ratio is the median over rounds
of (the peer's median / Skiff's median), above 1 where Skiff is faster. Outputs are compared first. An engine that cannot
load or run a model is reported so. Load time and peak memory are taken in a process of their own per engine
(--probe; peak memory includes the interpreter, whose own share is subtracted).
"""
import argparse
import ctypes
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import numpy_helper

DTYPES = {np.dtype("float32"): 1, np.dtype("uint8"): 2, np.dtype("int8"): 3, np.dtype("int32"): 6,
          np.dtype("int64"): 7, np.dtype("bool"): 9, np.dtype("float16"): 10, np.dtype("float64"): 11}
QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear", "ConvInteger",
             "MatMulInteger", "QLinearAdd", "QGemm"}
ROUNDS = 10


class Port(ctypes.Structure):
    """skiff_port, of which only the name is wanted; the rest is room."""

    _fields_ = [("name", ctypes.c_char_p), ("rest", ctypes.c_char * 256)]


class Skiff:
    """The C ABI, as much of it as a benchmark needs."""

    name = "skiff"

    def __init__(self, model, threads, library):
        self.lib = ctypes.CDLL(str(library))
        self.lib.skiff_last_error.restype = ctypes.c_char_p
        self.lib.skiff_session_output_count.restype = ctypes.c_size_t
        options = ctypes.c_void_p()
        self.check(self.lib.skiff_options_create(ctypes.byref(options)))
        self.check(self.lib.skiff_options_set(options, b"threads", str(threads).encode()))
        self.session = ctypes.c_void_p()
        self.check(self.lib.skiff_session_load(str(model).encode(), options, ctypes.byref(self.session)))
        self.lib.skiff_options_free(options)
        self.outputs = (ctypes.c_void_p * self.lib.skiff_session_output_count(self.session))()

    def check(self, status):
        if status:
            raise RuntimeError(self.lib.skiff_last_error().decode())

    def bind(self, feeds):
        self.keep = feeds
        self.lib.skiff_session_input_count.restype = ctypes.c_size_t
        self.inputs = (ctypes.c_void_p * self.lib.skiff_session_input_count(self.session))()
        for i in range(len(self.inputs)):
            port = Port()
            self.check(self.lib.skiff_session_input(self.session, ctypes.c_size_t(i), ctypes.byref(port)))
            if port.name.decode() not in feeds:
                continue  # has a default
            a = feeds[port.name.decode()]
            value = ctypes.c_void_p()
            dims = (ctypes.c_int64 * a.ndim)(*a.shape)
            self.check(self.lib.skiff_tensor_wrap(DTYPES[a.dtype], dims, a.ndim, a.ctypes.data_as(ctypes.c_void_p),
                                                  ctypes.c_size_t(a.nbytes), ctypes.byref(value)))
            self.inputs[i] = value

    def run(self):
        self.check(self.lib.skiff_run(self.session, self.inputs, ctypes.c_size_t(len(self.inputs)), self.outputs,
                                      ctypes.c_size_t(len(self.outputs)), None))

    def output(self, i, like):
        data, n, size = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
        self.check(self.lib.skiff_tensor_data(ctypes.c_void_p(self.outputs[i]), ctypes.byref(data), ctypes.byref(n),
                                              ctypes.byref(size)))
        return np.frombuffer(ctypes.string_at(data, size.value), dtype=like.dtype).reshape(like.shape)


class OnnxRuntime:
    name = "onnxruntime"

    def __init__(self, model, threads, library):
        import onnxruntime
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def bind(self, feeds):
        self.binding = self.session.io_binding()
        for name, a in feeds.items():
            self.binding.bind_cpu_input(name, a)
        for o in self.session.get_outputs():
            self.binding.bind_output(o.name, "cpu")

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def output(self, i, like):
        return self.binding.get_outputs()[i].numpy()


class OpenVino:
    name = "openvino"

    def __init__(self, model, threads, library):
        import openvino
        self.version = openvino.__version__.split("-")[0]
        core = openvino.Core()
        config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32",
                  "ENABLE_CPU_PINNING": False}
        self.request = core.compile_model(core.read_model(str(model)), "CPU", config).create_infer_request()
        self.tensor = openvino.Tensor

    def bind(self, feeds):
        self.feeds = feeds
        for i, a in enumerate(feeds.values()):
            self.request.set_input_tensor(i, self.tensor(a, shared_memory=True))

    def run(self):
        self.request.infer()

    def output(self, i, like):
        return self.request.get_output_tensor(i).data


ENGINES = {e.name: e for e in (Skiff, OnnxRuntime, OpenVino)}


def load_inputs(folder):
    """The first test set's inputs; without one, seeded values of the declared shape (open extents are 1)."""
    model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    weights = {w.name for w in model.graph.initializer}
    arrays = {}
    for i, port in enumerate(p for p in model.graph.input if p.name not in weights):
        if not (folder / "test_data_set_0").is_dir():
            shape = [d.dim_value or 1 for d in port.type.tensor_type.shape.dim]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
            arrays[port.name] = np.random.default_rng(i).random(shape).astype(dtype)
            continue
        tensor = onnx.TensorProto()
        tensor.ParseFromString((folder / "test_data_set_0" / f"input_{i}.pb").read_bytes())
        arrays[port.name] = np.array(numpy_helper.to_array(tensor), order="C")
    return arrays


def is_float(folder):
    graph = onnx.load(str(folder / "model.onnx"), load_external_data=False).graph
    half = any(w.data_type == onnx.TensorProto.FLOAT16 for w in graph.initializer)
    return not half and not any(n.op_type in QUANTIZED for n in graph.node)


def burst(run, seconds):
    """Seconds of every run of a burst."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        t = time.perf_counter()
        run()
        times.append(time.perf_counter() - t)
    return times


def difference(engine, expected):
    worst = 0.0
    for i, e in enumerate(expected):
        if isinstance(e, np.ndarray) and e.dtype != object and e.size:
            got = np.asarray(engine.output(i, e), dtype=np.float64).reshape(e.shape)
            worst = max(worst, float(np.max(np.abs(got - e.astype(np.float64)))))
    return worst


def probe(name, folder, threads, library):
    """Load time and memory of one engine; runs in a process of its own."""
    feeds = load_inputs(folder)
    if name != "skiff":
        __import__(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    t = time.perf_counter()
    engine = ENGINES[name](folder / "model.onnx", threads, library)
    load = time.perf_counter() - t
    engine.bind(feeds)
    t = time.perf_counter()
    engine.run()
    first = time.perf_counter() - t
    engine.run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"load_ms": 1e3 * load, "first_run_ms": 1e3 * first, "peak_mib": peak / 1024}))


def probe_apart(name, folder, threads, library):
    runs = []
    for _ in range(3):
        r = subprocess.run([sys.executable, __file__, "--probe", name, "--library", str(library), "--threads", str(threads),
                            str(folder)], capture_output=True, text=True)
        if r.returncode == 0:
            runs.append(json.loads(r.stdout.splitlines()[-1]))
    return {k: min(r[k] for r in runs) for k in runs[0]} if runs else {}


def measure(a, folder, threads):
    row = {"model": f"{folder.parent.name}/{folder.name}", "threads": threads, "engines": {}}
    feeds = load_inputs(folder)
    engines, expected = [], None
    for name in a.engines:
        r = row["engines"][name] = {}
        try:
            engine = ENGINES[name](folder / "model.onnx", threads, a.library)
            engine.bind(feeds)
            engine.run()
            engine.run()
            if name == "onnxruntime":
                expected = [o.numpy() for o in engine.binding.get_outputs()]
            engines.append(engine)
        except Exception as e:  # reported, never dropped
            r["error"] = str(e).splitlines()[0][:200] if str(e) else type(e).__name__
    for engine in engines:
        if expected is not None and engine.name != "onnxruntime":
            try:
                row["engines"][engine.name]["max_difference"] = difference(engine, expected)
            except Exception as e:
                row["engines"][engine.name]["error"] = f"outputs: {e}"[:200]
    times = {e.name: [] for e in engines}
    for r in range(ROUNDS):
        shift = r % len(engines)
        for engine in engines[shift:] + engines[:shift]:
            times[engine.name].append(burst(engine.run, a.seconds / ROUNDS / len(engines)))
    for name, rounds in times.items():
        flat = sorted(t for r in rounds for t in r)
        row["engines"][name].update({"best_ms": 1e3 * min(statistics.median(r) for r in rounds),
                                     "median_ms": 1e3 * statistics.median(flat), "p90_ms": 1e3 * flat[len(flat) * 9 // 10]})
        if a.probe_memory:
            row["engines"][name].update(probe_apart(name, folder, threads, a.library))
    for name in times:
        if name != "skiff" and "skiff" in times:
            ratios = sorted(statistics.median(p) / statistics.median(s) for p, s in zip(times[name], times["skiff"]))
            row["engines"][name].update({"ratio": statistics.median(ratios), "ratio_low": ratios[1],
                                         "ratio_high": ratios[-2]})
    row["versions"] = {e.name: e.version for e in engines if hasattr(e, "version")}
    return row


def text_row(row):
    line = f"{row['model']:46} {row['threads']:3}"
    for name, r in row["engines"].items():
        if "best_ms" not in r:
            line += f"  {name}: {r.get('error', 'failed')}"
        elif "ratio" in r:
            line += f"  {name} {r['best_ms']:.3f} ms, ratio {r['ratio']:.2f} ({r['ratio_low']:.2f} - {r['ratio_high']:.2f})"
        else:
            line += f"  {r['best_ms']:9.3f} ms"
            line += f" (differs {r['max_difference']:.1e})" if "max_difference" in r else ""
    return line


def markdown(rows, engines):
    peers = [e for e in engines if e != "skiff"]
    head = ["model", "threads", "Skiff ms"] + [f"{p} ms" for p in peers] + [f"ratio to {p} (low - high)" for p in peers]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        e = row["engines"]
        ms = [f"{e[n]['best_ms']:.3f}" if "best_ms" in e.get(n, {}) else e.get(n, {}).get("error", "failed")
              for n in ["skiff"] + peers]
        ratios = []
        for p in peers:
            r = e.get(p, {})
            bold = "**" if r.get("ratio", 1) < 1 else ""
            ratios.append(f"{bold}{r['ratio']:.2f}{bold} ({r['ratio_low']:.2f} - {r['ratio_high']:.2f})" if "ratio" in r else "")
        lines.append("| " + " | ".join([row["model"], str(row["threads"])] + ms + ratios) + " |")
    for p in peers:
        for threads in sorted({r["threads"] for r in rows}):
            all_ratios = [r["engines"][p]["ratio"] for r in rows if r["threads"] == threads and "ratio" in r["engines"].get(p, {})]
            if all_ratios:
                lines.append(f"\nGeometric mean over {len(all_ratios)} models, {threads} threads, to {p}: "
                             f"{statistics.geometric_mean(all_ratios):.2f}; slower on {sum(r < 1 for r in all_ratios)}.")
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="*", type=pathlib.Path)
    p.add_argument("--all", type=pathlib.Path, help="every folder below it with a float model")
    p.add_argument("--library", required=True, type=pathlib.Path)
    p.add_argument("--engines", nargs="+", default=["skiff", "onnxruntime"], choices=list(ENGINES))
    p.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    p.add_argument("--seconds", type=float, default=4.0, help="per model and thread count, all engines together")
    p.add_argument("--probe-memory", action="store_true", help="load time and peak memory too")
    p.add_argument("--json", type=pathlib.Path)
    p.add_argument("--markdown", type=pathlib.Path)
    p.add_argument("--probe", choices=list(ENGINES), help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.probe:
        return probe(a.probe, a.models[0], a.threads[0], a.library)
    folders = [m.resolve() for m in a.models]
    if a.all:
        found = sorted(f.parent.resolve() for f in a.all.rglob("model.onnx"))
        folders += [f for f in found if is_float(f)]
    rows = []
    for folder in folders:
        for threads in a.threads:
            rows.append(measure(a, folder, threads))
            print(text_row(rows[-1]), flush=True)
            if a.json:
                a.json.write_text(json.dumps({"rows": rows}, indent=1))
            if a.markdown:
                a.markdown.write_text(markdown(rows, a.engines))


if __name__ == "__main__":
    main()
