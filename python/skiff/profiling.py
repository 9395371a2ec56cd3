"""Where a model's time goes, and how long it takes."""

from __future__ import annotations

import html
import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _convert
from .errors import InvalidArgument

if TYPE_CHECKING:
    import os

    from .session import InferenceSession


@dataclass(frozen=True)
class NodeTime:
    """One node: how often it ran, its time of all runs in nanoseconds, its operations and bytes of one run."""

    name: str
    op: str
    kernel: str
    device: str
    count: int
    ns: int
    flops: float
    bytes: float

    @property
    def gflops(self) -> float:
        return self.flops * self.count / self.ns if self.ns else 0.0


@dataclass(frozen=True)
class Profile:
    """Times of every node over ``runs`` runs, which took ``wall_ns`` together."""

    runs: int
    wall_ns: int
    nodes: list[NodeTime]
    events: list[dict[str, Any]] = field(repr=False, default_factory=list)

    def slowest(self, n: int = 10) -> list[NodeTime]:
        return sorted(self.nodes, key=lambda x: -x.ns)[:n]

    def by_operator(self) -> dict[str, int]:
        """Nanoseconds of each operator, the slowest first."""
        sums: dict[str, int] = {}
        for x in self.nodes:
            sums[x.op] = sums.get(x.op, 0) + x.ns
        return dict(sorted(sums.items(), key=lambda kv: -kv[1]))

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every node. Needs pandas."""
        import pandas as pd

        return pd.DataFrame([{**asdict(x), "gflops": x.gflops, "share": x.ns / max(self._total(), 1)} for x in self.nodes])

    def plot(self, n: int = 20, ax: Any = None) -> Any:
        """Bars of the slowest nodes. Needs matplotlib; gives its axes."""
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(8, 0.3 * min(n, len(self.nodes)) + 1))
        top = self.slowest(n)[::-1]
        ax.barh([f"{x.op} {x.name}" for x in top], [x.ns / max(self.runs, 1) / 1e3 for x in top])
        ax.set_xlabel("microseconds a run")
        return ax

    def save_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes the last run as a Chrome trace (chrome://tracing, ui.perfetto.dev)."""
        raw = {"runs": self.runs, "wall_ns": self.wall_ns, "nodes": [asdict(x) for x in self.nodes], "events": self.events}
        with open(path, "w", encoding="utf-8") as f:
            json.dump(chrome_trace(raw), f)

    def _total(self) -> int:
        return sum(x.ns for x in self.nodes)

    def _repr_html_(self) -> str:
        total = max(self._total(), 1)
        rows = [
            [x.name, x.op, x.kernel, x.device, f"{x.ns / max(x.count, 1) / 1e3:.1f}", f"{100 * x.ns / total:.1f} %", f"{x.gflops:.1f}"]
            for x in self.slowest(50)
        ]
        title = f"{self.runs} runs, {self.wall_ns / max(self.runs, 1) / 1e6:.3f} ms each"
        return html_table(title, ["node", "operator", "kernel", "device", "µs", "share", "GFLOP/s"], rows, numbers=4)


@dataclass(frozen=True)
class Bench:
    """Times of a model's runs in nanoseconds, after ``warmup`` runs that do not count."""

    runs: int
    median_ns: float
    p10_ns: float
    p90_ns: float
    min_ns: float
    flops: float
    times_ns: list[int] = field(repr=False, default_factory=list)

    @property
    def gflops(self) -> float:
        return self.flops / self.median_ns if self.median_ns else 0.0

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every run. Needs pandas."""
        import pandas as pd

        return pd.DataFrame({"ns": self.times_ns})

    def _repr_html_(self) -> str:
        row = [f"{x / 1e6:.3f}" for x in (self.median_ns, self.p10_ns, self.p90_ns, self.min_ns)] + [f"{self.gflops:.1f}"]
        return html_table(f"{self.runs} runs", ["median ms", "p10 ms", "p90 ms", "min ms", "GFLOP/s"], [row], numbers=0)


def html_table(title: str, head: list[str], rows: list[list[str]], numbers: int) -> str:
    """A table; columns from ``numbers`` on are aligned to the right. Everything is escaped."""

    def cell(tag: str, i: int, x: str) -> str:
        return f'<{tag} style="text-align:{"right" if i >= numbers else "left"}">{html.escape(x)}</{tag}>'

    lines = [f"<table><caption>{html.escape(title)}</caption><thead><tr>"]
    lines += [cell("th", i, x) for i, x in enumerate(head)]
    lines.append("</tr></thead><tbody>")
    lines += ["<tr>" + "".join(cell("td", i, x) for i, x in enumerate(r)) + "</tr>" for r in rows]
    lines.append("</tbody></table>")
    return "".join(lines)


def chrome_trace(raw: dict[str, Any]) -> dict[str, Any]:
    """The library's profile as a Chrome trace."""
    events = [
        {
            "name": e["name"] or e["op"], "cat": e["op"], "ph": "X", "pid": 0, "tid": e["thread"],
            "ts": e["start_ns"] / 1e3, "dur": e["ns"] / 1e3, "args": {"op": e["op"], "kernel": e["kernel"]},
        }
        for e in raw["events"]
    ]  # fmt: skip
    return {"traceEvents": events, "otherData": {"runs": raw["runs"], "wall_ns": raw["wall_ns"], "nodes": raw["nodes"]}}


def profile_of(session: InferenceSession) -> Profile:
    """What a session that was made with ``enable_profiling`` measured since the last call."""
    raw = json.loads(session._profile_json())
    nodes = [NodeTime(**{k: n[k] for k in NodeTime.__dataclass_fields__}) for n in raw["nodes"]]
    return Profile(raw["runs"], raw["wall_ns"], nodes, raw["events"])


def random_inputs(session: InferenceSession, shapes: dict[str, Any] | None = None, seed: int = 0) -> dict[str, Any]:
    """Arrays for every input: floats in [0, 1), integers 0 or 1. ``shapes``: an input's shape, or a symbol's value; open
    extents that are not given are 1. Raises InvalidArgument for inputs that are no tensors of numbers."""
    rng = np.random.default_rng(seed)
    feed = {}
    for arg in session.get_inputs():
        code = _convert.code_of_type_string(arg.type)
        if code in (0, _convert.STRING):
            raise InvalidArgument(f"input {arg.name!r} is {arg.type}: give its value through inputs=")
        given = (shapes or {}).get(arg.name)
        shape = given if given is not None else [d if isinstance(d, int) else (shapes or {}).get(d or "", 1) for d in arg.shape]
        dtype = _convert.numpy_dtype(code)
        if dtype.kind in "iub":
            feed[arg.name] = rng.integers(0, 2, shape).astype(dtype)
        else:
            feed[arg.name] = np.asarray(rng.random(shape)).astype(dtype)
    return feed


def time_runs(session: InferenceSession, inputs: dict[str, Any], runs: int, warmup: int, progress: bool) -> list[int]:
    """Nanoseconds of each run."""
    steps: Any = range(runs)
    if progress:
        from tqdm.auto import tqdm

        steps = tqdm(steps)
    for _ in range(warmup):
        session.run(None, inputs)
    times = []
    for _ in steps:
        start = time.perf_counter_ns()
        session.run(None, inputs)
        times.append(time.perf_counter_ns() - start)
    return times
