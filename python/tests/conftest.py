"""The tests run on the package that the build made (build/python) unless skiff is installed; see tests/run_pytest.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def make_model(nodes: list[Any], inputs: list[Any], outputs: list[Any], inits: list[Any] = (), opset: int = 18, **extra: Any) -> bytes:
    """A model's bytes. Inputs and outputs are value infos, or (name, dtype, shape)."""
    ports = [[helper.make_tensor_value_info(*p) if isinstance(p, tuple) else p for p in ps] for ps in (inputs, outputs)]
    graph = helper.make_graph(nodes, "graph", ports[0], ports[1], list(inits))
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10, **extra)
    return model.SerializeToString()


def elementwise(op: str, dtype: int = TensorProto.FLOAT, opset: int = 18) -> bytes:
    """y = op(x) for x of any length."""
    return make_model([helper.make_node(op, ["x"], ["y"])], [("x", dtype, ["N"])], [("y", dtype, ["N"])], opset=opset)


@pytest.fixture
def relu() -> bytes:
    return elementwise("Relu")


@pytest.fixture
def add() -> bytes:
    """s = a + b, with b an input that has a default."""
    f = TensorProto.FLOAT
    default = helper.make_tensor("b", f, [2], [10, 20])
    node = helper.make_node("Add", ["a", "b"], ["s"])
    return make_model([node], [("a", f, ["N", 2]), ("b", f, [2])], [("s", f, ["N", 2])], [default])


@pytest.fixture
def endless() -> bytes:
    """A Loop of a billion trips: some minutes, unless it is stopped."""
    f, i, b = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
    vi = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Sin", ["v"], ["v2"])], "body",
        [vi("i", i, []), vi("c", b, []), vi("v", f, [4])], [vi("c2", b, []), vi("v2", f, [4])],
    )  # fmt: skip
    trips = helper.make_tensor("trips", i, [], [1_000_000_000])
    yes = helper.make_tensor("yes", b, [], [True])
    return make_model([helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)], [("x", f, [4])], [("y", f, [4])], [trips, yes])


def array(*values: float) -> Any:
    return np.array(values, np.float32)
