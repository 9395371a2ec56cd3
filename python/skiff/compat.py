"""Skiff in onnxruntime's place, for programs that cannot be changed."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds onnxruntime.X where skiff.X is its equal, and nothing of the real package."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != "onnxruntime" and not name.startswith("onnxruntime."):
            return None
        if name == "onnxruntime" or importlib.util.find_spec("skiff" + name[len("onnxruntime") :]):
            return importlib.machinery.ModuleSpec(name, self, is_package=name in ("onnxruntime", "onnxruntime.capi"))
        raise ModuleNotFoundError(f"{name} is a part of onnxruntime that Skiff has no equal of", name=name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return importlib.import_module("skiff" + spec.name[len("onnxruntime") :])

    def exec_module(self, module: ModuleType) -> None:
        """The module is skiff's own, which has run already."""


def install_as_onnxruntime() -> None:
    """From now on ``import onnxruntime`` in this process gives skiff. Raises RuntimeError when the real onnxruntime is
    imported already, since the two would then be mixed."""
    import skiff

    present = sys.modules.get("onnxruntime")
    if present is skiff:
        return
    if present is not None:
        raise RuntimeError("onnxruntime is imported already; call skiff.install_as_onnxruntime() before anything imports it")
    importlib.import_module("skiff.capi.onnxruntime_pybind11_state")
    importlib.import_module("skiff.capi.onnxruntime_inference_collection")
    sys.modules["onnxruntime"] = skiff
    for name in ("capi", "capi._pybind_state", "capi.onnxruntime_pybind11_state", "capi.onnxruntime_inference_collection"):
        sys.modules["onnxruntime." + name] = importlib.import_module("skiff." + name)
    sys.meta_path.insert(0, _Finder())
