"""The surface of onnxruntime: sessions, options, bindings, values."""

from __future__ import annotations

import json
import logging
import os
import pickle
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import array, elementwise, make_model
from onnx import TensorProto, helper

import skiff as ort


def test_models_come_as_paths_and_bytes(relu: bytes, tmp_path: Path) -> None:
    file = tmp_path / "m ü.onnx"
    file.write_bytes(relu)
    for source in (str(file), file, relu, bytearray(relu), memoryview(relu)):
        y = ort.InferenceSession(source).run(None, {"x": array(-1, 2)})[0]
        assert y.tolist() == [0, 2] and y.dtype == np.float32


def test_ports_and_metadata() -> None:
    f = TensorProto.FLOAT
    model = make_model([helper.make_node("Relu", ["x"], ["y"])], [("x", f, ["N", 3, None])], [("y", f, ["N", 3, None])],
                       producer_name="me", model_version=7, doc_string="about")  # fmt: skip
    proto = __import__("onnx").load_from_string(model)
    helper.set_model_props(proto, {"author": "Ä"})
    s = ort.InferenceSession(proto.SerializeToString())
    x, y = s.get_inputs()[0], s.get_outputs()[0]
    assert (x.name, x.type, x.shape) == ("x", "tensor(float)", ["N", 3, None])
    assert (y.name, y.type, y.shape) == ("y", "tensor(float)", ["N", 3, None])
    m = s.get_modelmeta()
    assert (m.producer_name, m.version, m.description, m.graph_name) == ("me", 7, "about", "graph")
    assert m.custom_metadata_map == {"author": "Ä"}


def test_outputs_by_name_and_twice() -> None:
    f = TensorProto.FLOAT
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["x"], ["b"])]
    s = ort.InferenceSession(make_model(nodes, [("x", f, ["N"])], [("a", f, ["N"]), ("b", f, ["N"])]))
    x = array(-1, 2)
    assert [v.tolist() for v in s.run(None, {"x": x})] == [[0, 2], [1, -2]]
    assert [v.tolist() for v in s.run(["b"], {"x": x})] == [[1, -2]]
    assert [v.tolist() for v in s.run(["b", "a", "b"], {"x": x})] == [[1, -2], [0, 2], [1, -2]]
    assert len(s.run([], {"x": x})) == 2


def test_defaults_may_be_left_out_and_given(add: bytes) -> None:
    s = ort.InferenceSession(add)
    assert [a.name for a in s.get_inputs()] == ["a"]
    assert [a.name for a in s.get_overridable_initializers()] == ["b"]
    a = np.zeros((1, 2), np.float32)
    assert s.run(None, {"a": a})[0].tolist() == [[10, 20]]
    assert s.run(None, {"a": a, "b": array(1, 2)})[0].tolist() == [[1, 2]]
    o = ort.SessionOptions()
    o.add_initializer("b", ort.OrtValue.ortvalue_from_numpy(array(5, 6)))
    s = ort.InferenceSession(add, o)
    assert s.run(None, {"a": a})[0].tolist() == [[5, 6]]
    assert s.run(None, {"a": a, "b": array(1, 2)})[0].tolist() == [[1, 2]]


def test_options_map_to_skiffs_own(relu: bytes) -> None:
    o = ort.SessionOptions()
    o.intra_op_num_threads = 1
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    o.add_session_config_entry("skiff.time_limit", "5")
    assert o._skiff_options() == {"threads": "1", "skip_passes": "all", "time_limit": "5"}
    assert ort.InferenceSession(relu, o).get_session_options() is o
    assert o.get_session_config_entry("skiff.time_limit") == "5"
    with pytest.raises(ort.errors.InvalidArgument, match="skiff.no_such"):
        o.add_session_config_entry("skiff.no_such", "1")
    with pytest.raises(AttributeError):
        o.no_such = 1
    with pytest.raises(RuntimeError):
        o.get_session_config_entry("never added")


def test_what_has_no_meaning_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    from skiff import _say

    _say._said.clear()
    with caplog.at_level(logging.WARNING, "skiff"):
        for _ in range(3):
            o = ort.SessionOptions()
            o.enable_mem_pattern = False
            o.enable_cpu_mem_arena = True  # the default changes nothing and says nothing
    assert o.enable_mem_pattern is False
    assert [r.message for r in caplog.records] == ["SessionOptions.enable_mem_pattern is accepted and changes nothing: memory is always planned"]


