"""What goes in and out: memory that is shared, element types, strings, sequences, maps, optionals."""

from __future__ import annotations

import array as buffers
import gc
from typing import Any

import numpy as np
import pytest
from conftest import array, elementwise, make_model
from onnx import TensorProto, helper

import skiff
from skiff import _core


def through(dtype: int, x: Any, op: str = "Identity", opset: int = 18) -> Any:
    return skiff.InferenceSession(elementwise(op, dtype, opset)).run(None, {"x": x})[0]


def test_contiguous_arrays_are_never_copied(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)
    x = np.zeros(1 << 20, np.float32)
    viewed, converted = _core.counters()
    for _ in range(10):
        s.run(None, {"x": x})
    assert _core.counters() == (viewed + 10, converted)
    s.run(None, {"x": x[::2]})
    assert _core.counters() == (viewed + 10, converted + 1)


def test_outputs_own_their_memory(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)
    a = s.run(None, {"x": array(1, 2)})[0]
    b = s.run(None, {"x": array(3, 4)})[0]
    s.close()
    del s
    gc.collect()
    assert a.tolist() == [1, 2] and b.tolist() == [3, 4] and a.flags.writeable and not np.shares_memory(a, b)


def test_outputs_that_are_inputs_or_constants_are_copies() -> None:
    f = TensorProto.FLOAT
    w = helper.make_tensor("w", f, [2], [5, 6])
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Unsqueeze", ["x", "zero"], ["viewed"]),
        helper.make_node("Identity", ["w"], ["constant"]),
    ]
    outs = [("same", f, ["N"]), ("viewed", f, [1, "N"]), ("constant", f, [2])]
    s = skiff.InferenceSession(make_model(nodes, [("x", f, ["N"])], outs, [w, helper.make_tensor("zero", TensorProto.INT64, [1], [0])]))
    x = array(1, 2)
    same, viewed, constant = s.run(None, {"x": x})
    assert not np.shares_memory(same, x) and not np.shares_memory(viewed, x)
    constant[:] = 0
    assert s.run(["constant"], {"x": x})[0].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("code", "name"),
    [(1, "f4"), (2, "u1"), (3, "i1"), (4, "u2"), (5, "i2"), (6, "i4"), (7, "i8"), (9, "?"), (10, "f2"), (11, "f8"), (12, "u4"), (13, "u8")],
)
def test_numpys_types(code: int, name: str) -> None:
    x = np.array([0, 1, 1, 0], name)
    y = through(code, x)
    assert y.dtype == x.dtype and y.tolist() == x.tolist()


