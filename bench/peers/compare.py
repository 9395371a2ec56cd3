#!/usr/bin/env python3
"""Times Skiff and onnxruntime on the same models and inputs, interleaved in one process.

    python3 -m venv .venv-bench && .venv-bench/bin/pip install -r bench/peers/requirements.txt
    .venv-bench/bin/python bench/peers/compare.py --library build/libskiff.so MODEL_DIR... [--threads 1 2] [--seconds 4]

A MODEL_DIR holds model.onnx and test_data_set_0. Both run in short bursts by turns, so that a noisy machine hits both;
the ratio is the median over bursts of (onnxruntime's median / Skiff's median). Outputs are compared first.
"""
import argparse
import ctypes
import json
import pathlib
import statistics
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

DTYPES = {np.dtype("float32"): 1, np.dtype("uint8"): 2, np.dtype("int8"): 3, np.dtype("int32"): 6,
          np.dtype("int64"): 7, np.dtype("bool"): 9, np.dtype("float16"): 10, np.dtype("float64"): 11}


class Skiff:
    """The C ABI, as much of it as a benchmark needs."""

    def __init__(self, library, model, threads):
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

    def bind(self, arrays):
        self.keep = arrays
        self.inputs = (ctypes.c_void_p * len(arrays))()
        for i, a in enumerate(arrays):
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


def load_inputs(folder, session):
    arrays = {}
    for i, port in enumerate(session.get_inputs()):
        tensor = onnx.TensorProto()
        tensor.ParseFromString((folder / "test_data_set_0" / f"input_{i}.pb").read_bytes())
        arrays[port.name] = np.ascontiguousarray(numpy_helper.to_array(tensor))
    return arrays


def burst(run, seconds):
    """Median seconds of one run over a burst."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        t = time.perf_counter()
        run()
        times.append(time.perf_counter() - t)
    return statistics.median(times)


def measure(library, folder, threads, seconds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    peer = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    feeds = load_inputs(folder, peer)
    ours = Skiff(library, folder / "model.onnx", threads)
    ours.bind(list(feeds.values()))
    binding = peer.io_binding()
    for name, a in feeds.items():
        binding.bind_cpu_input(name, a)
    for o in peer.get_outputs():
        binding.bind_output(o.name, "cpu")
    expected = peer.run(None, feeds)
    ours.run()
    worst = max((float(np.max(np.abs(ours.output(i, e).astype(np.float64) - e.astype(np.float64)), initial=0))
                 for i, e in enumerate(expected) if isinstance(e, np.ndarray) and e.dtype != object), default=0.0)
    peer_run = lambda: peer.run_with_iobinding(binding)  # noqa: E731
    rounds = 10
    pairs = []
    for r in range(rounds):
        first, second = (ours.run, peer_run) if r % 2 else (peer_run, ours.run)
        a, b = burst(first, seconds / rounds / 2), burst(second, seconds / rounds / 2)
        pairs.append((a, b) if r % 2 else (b, a))
    ratios = sorted(p / o for o, p in pairs)
    return {"model": f"{folder.parent.name}/{folder.name}", "threads": threads, "skiff_ms": 1e3 * min(o for o, _ in pairs),
            "peer_ms": 1e3 * min(p for _, p in pairs), "ratio": statistics.median(ratios), "ratio_low": ratios[1],
            "ratio_high": ratios[-2], "max_difference": worst}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+", type=pathlib.Path)
    p.add_argument("--library", required=True, type=pathlib.Path)
    p.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    p.add_argument("--seconds", type=float, default=4.0, help="per model and thread count")
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    rows = []
    if not a.json:
        print(f"onnxruntime {onnxruntime.__version__}; ratio > 1: Skiff is faster; low, high: second of ten from each end")
        print(f"{'model':46} thr  skiff ms    ort ms  ratio   low  high  max diff")
    for folder in a.models:
        for threads in a.threads:
            try:
                row = measure(a.library, folder.resolve(), threads, a.seconds)
            except Exception as e:  # a model a peer cannot run is reported, never dropped
                row = {"model": f"{folder.parent.name}/{folder.name}", "threads": threads, "error": str(e)}
            rows.append(row)
            if a.json:
                continue
            if "error" in row:
                print(f"{row['model']:46} {threads:3}  failed: {row['error']}")
            else:
                print(f"{row['model']:46} {threads:3} {row['skiff_ms']:9.3f} {row['peer_ms']:9.3f} {row['ratio']:6.2f} "
                      f"{row['ratio_low']:5.2f} {row['ratio_high']:5.2f}  {row['max_difference']:.1e}", flush=True)
    if a.json:
        json.dump({"onnxruntime": onnxruntime.__version__, "rows": rows}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