def test_providers(relu: bytes) -> None:
    assert ort.get_available_providers()[-1] == "CPUExecutionProvider" and ort.get_device() == "CPU"
    s = ort.InferenceSession(relu, providers=["CPUExecutionProvider"], provider_options=[{"a": "b"}])
    assert s.get_providers() == ["CPUExecutionProvider"] and s.get_provider_options()["CPUExecutionProvider"] == {"a": "b"}
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        s = ort.InferenceSession(relu, providers=[("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"])
    assert s.get_providers() == ["CPUExecutionProvider"]
    with pytest.raises(ValueError, match="NoSuch"):
        ort.InferenceSession(relu, providers=["NoSuchProvider"])
    with pytest.raises(ValueError, match="same length"):
        ort.InferenceSession(relu, providers=["CPUExecutionProvider"], provider_options=[{}, {}])
    s = ort.InferenceSession(relu, providers=["ReferenceExecutionProvider"])
    assert json.loads(s._info_json(None))["nodes"][0]["device"] == "reference"
    assert s.run(None, {"x": array(-1, 2)})[0].tolist() == [0, 2]
    s.set_providers(["CPUExecutionProvider"])
    assert json.loads(s._info_json(None))["nodes"][0]["device"] == "cpu"


def test_free_dimensions(relu: bytes) -> None:
    o = ort.SessionOptions()
    o.add_free_dimension_override_by_name("N", 3)
    s = ort.InferenceSession(relu, o)
    assert s.get_inputs()[0].shape == [3] and s.get_outputs()[0].shape == [3]
    assert s.run(None, {"x": array(1, -2, 3)})[0].tolist() == [1, 0, 3]
    with pytest.raises(ort.errors.InvalidArgument, match="'N', was set to 3"):
        s.run(None, {"x": array(1, 2)})


def test_profiling_writes_a_trace(relu: bytes, tmp_path: Path) -> None:
    o = ort.SessionOptions()
    o.enable_profiling = True
    o.profile_file_prefix = str(tmp_path / "trace_")
    s = ort.InferenceSession(relu, o)
    for _ in range(3):
        s.run(None, {"x": array(1, 2)})
    trace = json.loads(Path(s.end_profiling()).read_text())
    assert trace["otherData"]["runs"] == 3
    assert any(e["args"]["op"] for e in trace["traceEvents"]) and all(e["ph"] == "X" for e in trace["traceEvents"])
    assert ort.InferenceSession(relu).end_profiling() == ""


def test_run_async(relu: bytes) -> None:
    s = ort.InferenceSession(relu)
    got: list[tuple[object, object, str]] = []
    done = threading.Semaphore(0)

    def callback(results: list[object], data: object, error: str) -> None:
        got.append((results, data, error))
        done.release()

    s.run_async(None, {"x": array(-1, 2)}, callback, "mine")
    assert done.acquire(timeout=20)
    s.run_async(None, {"wrong": array(1)}, callback, "mine")
    assert done.acquire(timeout=20)
    assert got[0][0][0].tolist() == [0, 2] and got[0][1:] == ("mine", "")  # type: ignore[index]
    assert got[1][0] == [] and "wrong" in got[1][2]


def test_io_binding(relu: bytes) -> None:
    s = ort.InferenceSession(relu)
    b = s.io_binding()
    x = array(-1, 2)
    b.bind_cpu_input("x", x)
    b.bind_output("y")
    s.run_with_iobinding(b)
    assert b.copy_outputs_to_cpu()[0].tolist() == [0, 2]
    x[:] = 7  # the binding looks at the array
    s.run_with_iobinding(b)
    assert b.get_outputs()[0].numpy().tolist() == [7, 7]

    out = np.zeros(2, np.float32)
    b.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    s.run_with_iobinding(b)
    assert out.tolist() == [7, 7]
    v = ort.OrtValue.ortvalue_from_shape_and_type([2], np.float32, "cpu", 0)
    b.clear_binding_outputs()
    b.bind_ortvalue_output("y", v)
    view = v.numpy()
    s.run_with_iobinding(b)
    assert view.tolist() == [7, 7]
    # Another shape gives the value other memory; the old view keeps its own.
    b.bind_cpu_input("x", array(1, 2, 3))
    s.run_with_iobinding(b)
    assert v.numpy().tolist() == [1, 2, 3] and view.tolist() == [7, 7]
    b.bind_input("x", "cpu", 0, np.float32, [2], out.ctypes.data)
    s.run_with_iobinding(b)
    assert v.numpy().tolist() == [7, 7]
    with pytest.raises(ort.errors.InvalidArgument):
        b.bind_cpu_input("no", x)
    with pytest.raises(ort.errors.InvalidArgument):
        b.bind_output("no")
    with pytest.raises(ort.errors.InvalidArgument, match="host's memory"):
        b.bind_output("y", "cuda")


def test_ort_values(relu: bytes) -> None:
    x = array(-1, 2)
    v = ort.OrtValue.ortvalue_from_numpy(x)
    assert v.data_ptr() == x.ctypes.data and v.shape() == [2] and v.data_type() == "tensor(float)"
    assert v.element_type() == TensorProto.FLOAT and v.is_tensor() and v.has_value() and v.device_name() == "cpu"
    assert v.tensor_size_in_bytes() == 8 and np.shares_memory(v.numpy(), x)
    r = ort.InferenceSession(relu).run_with_ort_values(["y"], {"x": v})[0]
    assert np.asarray(r).tolist() == [0, 2] and np.from_dlpack(r).tolist() == [0, 2]
    r.update_inplace(array(3, 4))
    assert r.numpy().tolist() == [3, 4]
    with pytest.raises(ort.errors.InvalidArgument):
        r.update_inplace(array(1, 2, 3))


def test_sparse_tensors(relu: bytes) -> None:
    coo = ort.SparseTensor.sparse_coo_from_numpy([2, 3], array(1, -2), np.array([1, 5]))
    csr = ort.SparseTensor.sparse_csr_from_numpy([2, 3], array(1, -2), np.array([1, 2]), np.array([0, 1, 2]))
    assert coo.to_dense().tolist() == csr.to_dense().tolist() == [[0, 1, 0], [0, 0, -2]]
    assert coo.data_type() == "sparse_tensor(float)" and coo.dense_shape() == [2, 3]
    assert csr.as_csrc_view().outer().tolist() == [0, 1, 2] and coo.as_coo_view().indices().tolist() == [1, 5]
    with pytest.raises(ort.errors.InvalidArgument):
        ort.SparseTensor.sparse_coo_from_numpy([2, 3], array(1), np.array([6]))
    flat = ort.SparseTensor.sparse_coo_from_numpy([4], array(1, -2), np.array([1, 3]))
    assert ort.InferenceSession(relu).run(None, {"x": flat})[0].tolist() == [0, 1, 0, 0]


def test_sessions_can_be_pickled_and_called(relu: bytes) -> None:
    s = pickle.loads(pickle.dumps(ort.InferenceSession(relu)))
    assert s(array(-1, 2)).tolist() == [0, 2] and s(x=array(-1, 2)).tolist() == [0, 2]


def test_a_closed_session_refuses(relu: bytes) -> None:
    with ort.InferenceSession(relu) as s:
        s.run(None, {"x": array(1)})
    for call in (lambda: s.run(None, {"x": array(1)}), s.get_inputs, s.get_modelmeta, lambda: s.io_binding().bind_cpu_input("x", array(1))):
        with pytest.raises(RuntimeError, match="closed"):
            call()
    s.close()


def test_own_surface(relu: bytes, tmp_path: Path) -> None:
    path = tmp_path / "relu.onnx"
    path.write_bytes(relu)
    m = ort.load(path, threads=1)
    assert m(array(-1, 2)).tolist() == [0, 2]
    i = m.info({"x": [1000]})
    assert i.operators == {"Relu": 1} and i.nodes[0].device == "cpu" and i.placement() == {"cpu": 1}
    assert i.nodes[0].bytes >= 8000
    p = ort.profile(path, shapes={"N": 64}, runs=5)
    assert p.runs == 5 and p.nodes[0].count == 5 and list(p.by_operator())
    p.save_trace(tmp_path / "t.json")
    b = ort.bench(path, shapes={"N": 64}, runs=5)
    assert len(b.times_ns) == 5 and b.min_ns <= b.median_ns
    for shown in (m, i, p, b, m.session):
        assert "<table>" in shown._repr_html_()
    ort.rewrite(path, tmp_path / "again.onnx")
    assert ort.InferenceSession(tmp_path / "again.onnx")(array(-1, 2)).tolist() == [0, 2]
    with pytest.raises(ort.errors.InvalidArgument):
        ort.load(path, no_such_option=1)
    hostile = ort.profiling.html_table("<b>", ["<i>"], [["<script>"]], 0)
    assert "<script>" not in hostile and "<b>" not in hostile


def test_install_as_onnxruntime() -> None:
    code = (
        "import skiff; skiff.install_as_onnxruntime()\n"
        "import onnxruntime, onnxruntime as o2\n"
        "from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument, Fail\n"
        "from onnxruntime import InferenceSession, SessionOptions\n"
        "import onnxruntime.capi._pybind_state as C\n"
        "assert onnxruntime is skiff and C.InvalidArgument is InvalidArgument is skiff.errors.InvalidArgument\n"
        "try:\n    import onnxruntime.training\nexcept ModuleNotFoundError as e:\n    assert 'Skiff' in str(e)\n"
        "else:\n    raise SystemExit('a part that is not there was found')\n"
    )
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_warnings_are_not_errors_in_plain_use(relu: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ort.InferenceSession(relu, providers=["CPUExecutionProvider"]).run(None, {"x": array(1)})


def test_many_inputs_and_outputs() -> None:
    f = TensorProto.FLOAT
    n = 40
    nodes = [helper.make_node("Neg", [f"x{i}"], [f"y{i}"]) for i in range(n)]
    s = ort.InferenceSession(make_model(nodes, [(f"x{i}", f, [1]) for i in range(n)], [(f"y{i}", f, [1]) for i in range(n)]))
    got = s.run(None, {f"x{i}": array(i) for i in range(n)})
    assert [float(v[0]) for v in got] == [-i for i in range(n)]
    got = s.run([f"y{i}" for i in reversed(range(n))], {f"x{i}": array(i) for i in range(n)})
    assert [float(v[0]) for v in got] == [-i for i in reversed(range(n))]


def test_elementwise_keeps_the_input(relu: bytes) -> None:
    x = array(-1, 2)
    ort.InferenceSession(relu).run(None, {"x": x})
    assert x.tolist() == [-1, 2]
    x.flags.writeable = False
    assert ort.InferenceSession(elementwise("Neg")).run(None, {"x": x})[0].tolist() == [1, -2]
