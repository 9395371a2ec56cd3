"""InferenceSession and what belongs to it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _convert, _core, devices
from ._say import logger, say_once
from .errors import InvalidArgument, NoSuchFile, NotImplemented
from .options import RunOptions, SessionOptions
from .values import OrtValue, check_device, element_code

_async_pool: ThreadPoolExecutor | None = None


@dataclass(frozen=True)
class NodeArg:
    """What a model declares of an input or output. ``shape``: int, the name of a symbol, or None where unknown; ``type``:
    ``tensor(float)``."""

    name: str
    type: str
    shape: list[int | str | None]

    def __str__(self) -> str:
        return f"NodeArg(name='{self.name}', type='{self.type}', shape={self.shape})"


@dataclass(frozen=True)
class ModelMetadata:
    producer_name: str
    graph_name: str
    domain: str
    description: str
    graph_description: str
    version: int
    custom_metadata_map: dict[str, str]


class InferenceSession(_core.Session):
    """A model made ready to run. Several threads may run it at once; runs leave the GIL to others.

    ``path_or_bytes``: a file (str or os.PathLike) or the model itself (bytes, bytearray, memoryview). ``providers``: names
    of devices, the wanted one first (get_available_providers()); the default is the CPU. Raises NoSuchFile, InvalidGraph
    (which InvalidProtobuf also catches), NotImplemented, InvalidArgument, ValueError for an unknown provider.
    """

    def __init__(
        self,
        path_or_bytes: str | bytes | bytearray | memoryview | os.PathLike[str],
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, dict[Any, Any]]] | None = None,
        provider_options: Sequence[dict[Any, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        if sess_options is not None and not isinstance(sess_options, SessionOptions):
            raise TypeError(f"sess_options is a SessionOptions, not {type(sess_options).__name__}")
        for name in kwargs:
            if name not in ("disabled_optimizers", "enable_fallback", "read_config_from_model"):
                say_once(f"InferenceSession({name}=...)", "there is no such argument")
        self._options = sess_options if sess_options is not None else SessionOptions()
        self._dims = dict(self._options._dims)
        skipped = kwargs.get("disabled_optimizers")
        self._skip = ",".join(skipped) if skipped else ""
        if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
            self._model: str | bytes = bytes(path_or_bytes)
        else:
            try:
                path = os.fspath(path_or_bytes)
            except TypeError:
                raise TypeError(f"Unable to load from type '{type(path_or_bytes)}'") from None
            self._model = os.fsdecode(path)
            if not os.path.exists(self._model):
                raise NoSuchFile(f"Load model from {self._model} failed: there is no such file")
        self._choose(providers if providers is not None else self._options._providers, provider_options)
        self._load_model()

    # Loading

    def _choose(self, providers: Sequence[Any] | None, options: Sequence[Any] | None) -> None:
        self._chosen = devices.choose(providers, options)
        self._device = devices.device_of(self._chosen[0][0]) or "cpu"

    def _load_model(self) -> None:
        o = self._options._skiff_options()
        if self._skip:
            o.setdefault("skip_passes", self._skip)
        for key, value in self._chosen[0][1].items():  # a provider's options that are Skiff's
            if key.startswith("skiff."):
                o[key[6:]] = value
            else:
                say_once(f"the option {key!r} of {self._chosen[0][0]}", "it is onnxruntime's own")
        if self._device != "cpu":
            o.setdefault("device", self._device)
        _load_libraries(self._options, o)
        self._load(self._model, o)
        self._profiled_since = time.time_ns()
        self._overrides: dict[str, _core.Value] = {}
        by_name = {p[0]: p for p in self._inputs()}
        for name, x in self._options._initializers.items():
            if name not in by_name or not by_name[name][5]:
                raise NotImplemented(f"initializer {name!r} is no graph input, so it cannot be given another value")
            self._overrides[name] = _convert.from_typed(x, by_name[name][4], f"initializer {name!r}")
        self._plain = not self._dims and not self._overrides

    # Running

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        run_options: RunOptions | None = None,
    ) -> list[Any]:
        """Runs the model: ``input_feed`` has an array for every input (lists for sequences, dicts for maps, None for an
        absent optional); the result is a list of the outputs named, or of all for None. Contiguous arrays are read where
        they are, outputs are arrays over the memory the run wrote.

        Raises ValueError when an input is missing, InvalidArgument for a wrong name, dtype or shape, Cancelled (a Fail)
        when run_options.terminate stopped it, KeyboardInterrupt on Ctrl-C, RuntimeError when the session is closed."""
        if self._plain:
            return self._run(output_names, input_feed if type(input_feed) is dict else self._feed(input_feed), run_options)
        return self._run(output_names, self._feed(input_feed), run_options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the model on arrays by position or by name; one output comes alone, several as a tuple."""
        names = [n.name for n in self.get_inputs()]
        if len(args) > len(names):
            raise InvalidArgument(f"{len(args)} arrays for {len(names)} inputs ({', '.join(names)})")
        r = self.run(None, {**dict(zip(names, args)), **kwargs})
        return r[0] if len(r) == 1 else tuple(r)

    def _feed(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(feed, Mapping):
            raise TypeError(f"input_feed is a dict of names and arrays, not {type(feed).__name__}")
        r = {**self._overrides, **feed}
        for name, _, _, dims, _, _ in self._inputs() if self._dims else ():
            x = r.get(name)
            for i, d in enumerate(dims or ()):
                want = self._dims.get(d) if isinstance(d, str) else None
                have = np.shape(x.numpy() if isinstance(x, OrtValue) else x) if want and x is not None else None
                if want and have is not None and (len(have) <= i or have[i] != want):
                    raise InvalidArgument(
                        f"input {name!r} has the shape {list(have)}; its dimension {i}, {d!r}, was set to {want} "
                        "(add_free_dimension_override_by_name)"
                    )
        return r

    def _refuse_feed(self, feed: dict[str, Any]) -> None:
        """Says what a feed lacks or has too much. Called by the extension."""
        known = {p[0]: p[5] for p in self._inputs()}
        missing = [n for n, optional in known.items() if not optional and n not in feed]
        if missing:
            raise ValueError(f"Required inputs ({missing}) are missing from input feed ({list(feed)}).")
        extra = [n for n in feed if n not in known]
        raise InvalidArgument(f"Invalid input name: {', '.join(map(repr, extra))}; the model's inputs are {', '.join(map(repr, known))}")

    def _refuse_output(self, name: Any) -> None:
        raise InvalidArgument(f"Invalid output name: {name!r}; the model's outputs are {', '.join(map(repr, self._output_names))}")

    def run_async(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        callback: Callable[[list[Any], Any, str], None],
        user_data: Any,
        run_options: RunOptions | None = None,
    ) -> None:
        """Runs in another thread, which then calls ``callback(results, user_data, error)``; ``error`` is "" on success."""
        global _async_pool
        if _async_pool is None:
            _async_pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="skiff")

        def work() -> None:
            try:
                results, error = self.run(output_names, input_feed, run_options), ""
            except Exception as e:  # handed to the callback
                results, error = [], str(e)
            try:
                callback(results, user_data, error)
            except Exception:
                logger.exception("the callback of run_async failed")

        _async_pool.submit(work)

    def _values_in(self, feed: Mapping[str, Any]) -> list[_core.Value | None]:
        inputs: list[_core.Value | None] = []
        full = feed if self._plain else self._feed(feed)
        for name, _, _, _, text, optional in self._inputs():
            if name in full:
                inputs.append(_convert.from_typed(full[name], text, f"input {name!r}"))
            elif optional:
                inputs.append(None)
            else:
                self._refuse_feed(dict(full))
        if any(n not in self._input_names for n in full):
            self._refuse_feed(dict(full))
        return inputs

    def run_with_ort_values(
        self,
        output_names: Sequence[str] | None,
        input_dict_ort_values: Mapping[str, OrtValue],
        run_options: RunOptions | None = None,
    ) -> list[OrtValue]:
        """As run(), from and to OrtValues."""
        picks = self._picks(output_names)
        r = self._run_values(self._values_in(input_dict_ort_values), [None] * len(self._output_names), run_options)
        return [OrtValue(r[i]) for i in picks]

    def _picks(self, output_names: Sequence[str] | None) -> list[int]:
        for name in output_names or ():
            if name not in self._output_names:
                self._refuse_output(name)
        return [self._output_names.index(n) for n in output_names or self._output_names]

    def run_with_ortvaluevector(
        self,
        run_options: RunOptions | None,
        feed_names: Sequence[str],
        feeds: Sequence[OrtValue],
        fetch_names: Sequence[str],
        fetches: list[OrtValue],
        fetch_devices: Any = None,
    ) -> None:
        """As run_with_ort_values(), appending the results to ``fetches``."""
        fetches.extend(self.run_with_ort_values(fetch_names, dict(zip(feed_names, feeds)), run_options))

    def io_binding(self) -> IOBinding:
        """Inputs and outputs bound to memory once, for many runs."""
        return IOBinding(self)

    def run_with_iobinding(self, iobinding: IOBinding, run_options: RunOptions | None = None) -> None:
        """Runs on what is bound. Raises as run() does."""
        iobinding._run(run_options)

    # Describing

    def _node_args(self, ports: list[Any], optional: bool) -> list[NodeArg]:
        r = []
        for name, _, _, dims, text, has_default in ports:
            if has_default == optional:
                shape = [self._dims.get(d, d) if isinstance(d, str) else d for d in dims or []]
                r.append(NodeArg(name, _convert.ort_type(text), shape))
        return r

    def get_inputs(self) -> list[NodeArg]:
        """The inputs that must be given."""
        return self._node_args(self._inputs(), False)

    def get_overridable_initializers(self) -> list[NodeArg]:
        """The inputs that have a default."""
        return self._node_args(self._inputs(), True)

    def get_outputs(self) -> list[NodeArg]:
        return self._node_args(self._outputs(), False)

    def get_modelmeta(self) -> ModelMetadata:
        i = json.loads(self._info_json(None))
        return ModelMetadata(
            i.get("producer", ""), i.get("graph", ""), i.get("domain", ""), i.get("doc", ""), i.get("graph_doc", ""),
            i.get("model_version", 0), dict(i.get("metadata", {})),
        )  # fmt: skip

    def get_providers(self) -> list[str]:
        """The providers in use; nodes run on the first one's device and nowhere else."""
        return [name for name, _ in self._chosen]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {name: dict(options) for name, options in self._chosen}

    def set_providers(self, providers: Sequence[Any] | None = None, provider_options: Sequence[Any] | None = None) -> None:
        """Loads the model anew for other devices."""
        self._choose(providers, provider_options)
        self._load_model()

    def get_session_options(self) -> SessionOptions:
        return self._options

    def get_input_memory_infos(self) -> list[str]:
        return ["Cpu"] * len(self.get_inputs())

    def get_output_memory_infos(self) -> list[str]:
        return ["Cpu"] * len(self._output_names)

    def get_tuning_results(self) -> list[Any]:
        return []

    def set_tuning_results(self, results: Any, *, error_on_invalid: bool = False) -> None:
        say_once("InferenceSession.set_tuning_results", "kernels are chosen when the model is loaded")

    def set_ep_dynamic_options(self, options: dict[str, str]) -> None:
        say_once("InferenceSession.set_ep_dynamic_options", "devices have no options of a run")

    def disable_fallback(self) -> None:
        """Skiff never falls back to another device by itself."""

    def enable_fallback(self) -> None:
        say_once("InferenceSession.enable_fallback", "Skiff never falls back to another device by itself")

    def graph_text(self) -> str:
        """The optimized graph, one line a node."""
        return self._graph_text()

    # Profiling

    def get_profiling_start_time_ns(self) -> int:
        return self._profiled_since

    def end_profiling(self) -> str:
        """Writes what was measured since the session was made (SessionOptions.enable_profiling) as a Chrome trace, and
        gives the file's name: profile_file_prefix, the date, ".json". It shows every node of the last run, and the sums
        over all runs. "" when profiling was not enabled."""
        if not self._options.enable_profiling:
            return ""
        from .profiling import chrome_trace

        name = f"{self._options.profile_file_prefix}{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.getpid()}.json"
        with open(name, "w", encoding="utf-8") as f:
            json.dump(chrome_trace(json.loads(self._profile_json())), f)
        return name

    def __enter__(self) -> InferenceSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        from .model import Model

        return Model._of(self, self._model if isinstance(self._model, str) else "bytes")._repr_html_()

    def __reduce__(self) -> Any:
        return (_reopen, (self._model, self._options, self._chosen))


