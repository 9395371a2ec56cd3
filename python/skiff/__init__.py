"""Skiff: puts ONNX models on any device.

``import skiff as ort`` serves programs written for onnxruntime; ``skiff.load``, ``info``, ``bench`` and ``profile`` are
Skiff's own. See docs/python.md."""

from __future__ import annotations

import os as _os
import threading as _threading
from typing import Any

from . import _core, capi, errors
from ._say import set_default_logger_severity, set_default_logger_verbosity
from .adapt import QuantizeReport, quantize, quantize_options
from .compat import install_as_onnxruntime
from .devices import get_all_providers, get_available_providers, get_device
from .model import Info, Model, Node, bench, devices_info, info, load, operators, options, profile, read_image, rewrite, session_options
from .options import (
    ExecutionMode,
    ExecutionOrder,
    GraphOptimizationLevel,
    OrtAllocatorType,
    OrtMemType,
    OrtSparseFormat,
    RunOptions,
    SessionOptions,
)
from .profiling import Bench, NodeTime, Profile
from .session import InferenceSession, IOBinding, ModelMetadata, NodeArg
from .values import OrtDevice, OrtValue, SparseTensor

__version__ = _core.version()
SessionIOBinding = IOBinding

_core.set_main_thread(_threading.main_thread().ident or 0)
_os.register_at_fork(after_in_child=lambda: _core.set_main_thread(_threading.get_ident()))


def get_version_string() -> str:
    return __version__


def get_build_info() -> str:
    return f"skiff {__version__}"


def set_seed(seed: int) -> None:
    """Accepted: operators without a seed of their own are seeded alike in every run."""
    from ._say import say_once

    say_once("set_seed", "give random operators their seed attribute")


def set_global_thread_pool_sizes(intra_op: int, inter_op: int) -> None:
    from ._say import say_once

    say_once("set_global_thread_pool_sizes", "sessions with the same number of threads share them")


def enable_telemetry_events() -> None:
    """Skiff sends nothing, ever."""


def disable_telemetry_events() -> None:
    """Skiff sends nothing, ever."""


def has_collective_ops() -> bool:
    return False


def get_ep_devices() -> list[Any]:
    return []


def preload_dlls(cuda: bool = True, cudnn: bool = True, msvc: bool = True, directory: str | None = None) -> None:
    """Nothing to load before the library itself."""


def register_execution_provider_library(name: str, path: str) -> None:
    raise errors.NotImplemented("libraries of execution providers of onnxruntime; Skiff's devices are built in")


def unregister_execution_provider_library(name: str) -> None:
    raise errors.NotFound(f"there is no execution provider library {name!r}")


__all__ = [
    "Bench",
    "ExecutionMode",
    "ExecutionOrder",
    "GraphOptimizationLevel",
    "IOBinding",
    "InferenceSession",
    "Info",
    "Model",
    "ModelMetadata",
    "Node",
    "NodeArg",
    "NodeTime",
    "OrtAllocatorType",
    "OrtDevice",
    "OrtMemType",
    "OrtSparseFormat",
    "OrtValue",
    "Profile",
    "QuantizeReport",
    "RunOptions",
    "SessionIOBinding",
    "SessionOptions",
    "SparseTensor",
    "bench",
    "capi",
    "devices_info",
    "errors",
    "get_all_providers",
    "get_available_providers",
    "get_build_info",
    "get_device",
    "get_version_string",
    "info",
    "install_as_onnxruntime",
    "load",
    "operators",
    "options",
    "profile",
    "quantize",
    "quantize_options",
    "read_image",
    "rewrite",
    "session_options",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
    "set_seed",
]
