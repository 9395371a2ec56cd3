"""ONNX's official backend interface (onnx.backend.base), so that onnx.backend.test drives Skiff. Needs the package onnx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend as _Backend
from onnx.backend.base import BackendRep as _BackendRep
from onnx.backend.base import namedtupledict

from .session import InferenceSession


class BackendRep(_BackendRep):
    """A model made ready to run."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session

    def run(self, inputs: Any, **kwargs: Any) -> Any:
        """Runs on inputs by position (a list) or by name (a dict)."""
        names = [n.name for n in self._session.get_inputs()]
        if isinstance(inputs, Mapping):
            feed = dict(inputs)
        else:
            if not isinstance(inputs, (list, tuple)):
                inputs = [inputs]
            names += [n.name for n in self._session.get_overridable_initializers()]
            feed = dict(zip(names, inputs))
        results = self._session.run(None, feed)
        return namedtupledict("Outputs", [n.name for n in self._session.get_outputs()])(*results)


class Backend(_Backend):
    """Skiff as an ONNX backend. Options of ``prepare`` are those of InferenceSession."""

    @classmethod
    def is_compatible(cls, model: Any, device: str = "CPU", **kwargs: Any) -> bool:
        return cls.supports_device(device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> BackendRep:
        """From a ModelProto, its bytes or a path."""
        if isinstance(model, InferenceSession):
            return BackendRep(model)
        if isinstance(model, onnx.ModelProto):
            model = model.SerializeToString()
        return BackendRep(InferenceSession(model, **kwargs))

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **kwargs: Any) -> Any:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any) -> Any:
        """Runs one node on inputs by position. ``outputs_info``: pairs of dtype and shape, or nothing."""
        opset = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        arrays = [np.asarray(x) for x in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        names = [n for n in node.input if n]
        ins = [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in zip(names, arrays)]
        outs = [onnx.helper.make_empty_tensor_value_info(n) for n in node.output if n]
        for info, out in zip(outputs_info or (), outs):
            dtype, shape = info
            out.CopyFrom(onnx.helper.make_tensor_value_info(out.name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape))
        graph = onnx.helper.make_graph([node], "run_node", ins, outs)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])
        return cls.prepare(model, device).run(arrays)


is_compatible = Backend.is_compatible
prepare = Backend.prepare
run = Backend.run_model
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