def _borrowed() -> InferenceSession:
    """A session without a model, which the extension fills with one of the library's for the time of a callback."""
    s = InferenceSession.__new__(InferenceSession)
    s._options, s._dims, s._overrides, s._skip, s._plain = SessionOptions(), {}, {}, "", True
    s._model, s._chosen, s._device, s._profiled_since = "", [("CPUExecutionProvider", {})], "cpu", time.time_ns()
    return s


_core.set_hooks(_convert.to_python, _convert.from_python, _borrowed)


def _reopen(model: str | bytes, options: SessionOptions, chosen: Any) -> InferenceSession:
    return InferenceSession(model, options, chosen)


def _load_libraries(options: SessionOptions, into: dict[str, str]) -> None:
    """Libraries of custom operators (docs/custom-operators.md), opened for this session."""
    if options._libraries:
        into["custom_ops"] = ";".join([*filter(None, [into.get("custom_ops")]), *options._libraries])


class IOBinding:
    """Inputs and outputs bound to memory. An output bound without memory gets new memory in every run."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._in: dict[str, Any] = {}
        self._out: dict[str, _core.Value | None] = {}
        self._result: list[OrtValue] = []

    def _input(self, name: str) -> Any:
        for p in self._session._inputs():
            if p[0] == name:
                return p
        raise InvalidArgument(f"Invalid input name: {name!r}; the model's inputs are {', '.join(map(repr, self._session._input_names))}")

    def bind_cpu_input(self, name: str, arr_on_cpu: Any) -> None:
        """Binds an array; a contiguous one is read where it is, also after its elements changed."""
        p = self._input(name)
        self._in[name] = _convert.from_typed(arr_on_cpu, p[4], f"input {name!r}")

    def bind_input(self, name: str, device_type: str, device_id: int, element_type: Any, shape: Sequence[int], buffer_ptr: int) -> None:
        """Binds memory by its address, which must hold ``shape`` elements and outlive the binding."""
        check_device(device_type)
        self._input(name)
        self._in[name] = _wrap_pointer(buffer_ptr, element_type, shape)

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        self._input(name)
        self._in[name] = ortvalue._value

    def bind_output(
        self,
        name: str,
        device_type: str = "cpu",
        device_id: int = 0,
        element_type: Any = None,
        shape: Sequence[int] | None = None,
        buffer_ptr: int | None = None,
    ) -> None:
        """Without ``buffer_ptr`` each run makes new memory; with it the run writes there and the shape must agree."""
        check_device(device_type)
        if name not in self._session._output_names:
            self._session._refuse_output(name)
        if buffer_ptr is None:
            self._out[name] = None
        else:
            if element_type is None or shape is None:
                raise InvalidArgument(f"output {name!r}: memory by its address needs element_type and shape")
            self._out[name] = _wrap_pointer(buffer_ptr, element_type, shape)

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """The run writes into the OrtValue's memory; its shape must agree."""
        if name not in self._session._output_names:
            self._session._refuse_output(name)
        self._out[name] = ortvalue._value

    def synchronize_inputs(self) -> None:
        """Nothing to wait for: memory is the host's."""

    def synchronize_outputs(self) -> None:
        """Nothing to wait for: runs end when their outputs are written."""

    def get_outputs(self) -> list[OrtValue]:
        """The bound outputs of the last run, in the order they were bound."""
        return self._result

    def get_outputs_as_ortvaluevector(self) -> list[OrtValue]:
        return self._result

    def copy_outputs_to_cpu(self) -> list[Any]:
        """The outputs as arrays that later runs leave alone."""
        return [np.array(x) if isinstance(x, np.ndarray) else x for x in (v.numpy() for v in self._result)]

    def clear_binding_inputs(self) -> None:
        self._in.clear()

    def clear_binding_outputs(self) -> None:
        self._out.clear()
        self._result = []

    def _run(self, run_options: RunOptions | None) -> None:
        s = self._session
        inputs = s._values_in(self._in)
        names = s._output_names
        r = s._run_values(inputs, [self._out.get(n) for n in names], run_options)
        self._result = [OrtValue(r[names.index(n)]) for n in (self._out or names)]


def _wrap_pointer(pointer: int, element_type: Any, shape: Sequence[int]) -> _core.Value:
    code = element_code(element_type)
    count = int(np.prod([int(d) for d in shape], dtype=object)) if len(shape) else 1
    if pointer == 0 and count:
        raise InvalidArgument("the address of the memory is 0")
    if count < 0 or not _core.dtype_bits(code) or code == _convert.STRING:
        raise InvalidArgument(f"there is no memory of {_core.dtype_name(code)}{list(shape)}")
    return _core.Value.wrap_pointer(pointer, (count * _core.dtype_bits(code) + 7) // 8, code, [int(d) for d in shape], None)