@pytest.mark.parametrize(
    ("code", "name"),
    [(16, "bfloat16"), (17, "float8_e4m3fn"), (18, "float8_e4m3fnuz"), (19, "float8_e5m2"), (20, "float8_e5m2fnuz"),
     (21, "uint4"), (22, "int4"), (23, "float4_e2m1fn"), (24, "float8_e8m0fnu"), (25, "uint2"), (26, "int2")],
)  # fmt: skip
def test_ml_dtypes(code: int, name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    if not hasattr(ml_dtypes, name):
        pytest.skip(f"this ml_dtypes has no {name}")
    dtype = np.dtype(getattr(ml_dtypes, name))
    x = np.array([1, 2, 1, 1, 2] if "2" != name[-1] else [1, 0, 1, 1, 1], np.float32).astype(dtype)
    if name in ("int4", "int2"):
        x[1] = -2
    y = through(code, x, opset=25)
    assert y.dtype == dtype and y.tolist() == x.tolist()


def test_bits_of_another_type(relu: bytes) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    raw = np.array([1.5, -2], ml_dtypes.bfloat16).view(np.uint16)
    v = skiff.OrtValue.ortvalue_from_numpy_with_onnx_type(raw, TensorProto.BFLOAT16)
    assert v.data_type() == "tensor(bfloat16)"
    assert through(TensorProto.BFLOAT16, v).tolist() == [1.5, -2]


def test_lenders_of_memory(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)

    class Lender:
        def __init__(self, a: Any) -> None:
            self.a = a

        def __dlpack__(self, **kwargs: Any) -> Any:
            return self.a.__dlpack__(**kwargs)

        def __dlpack_device__(self) -> Any:
            return self.a.__dlpack_device__()

    for x in (Lender(array(-1, 2)), buffers.array("f", [-1, 2]), memoryview(array(-1, 2)), [-1, 2], (-1, 2)):
        assert s.run(None, {"x": x})[0].tolist() == [0, 2]
    a = array(-1, 2)
    assert skiff.OrtValue.ortvalue_from_numpy(Lender(a)).data_ptr() == a.ctypes.data
    assert skiff.OrtValue.ortvalue_from_numpy(memoryview(a)).data_ptr() == a.ctypes.data
    assert skiff.OrtValue.from_dlpack(a).data_ptr() == a.ctypes.data


def test_awkward_arrays(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)
    base = np.arange(-4, 4, dtype=np.float32)
    assert s.run(None, {"x": base[::2]})[0].tolist() == [0, 0, 0, 2]
    assert s.run(None, {"x": base[::-1]})[0].tolist() == [3, 2, 1, 0, 0, 0, 0, 0]
    assert s.run(None, {"x": base.astype(">f4")})[0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3]
    unaligned = np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(np.float32)
    assert s.run(None, {"x": unaligned})[0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3]
    assert s.run(None, {"x": base[:0]})[0].shape == (0,)


def test_strings() -> None:
    x = np.array(["a", "ü€😀", "", "with\0nul"], object)
    y = through(TensorProto.STRING, x)
    assert y.dtype == object and y.tolist() == x.tolist()
    assert through(TensorProto.STRING, np.array(["a", "bc"])).tolist() == ["a", "bc"]
    assert through(TensorProto.STRING, ["a", "bc"]).tolist() == ["a", "bc"]
    assert through(TensorProto.STRING, np.array([b"x"], object)).tolist() == ["x"]
    with pytest.raises(skiff.errors.InvalidArgument, match="element 1"):
        through(TensorProto.STRING, np.array(["a", 3], object))


def test_sequences() -> None:
    f = TensorProto.FLOAT
    seq = helper.make_tensor_sequence_value_info
    node = helper.make_node("SequenceInsert", ["q", "x"], ["r"])
    s = skiff.InferenceSession(make_model([node], [seq("q", f, None), ("x", f, ["N"])], [seq("r", f, None)]))
    assert s.get_inputs()[0].type == "seq(tensor(float))"
    r = s.run(None, {"q": [array(1), array(2, 3)], "x": array(4)})[0]
    assert [v.tolist() for v in r] == [[1], [2, 3], [4]]
    assert [v.tolist() for v in s.run(None, {"q": [], "x": array(4)})[0]] == [[4]]
    for bad in (array(1)[0], "text", {"a": 1}, [array(1), None]):
        with pytest.raises(skiff.errors.InvalidArgument, match="q"):
            s.run(None, {"q": bad, "x": array(4)})
    # The results look neither at inputs, which may change or go, nor at what the next run writes.
    seven, eight = np.full(1000, 7, np.float32), np.full(1000, 8, np.float32)
    r = s.run(None, {"q": [seven], "x": eight})[0]
    seven[:] = eight[:] = 0
    s.run(None, {"q": [seven], "x": eight})
    assert r[0][0] == 7 and r[1][999] == 8


def test_maps() -> None:
    f = TensorProto.FLOAT
    node = helper.make_node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_strings=["cat", "dog"])
    out = helper.make_value_info("z", helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(f, []))))
    s = skiff.InferenceSession(make_model([node], [("p", f, ["N", 2])], [out]))
    assert s.get_outputs()[0].type == "seq(map(string,tensor(float)))"
    got = s.run(None, {"p": np.array([[0.25, 0.75], [1, 0]], np.float32)})[0]
    assert got == [{"cat": 0.25, "dog": 0.75}, {"cat": 1.0, "dog": 0.0}]
    node = helper.make_node("DictVectorizer", ["m"], ["v"], domain="ai.onnx.ml", string_vocabulary=["a", "b", "c"])
    inp = helper.make_value_info("m", helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(f, [])))
    s = skiff.InferenceSession(make_model([node], [inp], [("v", f, None)]))
    assert s.run(None, {"m": {"c": np.float32(3), "a": np.float32(1)}})[0].ravel().tolist() == [1, 0, 3]


def test_optionals() -> None:
    f = TensorProto.FLOAT
    optional = helper.make_value_info("o", helper.make_optional_type_proto(helper.make_tensor_type_proto(f, ["N"])))
    node = helper.make_node("OptionalHasElement", ["o"], ["h"])
    s = skiff.InferenceSession(make_model([node], [optional], [("h", TensorProto.BOOL, [])]))
    assert s.get_inputs()[0].type == "optional(tensor(float))"
    assert bool(s.run(None, {"o": array(1, 2)})[0]) is True
    assert bool(s.run(None, {"o": None})[0]) is False
