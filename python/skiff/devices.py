"""Devices, under the names of onnxruntime's execution providers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from . import _core

# Providers of onnxruntime that Skiff has no device for: asked for, they are passed over with a warning, as there.
_ORT_ONLY = (
    "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider", "CUDAExecutionProvider", "MIGraphXExecutionProvider",
    "ROCMExecutionProvider", "OpenVINOExecutionProvider", "DnnlExecutionProvider", "VitisAIExecutionProvider",
    "QNNExecutionProvider", "NnapiExecutionProvider", "VSINPUExecutionProvider", "JsExecutionProvider",
    "CoreMLExecutionProvider", "ArmNNExecutionProvider", "ACLExecutionProvider", "DmlExecutionProvider",
    "RknpuExecutionProvider", "WebNNExecutionProvider", "WebGpuExecutionProvider", "XnnpackExecutionProvider",
    "CANNExecutionProvider", "TvmExecutionProvider", "AzureExecutionProvider", "SNPEExecutionProvider",
)  # fmt: skip


@lru_cache(maxsize=1)
def _by_provider() -> dict[str, str]:
    """Provider name -> device name, the CPU last as in onnxruntime."""
    names = [d["name"] for d in json.loads(_core.devices_json()) if d.get("available", True)]
    names.sort(key=lambda n: (n == "cpu", n != "reference"))
    return {("CPU" if n == "cpu" else n.capitalize()) + "ExecutionProvider": n for n in names if n != "reference"}


def get_available_providers() -> list[str]:
    """Providers of the devices this machine has, the fastest first. ``ReferenceExecutionProvider``, the slow and obvious
    oracle, is there as well but not in the list."""
    return list(_by_provider())


def get_all_providers() -> list[str]:
    """Every provider name that is understood."""
    return [*_ORT_ONLY, "ReferenceExecutionProvider", *_by_provider()]


def get_device() -> str:
    """The kind of the first device: ``CPU``."""
    return "CPU" if get_available_providers()[0] == "CPUExecutionProvider" else "GPU"


def device_of(provider: str) -> str | None:
    """Skiff's name of a provider's device; None when this machine lacks it. Raises ValueError for an unknown name."""
    if provider == "ReferenceExecutionProvider":
        return "reference"
    if provider in _by_provider():
        return _by_provider()[provider]
    if provider in _ORT_ONLY:
        return None
    raise ValueError(f"there is no provider {provider!r}; there are {', '.join(get_available_providers())}")


def choose(
    providers: Sequence[Any] | None, provider_options: Sequence[Mapping[str, Any]] | None
) -> list[tuple[str, dict[str, str]]]:
    """The providers asked for that there are, with their options. Entries are names or pairs of a name and its options.
    Raises ValueError for unknown names and malformed lists; warns of those that are not available."""
    if isinstance(providers, (str, bytes)):
        raise ValueError("providers is a list of names, or of pairs of a name and its options")
    entries = list(providers or [])
    options = list(provider_options or [])
    if provider_options is not None and len(options) != len(entries):
        raise ValueError("'providers' and 'provider_options' must be the same length")
    chosen: dict[str, dict[str, str]] = {}
    for i, entry in enumerate(entries):
        name, own = (entry, options[i] if options else {}) if isinstance(entry, str) else (None, {})
        if name is None:
            if not (isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], Mapping)):
                raise ValueError(f"a provider is a name, or a pair of a name and a dict of options, not {entry!r}")
            name, own = entry
        if device_of(name) is None:
            warnings.warn(
                f"Specified provider '{name}' is not in available provider names. Available providers: "
                f"'{', '.join(get_available_providers())}'",
                stacklevel=4,
            )
        elif name in chosen:
            warnings.warn(f"Duplicate provider '{name}' encountered, ignoring.", stacklevel=4)
        else:
            chosen[name] = {str(k): str(v) for k, v in own.items()}
    if not chosen:
        chosen["CPUExecutionProvider"] = {}
    return list(chosen.items())
