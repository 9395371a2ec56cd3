"""Memory stays where it is over 100 000 runs."""

from __future__ import annotations

import gc

import numpy as np
from conftest import array, make_model
from onnx import TensorProto, helper

import skiff


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


def grows(work: object, times: int) -> int:
    for _ in range(times // 10):
        work()  # type: ignore[operator]
    gc.collect()
    before = resident()
    for _ in range(times):
        work()  # type: ignore[operator]
    gc.collect()
    return resident() - before


def test_runs(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)
    x = np.zeros(256, np.float32)
    assert grows(lambda: s.run(None, {"x": x}), 100_000) < 2 << 20  # 20 bytes a run would show


def test_failing_runs_and_conversions(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)
    wrong, strided = np.zeros(256), np.zeros(512, np.float32)[::2]

    def work() -> None:
        s.run(None, {"x": strided})
        for feed in ({"x": wrong}, {}, {"x": strided, "z": strided}):
            try:
                s.run(None, feed)
            except ValueError:
                pass

    assert grows(work, 3000) < 2 << 20


def test_sequences_strings_bindings(relu: bytes) -> None:
    f = TensorProto.FLOAT
    seq = helper.make_tensor_sequence_value_info
    s = skiff.InferenceSession(make_model([helper.make_node("SequenceInsert", ["q", "x"], ["r"])], [seq("q", f, None), ("x", f, ["N"])], [seq("r", f, None)]))
    t = skiff.InferenceSession(relu)
    x = np.zeros(512, np.float32)

    def work() -> None:
        s.run(None, {"q": [x, x], "x": x})
        b = t.io_binding()
        b.bind_cpu_input("x", x)
        b.bind_ortvalue_output("y", skiff.OrtValue.ortvalue_from_shape_and_type([512], np.float32))
        t.run_with_iobinding(b)
        b.get_outputs()[0].numpy()

    assert grows(work, 5000) < 2 << 20


def test_sessions(relu: bytes) -> None:
    assert grows(lambda: skiff.InferenceSession(relu).run(None, {"x": array(1)}), 1000) < 4 << 20
