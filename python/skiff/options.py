"""SessionOptions, RunOptions and the enumerations, as onnxruntime has them.

What Skiff has an equivalent of is passed on; the rest is accepted and said once (logger ``skiff``). Every option of
Skiff itself is set with ``add_session_config_entry("skiff.NAME", value)``; ``skiff.session_options()`` lists them."""

from __future__ import annotations

import enum
import json
import os
from typing import Any

from . import _core
from ._say import say_once
from .errors import InvalidArgument


class GraphOptimizationLevel(enum.IntEnum):
    """How much the graph is rewritten. Skiff knows all or nothing: every level but the first is all."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    """Accepted: Skiff runs nodes one after another, each on all threads."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class ExecutionOrder(enum.IntEnum):
    """Accepted: Skiff orders nodes by itself."""

    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


class OrtAllocatorType(enum.IntEnum):
    INVALID = -1
    ORT_DEVICE_ALLOCATOR = 0
    ORT_ARENA_ALLOCATOR = 1


class OrtMemType(enum.IntEnum):
    CPU_INPUT = -2
    CPU_OUTPUT = -1
    CPU = -1  # noqa: PIE796
    DEFAULT = 0


class OrtSparseFormat(enum.IntEnum):
    ORT_SPARSE_UNDEFINED = 0
    ORT_SPARSE_COO = 1
    ORT_SPARSE_CSRC = 2
    ORT_SPARSE_BLOCK_SPARSE = 4


# Attributes without an equivalent: their default, and why Skiff has no use for them.
_IDLE: dict[str, tuple[Any, str]] = {
    "enable_cpu_mem_arena": (True, "a session plans its memory once and always keeps it"),
    "enable_mem_pattern": (True, "memory is always planned"),
    "enable_mem_reuse": (True, "memory is always reused"),
    "execution_mode": (ExecutionMode.ORT_SEQUENTIAL, "nodes run one after another, each on all threads"),
    "execution_order": (ExecutionOrder.DEFAULT, "Skiff orders the nodes"),
    "inter_op_num_threads": (0, "nodes run one after another, each on all threads"),
    "log_severity_level": (-1, "use logging.getLogger('skiff').setLevel"),
    "log_verbosity_level": (0, "use logging.getLogger('skiff').setLevel"),
    "logid": ("", "messages name the model's file"),
    "optimized_model_filepath": ("", "the optimized graph is Skiff's own and no ONNX; session.graph_text() prints it"),
    "use_deterministic_compute": (False, "results are always the same on one machine"),
    "use_per_session_threads": (True, "sessions with the same number of threads share them"),
}


