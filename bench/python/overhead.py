"""What session.run costs beyond the run itself, beside onnxruntime, interleaved in one process.

    cmake --build build --target skiff_python python_floor
    PYTHONPATH=build/python .venv/bin/python bench/python/overhead.py build/python_floor

`floor`: the same calls from C. `overhead` of Skiff: run minus floor. onnxruntime's own floor is taken as its
run_with_iobinding on bound memory, which leaves out making inputs and outputs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

import skiff

floor = sys.argv[1]
N, BATCH, ROUNDS = 16, 2000, 60

graph = helper.make_graph(
    [helper.make_node("Relu", ["x"], ["y"])], "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
)  # fmt: skip
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
path = tempfile.NamedTemporaryFile(suffix=".onnx")
path.write(model.SerializeToString())
path.flush()

x = np.zeros(N, np.float32)
child = subprocess.Popen([floor, path.name, str(N)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert child.stdin is not None and child.stdout is not None


def in_c() -> float:
    child.stdin.write(f"{BATCH}\n")  # type: ignore[union-attr]
    child.stdin.flush()  # type: ignore[union-attr]
    return float(child.stdout.readline())  # type: ignore[union-attr]


def timed(work: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter_ns()
        for _ in range(BATCH):
            work()
        return (time.perf_counter_ns() - start) / BATCH

    return measure


def session(package: object) -> object:
    options = package.SessionOptions()  # type: ignore[attr-defined]
    options.intra_op_num_threads = 1
    return package.InferenceSession(path.name, options, providers=["CPUExecutionProvider"])  # type: ignore[attr-defined]


def bound(s: object) -> Callable[[], object]:
    b = s.io_binding()  # type: ignore[attr-defined]
    y = np.zeros(N, np.float32)
    b.bind_input("x", "cpu", 0, np.float32, x.shape, x.ctypes.data)
    b.bind_output("y", "cpu", 0, np.float32, y.shape, y.ctypes.data)
    return lambda: (s.run_with_iobinding(b), y)  # type: ignore[attr-defined]


ours, theirs = session(skiff), session(onnxruntime)
rows: dict[str, Callable[[], float]] = {
    "skiff, from C": in_c,
    "skiff, session.run": timed(lambda: ours.run(None, {"x": x})),  # type: ignore[attr-defined]
    "onnxruntime, session.run": timed(lambda: theirs.run(None, {"x": x})),  # type: ignore[attr-defined]
    "onnxruntime, bound": timed(bound(theirs)),
}
times: dict[str, list[float]] = {name: [] for name in rows}
for _ in range(ROUNDS):
    for name, measure in rows.items():
        times[name].append(measure())
print(f"Relu on {N} floats, {ROUNDS} interleaved batches of {BATCH} runs; skiff {skiff.__version__}, onnxruntime {onnxruntime.__version__}")
medians = {name: statistics.median(t) for name, t in times.items()}
for name, m in medians.items():
    print(f"{name:26} {m:8.0f} ns  (best {min(times[name]):.0f})")
print(f"{'overhead of skiff':26} {medians['skiff, session.run'] - medians['skiff, from C']:8.0f} ns")
print(f"{'overhead of onnxruntime':26} {medians['onnxruntime, session.run'] - medians['onnxruntime, bound']:8.0f} ns")
