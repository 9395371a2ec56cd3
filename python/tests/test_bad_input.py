"""Every wrong call is a Python exception of the right type that says what is wrong; none is a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import array, elementwise
from onnx import TensorProto

import skiff
from skiff.capi import onnxruntime_pybind11_state as state


@pytest.mark.parametrize(
    ("feed", "error", "text"),
    [
        ({"x": np.zeros(2)}, state.InvalidArgument, "float"),
        ({"x": np.zeros(2, np.int32)}, state.InvalidArgument, "int32"),
        ({"x": np.zeros((2, 2), np.float32)}, state.InvalidArgument, "'x'"),
        ({"x": np.float32(1)}, state.InvalidArgument, "'x'"),
        ({"x": np.array([object()])}, state.InvalidArgument, "'x'"),
        ({"x": np.array([1, 2], object)}, state.InvalidArgument, "numeric dtype"),
        ({"x": np.array(["2020-01-01"], "datetime64[D]")}, state.InvalidArgument, "datetime64"),
        ({"x": np.zeros(2, np.longdouble)}, state.InvalidArgument, "no element type"),
        ({"x": np.zeros(2, [("a", "f4")])}, state.InvalidArgument, "no element type"),
        ({"x": None}, state.InvalidArgument, "None"),
        ({"x": {"a": 1}}, state.InvalidArgument, "dict"),
        ({"x": object()}, state.InvalidArgument, "no array"),
        ({"x": [1, "a"]}, state.InvalidArgument, "'x'"),
        ({"x": [[1, 2], [3]]}, state.InvalidArgument, "'x'"),
        ({}, ValueError, "Required inputs"),
        ({"y": array(1)}, ValueError, "Required inputs"),
        ({"x": array(1), "z": array(1)}, state.InvalidArgument, "'z'"),
        ({"x": array(1), 7: array(1)}, state.InvalidArgument, "7"),
        ([array(1)], TypeError, "dict"),
        (None, TypeError, "dict"),
    ],
)
def test_feeds(relu: bytes, feed: Any, error: type[Exception], text: str) -> None:
    s = skiff.InferenceSession(relu)
    with pytest.raises(error, match=text):
        s.run(None, feed)
    assert s.run(None, {"x": array(1)})[0].tolist() == [1]  # and the session still works


@pytest.mark.parametrize(("names", "error"), [(["no"], state.InvalidArgument), ("y2", state.InvalidArgument), ([3], state.InvalidArgument), (5, TypeError), ([[]], TypeError)])
def test_output_names(relu: bytes, names: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        skiff.InferenceSession(relu).run(names, {"x": array(1)})


def test_run_options(relu: bytes) -> None:
    with pytest.raises(TypeError, match="RunOptions"):
        skiff.InferenceSession(relu).run(None, {"x": array(1)}, {"terminate": True})  # type: ignore[arg-type]


def test_models(tmp_path: Path, relu: bytes) -> None:
    with pytest.raises(state.NoSuchFile, match="no_such.onnx"):
        skiff.InferenceSession(tmp_path / "no_such.onnx")
    with pytest.raises(FileNotFoundError):
        skiff.InferenceSession(str(tmp_path / "no_such.onnx"))
    for junk in (b"junk", b"", relu[: len(relu) // 2], b"\xff" * 1000):
        with pytest.raises((state.InvalidProtobuf, state.InvalidArgument)):
            skiff.InferenceSession(junk)
    with pytest.raises(state.InvalidGraph):
        skiff.InferenceSession(b"\xff" * 1000)
    with pytest.raises((state.NotImplemented, state.InvalidGraph), match="NoSuchOperator"):
        skiff.InferenceSession(elementwise("NoSuchOperator"))
    for wrong in (7, None, ["a"], {}):
        with pytest.raises(TypeError):
            skiff.InferenceSession(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        skiff.InferenceSession(relu, "fast")  # type: ignore[arg-type]
    with pytest.raises((state.Fail, state.InvalidProtobuf, state.NoSuchFile)):
        skiff.InferenceSession(tmp_path)


def test_every_prefix_of_a_model(relu: bytes) -> None:
    for n in range(len(relu)):
        try:
            skiff.InferenceSession(relu[:n])
        except skiff.errors.SkiffError:
            pass


def test_an_unloaded_session_refuses() -> None:
    s = skiff.InferenceSession.__new__(skiff.InferenceSession)
    for call in (s._inputs, s._outputs, s._profile_json, s._graph_text, lambda: s._run(None, {}, None), lambda: s._run_values([], [], None)):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_the_extension_itself(relu: bytes) -> None:
    from skiff import _core

    with pytest.raises(TypeError):
        _core.Value()
    with pytest.raises(TypeError):
        _core.Value.wrap([1], 1, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        _core.Value.wrap(np.zeros(4, np.float32)[::2], 1, None)
    with pytest.raises(state.InvalidArgument, match="too small"):
        _core.Value.wrap(np.zeros(4, np.float32), 1, [5])
    with pytest.raises(state.InvalidArgument):
        _core.Value.wrap(np.zeros(4, np.float32), 99, None)
    with pytest.raises(state.InvalidArgument):
        _core.Value.empty(1, [-1])
    with pytest.raises(skiff.errors.SkiffError):
        _core.Value.empty(1, [1 << 40, 1 << 40])
    with pytest.raises(ValueError):
        _core.Value.strings(["a"], [2])
    with pytest.raises(TypeError):
        _core.Value.sequence([1])  # type: ignore[list-item]
    with pytest.raises(state.InvalidArgument):
        _core.Value.sequence([]).item(0)
    s = skiff.InferenceSession(relu)
    with pytest.raises(ValueError):
        s._run_values([], [None], None)
    v = _core.Value.empty(1, [2])
    with pytest.raises(TypeError):
        s._run_values([v], [3], None)  # type: ignore[list-item]
    assert s._run_values([v], [None], None)[0].shape == (2,)
    with pytest.raises(skiff.errors.SkiffError):  # a sequence where a tensor belongs
        s._run_values([_core.Value.sequence([v])], [None], None)


def test_freed_memory_cannot_be_reached(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)
    b = s.io_binding()
    b.bind_cpu_input("x", array(1, 2))  # the only reference to the array is the binding's
    b.bind_output("y")
    s.run_with_iobinding(b)
    view = b.get_outputs()[0].numpy()
    del b, s
    assert view.tolist() == [1, 2]
    with pytest.raises(state.InvalidArgument):
        skiff.InferenceSession(relu).io_binding().bind_input("x", "cpu", 0, np.float32, [2], 0)


def test_wrong_output_memory(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)
    b = s.io_binding()
    b.bind_cpu_input("x", array(1, 2))
    out = np.zeros(3, np.float32)
    b.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    with pytest.raises(state.InvalidArgument, match="y"):
        s.run_with_iobinding(b)
    b.bind_output("y", "cpu", 0, np.float64, [2], np.zeros(2).ctypes.data)
    with pytest.raises(state.InvalidArgument, match="y"):
        s.run_with_iobinding(b)
    empty = s.io_binding()
    with pytest.raises(ValueError, match="Required inputs"):
        s.run_with_iobinding(empty)


def test_exceptions_are_onnxruntimes_and_pythons() -> None:
    assert issubclass(state.InvalidArgument, ValueError) and issubclass(state.NoSuchFile, FileNotFoundError)
    assert issubclass(skiff.errors.InvalidModel, state.InvalidProtobuf) and issubclass(skiff.errors.InvalidModel, state.InvalidGraph)
    assert str(state.NotFound("plain")) == "plain"
    assert TensorProto.FLOAT == 1