class SessionOptions:
    """Options of a session. ``intra_op_num_threads`` (0: every core) is the number of threads of a run;
    ``graph_optimization_level`` ORT_DISABLE_ALL skips every optional pass; ``enable_profiling`` measures every node, see
    ``InferenceSession.end_profiling``."""

    enable_cpu_mem_arena: bool
    enable_mem_pattern: bool
    enable_mem_reuse: bool
    execution_mode: ExecutionMode
    execution_order: ExecutionOrder
    inter_op_num_threads: int
    log_severity_level: int
    log_verbosity_level: int
    logid: str
    optimized_model_filepath: str
    use_deterministic_compute: bool
    use_per_session_threads: bool

    def __init__(self) -> None:
        self.intra_op_num_threads: int = 0
        self.graph_optimization_level: GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.enable_profiling: bool = False
        self.profile_file_prefix: str = "onnxruntime_profile_"
        self._entries: dict[str, str] = {}
        self._dims: dict[str, int] = {}
        self._initializers: dict[str, Any] = {}
        self._providers: list[tuple[str, dict[str, str]]] = []
        self._libraries: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in _IDLE:
            return _IDLE[name][0]
        raise AttributeError(f"SessionOptions has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _IDLE:
            if value != _IDLE[name][0]:
                say_once(f"SessionOptions.{name}", _IDLE[name][1])
        elif name not in self.__dict__ and not name.startswith("_") and name not in _SETTABLE:
            raise AttributeError(f"SessionOptions has no attribute {name!r}")
        if name == "intra_op_num_threads" and (not isinstance(value, int) or value < 0):
            raise InvalidArgument(f"intra_op_num_threads is a number of threads, or 0 for every core, not {value!r}")
        object.__setattr__(self, name, value)

    def add_session_config_entry(self, key: str, value: str) -> None:
        """``skiff.NAME`` sets an option of Skiff; of onnxruntime's own keys none has an equivalent."""
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError("a configuration entry is a str and a str")
        if key.startswith("skiff."):
            known = {o["name"] for o in json.loads(_core.options_json())}
            if key[6:] not in known:
                raise InvalidArgument(f"there is no option {key!r}; there are {', '.join(sorted('skiff.' + k for k in known))}")
        else:
            say_once(f"the session configuration entry {key!r}", "it is onnxruntime's own")
        self._entries[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """Raises RuntimeError when the entry was not added."""
        if key not in self._entries:
            raise RuntimeError(f"the session options have no configuration entry {key!r}")
        return self._entries[key]

    def add_free_dimension_override_by_name(self, name: str, value: int) -> None:
        """Gives the symbolic dimension ``name`` a value: inputs must have it, and get_inputs() shows it."""
        if value <= 0:
            raise InvalidArgument(f"the dimension {name!r} cannot be {value}")
        self._dims[name] = int(value)

    def add_free_dimension_override_by_denotation(self, denotation: str, value: int) -> None:
        say_once("SessionOptions.add_free_dimension_override_by_denotation", "use ..._by_name; Skiff plans for every shape it meets")

    def add_initializer(self, name: str, value: Any) -> None:
        """Another value for an initializer that is also a graph input (get_overridable_initializers())."""
        self._initializers[name] = value

    def add_external_initializers(self, names: list[str], values: list[Any]) -> None:
        """As add_initializer(), for several."""
        if len(names) != len(values):
            raise InvalidArgument(f"{len(names)} names for {len(values)} values")
        self._initializers.update(zip(names, values))

    def add_external_initializers_from_files_in_memory(self, names: list[str], buffers: list[Any], lengths: list[int]) -> None:
        raise NotImplementedError("external data in memory; write it to a folder and set skiff.external_data_dir")

    def register_custom_ops_library(self, path: str | os.PathLike[str]) -> None:
        """A library of custom operators; it is opened when the session is made."""
        self._libraries.append(os.fspath(path))

    def add_provider(self, name: str, options: dict[str, str] | None = None) -> None:
        self._providers.append((name, dict(options or {})))

    def add_provider_for_devices(self, devices: Any, options: dict[str, str] | None = None) -> None:
        say_once("SessionOptions.add_provider_for_devices", "name devices through providers=")

    def set_provider_selection_policy(self, policy: Any) -> None:
        say_once("SessionOptions.set_provider_selection_policy", "name devices through providers=")

    def set_provider_selection_policy_delegate(self, delegate: Any) -> None:
        say_once("SessionOptions.set_provider_selection_policy_delegate", "name devices through providers=")

    def set_load_cancellation_flag(self, flag: bool) -> None:
        say_once("SessionOptions.set_load_cancellation_flag", "loading cannot be stopped half way")

    def has_providers(self) -> bool:
        return bool(self._providers)

    def _skiff_options(self) -> dict[str, str]:
        o = {k[6:]: v for k, v in self._entries.items() if k.startswith("skiff.")}
        if self.intra_op_num_threads:
            o.setdefault("threads", str(self.intra_op_num_threads))
        if self.graph_optimization_level == GraphOptimizationLevel.ORT_DISABLE_ALL:
            o.setdefault("skip_passes", "all")
        if self.enable_profiling:
            o["profile"] = "1"
        return o


_SETTABLE = {"intra_op_num_threads", "graph_optimization_level", "enable_profiling", "profile_file_prefix"}


class RunOptions(_core.Cancel):
    """Options of one run. Setting ``terminate`` to True, from any thread, stops the runs it was given to."""

    def __init__(self) -> None:
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.logid = ""
        self.only_execute_path_to_fetches = False
        self._entries: dict[str, str] = {}

    def add_run_config_entry(self, key: str, value: str) -> None:
        say_once(f"the run configuration entry {key!r}", "it is onnxruntime's own")
        self._entries[key] = value

    def get_run_config_entry(self, key: str) -> str:
        if key not in self._entries:
            raise RuntimeError(f"the run options have no configuration entry {key!r}")
        return self._entries[key]

    def add_active_adapter(self, adapter: Any) -> None:
        raise NotImplementedError("adapters; merge the adapter into the model")
