"""Models seen from outside: what is in them, what they cost, where they run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .options import SessionOptions
from .profiling import Bench, Profile, html_table, profile_of, random_inputs, time_runs
from .session import InferenceSession


@dataclass(frozen=True)
class Node:
    """A node of the optimized graph: its operator, the device and the kernel it runs on, its operations and bytes."""

    name: str
    op: str
    device: str
    kernel: str
    inputs: list[str]
    outputs: list[str]
    output_types: list[str]
    flops: float
    bytes: float


@dataclass(frozen=True)
class Info:
    """A model as ``skiff info`` tells it. ``raw`` holds everything, as the library's JSON."""

    path: str
    producer: str
    ir_version: int
    opsets: dict[str, int]
    metadata: dict[str, str]
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    operators: dict[str, int]
    parameters: int
    weight_bytes: int
    nodes: list[Node]
    flops: float
    raw: dict[str, Any] = field(repr=False, default_factory=dict)

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every node of the optimized graph. Needs pandas."""
        import pandas as pd

        return pd.DataFrame([asdict(n) for n in self.nodes])

    def placement(self) -> dict[str, int]:
        """Nodes on each device."""
        r: dict[str, int] = {}
        for n in self.nodes:
            r[n.device] = r.get(n.device, 0) + 1
        return r

    def _repr_html_(self) -> str:
        ports = [[p["name"], p["type"], kind] for kind, ps in (("input", self.inputs), ("output", self.outputs)) for p in ps]
        nodes = [
            [n.name, n.op, n.device, n.kernel, ", ".join(n.output_types), f"{n.flops / 1e6:.2f}", f"{n.bytes / 1e3:.1f}"]
            for n in self.nodes[:200]
        ]
        title = f"{self.path}: {self.parameters:,} parameters, {self.flops / 1e6:.1f} MFLOP"
        more = f" (the first {len(nodes)} of {len(self.nodes)})" if len(nodes) < len(self.nodes) else ""
        return html_table(title, ["name", "type", ""], ports, numbers=9) + html_table(
            f"optimized graph{more}", ["node", "operator", "device", "kernel", "output", "MFLOP", "kB"], nodes, numbers=5
        )


def session_options(**options: Any) -> SessionOptions:
    """SessionOptions with Skiff's own options: ``session_options(threads=1, memory_limit=1 << 30)``. Raises
    InvalidArgument for one there is not. Without arguments: the defaults (``skiff.options()`` lists all)."""
    o = SessionOptions()
    for key, value in options.items():
        o.add_session_config_entry(f"skiff.{key}", str(int(value)) if isinstance(value, bool) else str(value))
    return o


def options() -> list[dict[str, str]]:
    """Every option of a session: name, default, description."""
    r: list[dict[str, str]] = json.loads(_core.options_json())
    return r


def _shapes_text(shapes: Mapping[str, Any] | None) -> str | None:
    if not shapes:
        return None
    return ";".join(f"{k}={'x'.join(map(str, v)) if isinstance(v, (list, tuple)) else v}" for k, v in shapes.items())


class Model:
    """A model made ready to run, with what can be told about it. Options are Skiff's own (``options()``)."""

    def __init__(self, path: str | bytes | os.PathLike[str], **options: Any) -> None:
        self.path = path if isinstance(path, bytes) else os.fspath(path)
        self.session = InferenceSession(path, session_options(**options))

    @classmethod
    def _of(cls, session: InferenceSession, path: str) -> Model:
        m = cls.__new__(cls)
        m.path, m.session = path, session
        return m

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs it on arrays by position or by name; one output comes alone, several as a tuple."""
        return self.session(*args, **kwargs)

    def info(self, shapes: Mapping[str, Any] | None = None) -> Info:
        """Inputs, outputs, operators, cost and placement. ``shapes``: an input's shape, or a symbol's value, for the
        figures that depend on them (open extents count as 1)."""
        i = json.loads(self.session._info_json(_shapes_text(shapes)))
        nodes = [Node(**{k: n[k] for k in Node.__dataclass_fields__}) for n in i["nodes"]]
        return Info(
            i["path"] or "model", i["producer"], i["ir_version"], i["opsets"], i["metadata"], i["inputs"], i["outputs"],
            i["operators"], i["parameters"], i["weight_bytes"], nodes, i["totals"]["flops"], i,
        )  # fmt: skip

    def graph_text(self) -> str:
        """The optimized graph, one line a node."""
        return self.session.graph_text()

    def _repr_html_(self) -> str:
        return self.info()._repr_html_()


def load(path: str | bytes | os.PathLike[str], **options: Any) -> Model:
    """Reads a model and makes it ready to run: ``skiff.load("model.onnx", threads=2)``. Raises as InferenceSession."""
    return Model(path, **options)


def info(path: str | bytes | os.PathLike[str], shapes: Mapping[str, Any] | None = None, **options: Any) -> Info:
    """What ``skiff info`` tells, as a dataclass."""
    return load(path, **options).info(shapes)


def bench(
    path: str | bytes | os.PathLike[str],
    inputs: dict[str, Any] | None = None,
    runs: int = 50,
    warmup: int = 5,
    shapes: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> Bench:
    """Times ``runs`` runs on ``inputs``, or on random numbers in ``shapes``. ``progress`` shows a bar (needs tqdm)."""
    m = load(path, **options)
    feed = inputs if inputs is not None else random_inputs(m.session, dict(shapes or {}))
    times = time_runs(m.session, feed, runs, warmup, progress)
    p10, p50, p90 = np.percentile(times, [10, 50, 90])
    return Bench(runs, float(p50), float(p10), float(p90), float(min(times)), m.info(_feed_shapes(feed)).flops, times)


def profile(
    path: str | bytes | os.PathLike[str],
    inputs: dict[str, Any] | None = None,
    runs: int = 20,
    warmup: int = 3,
    shapes: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> Profile:
    """Times of every node over ``runs`` runs on ``inputs``, or on random numbers in ``shapes``."""
    m = load(path, profile=True, **options)
    feed = inputs if inputs is not None else random_inputs(m.session, dict(shapes or {}))
    for _ in range(warmup):
        m.session.run(None, feed)
    m.session._profile_json()  # what is told next begins here
    time_runs(m.session, feed, runs, 0, progress)
    return profile_of(m.session)


def _feed_shapes(feed: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    return {k: list(v.shape) for k, v in feed.items() if isinstance(v, np.ndarray) and v.ndim}


def rewrite(path: str | os.PathLike[str], out_path: str | os.PathLike[str], external_threshold: int = 0) -> None:
    """Reads a model and writes it again; weights of ``external_threshold`` bytes or more (0: none) go to a file beside."""
    _core.model_rewrite(os.fspath(path), os.fspath(out_path), external_threshold)


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The pixels of an image file, uint8 [height, width, 3], red, green, blue: JPEG, PNG, BMP, PNM, TIFF, WebP, JPEG 2000.
    Raises FileNotFoundError; InvalidArgument for no image or a broken one; NotImplemented for a format left out of this
    build."""
    with open(path, "rb") as f:
        return _core.Value.image(f.read()).array()


def devices_info() -> list[dict[str, Any]]:
    """The devices of this machine: name, description, memory, cores, instruction set."""
    r: list[dict[str, Any]] = json.loads(_core.devices_json())
    return r


def operators() -> list[dict[str, Any]]:
    """The operators this build knows: domain, name, versions."""
    r: list[dict[str, Any]] = json.loads(_core.operators_json())
    return r
