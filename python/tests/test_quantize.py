"""Quantization through Python's data, scores and progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import make_model
from onnx import TensorProto, helper

import skiff


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """Two layers of 32 x 32 on x [1, 32]."""
    rng = np.random.default_rng(0)
    f = TensorProto.FLOAT
    w = [helper.make_tensor(f"w{i}", f, [32, 32], rng.standard_normal(1024).astype(np.float32)) for i in range(2)]
    nodes = [helper.make_node("MatMul", ["x", "w0"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), helper.make_node("MatMul", ["b", "w1"], ["y"])]
    path = tmp_path / "dense.onnx"
    path.write_bytes(make_model(nodes, [("x", f, [1, 32])], [("y", f, [1, 32])], w))
    return path


def samples(n: int = 8) -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal((1, 32)).astype(np.float32) for _ in range(n)]


def test_quantize(dense: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    out = tmp_path / "q.onnx"
    report = skiff.quantize(dense, out, samples(), progress=lambda stage, share: told.append((stage, share)), speed_check="off")
    assert report.samples == 8 and report.layers and told
    ops = {n.op_type for n in onnx.load(out).graph.node}
    assert ops & {"QuantizeLinear", "DequantizeLinear", "QLinearMatMul"}
    x = samples(1)[0]
    want, got = (skiff.InferenceSession(p).run(None, {"x": x})[0] for p in (dense, out))
    assert np.linalg.norm(want - got) < 0.1 * np.linalg.norm(want)
    assert "<table>" in report._repr_html_() and report.html


def test_samples_come_in_many_forms(dense: Path, tmp_path: Path) -> None:
    for data in ([{"x": a} for a in samples()], [(a,) for a in samples()], iter(samples()), (a for a in samples())):
        assert skiff.quantize(dense, tmp_path / "q.onnx", data).samples == 8


def test_python_errors_come_back(dense: Path, tmp_path: Path) -> None:
    def broken() -> Any:
        yield samples(1)[0]
        raise ZeroDivisionError("in the middle")

    def interrupted(stage: str, share: float) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "q.onnx"
    with pytest.raises(ZeroDivisionError, match="in the middle"):
        skiff.quantize(dense, out, broken())
    with pytest.raises(KeyboardInterrupt):
        skiff.quantize(dense, out, samples(), progress=interrupted)
    with pytest.raises(skiff.errors.InvalidArgument, match="'z'"):
        skiff.quantize(dense, out, [{"z": samples(1)[0]}])
    with pytest.raises(skiff.errors.InvalidArgument):
        skiff.quantize(dense, out, samples(), no_such_option=1)
    with pytest.raises(skiff.errors.InvalidArgument):
        skiff.quantize(dense, out, [np.zeros((3, 3), np.float32)])
    with pytest.raises(skiff.errors.SkiffError):
        skiff.quantize(tmp_path / "none.onnx", out, None)
    assert not out.exists()


def test_score(dense: Path, tmp_path: Path) -> None:
    kept: list[skiff.InferenceSession] = []

    def score(session: skiff.InferenceSession) -> float:
        kept.append(session)
        return float(np.mean([np.isfinite(session.run(None, {"x": a})[0]).all() for a in samples()]))

    report = skiff.quantize(dense, tmp_path / "q.onnx", samples(), score=score, max_drop=0.5)
    if not kept:
        pytest.skip("this build's quantization asks for no score")
    assert report.score_before == 1.0
    for s in kept:  # the library's sessions ended with the call
        with pytest.raises(RuntimeError, match="closed"):
            s.run(None, {"x": samples(1)[0]})
