"""Models made smaller and faster: quantization. The result is plain ONNX, which runs anywhere."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import _convert, _core
from .errors import InvalidArgument
from .profiling import html_table
from .session import InferenceSession


@dataclass(frozen=True)
class QuantizeReport:
    """What a quantization did. ``layers`` and ``regions``: a dict for each node and each quantized stretch; ``html``: one
    page with plots; ``raw``: the library's JSON. Sizes are bytes, times nanoseconds."""

    mode: str
    samples: int
    seconds: float
    size_before: int
    size_after: int
    sqnr_db: float | None
    cosine: float | None
    agreement: float | None
    score_before: float | None
    score_after: float | None
    ns_before: float | None
    ns_after: float | None
    notes: list[str]
    layers: list[dict[str, Any]] = field(repr=False)
    regions: list[dict[str, Any]] = field(repr=False)
    html: str = field(repr=False)
    raw: dict[str, Any] = field(repr=False)

    @property
    def speedup(self) -> float | None:
        return self.ns_before / self.ns_after if self.ns_before and self.ns_after else None

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every layer. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.layers)

    def plot(self, ax: Any = None) -> Any:
        """Signal to noise of every layer's output, in dB. Needs matplotlib; gives its axes."""
        import matplotlib.pyplot as plt

        told = [x for x in self.layers if x.get("output_sqnr_db") is not None]
        if ax is None:
            _, ax = plt.subplots(figsize=(8, 0.25 * len(told) + 1))
        ax.barh([f"{x['op']} {x['name']}" for x in told[::-1]], [x["output_sqnr_db"] for x in told[::-1]])
        ax.set_xlabel("signal to quantization noise, dB")
        return ax

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Writes the page with plots."""
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.html)

    def _repr_html_(self) -> str:
        rows = [[k, str(getattr(self, k))] for k in ("mode", "samples", "size_before", "size_after", "sqnr_db", "agreement", "speedup")]
        page = html.escape(self.html, quote=True)
        return html_table("quantization", ["", ""], rows, 1) + f'<iframe sandbox srcdoc="{page}" style="width:100%;height:30em"></iframe>'


def quantize_options() -> list[dict[str, str]]:
    """Every option of quantize(): name, default, description."""
    r: list[dict[str, str]] = json.loads(_core.quantize_options_json())
    return r


class _Samples:
    """Samples by index, again from 0 for another pass. Iterators, which cannot begin again, are remembered."""

    def __init__(self, data: Iterable[Any], model: str) -> None:
        s = InferenceSession(model)
        self._ports = s._inputs()
        self._data = data
        self._kept: list[Any] = []
        self._at: Any = None

    def _next(self, index: int) -> Any:
        if iter(self._data) is self._data:
            while len(self._kept) <= index:
                self._kept.append(next(self._data))
            return self._kept[index]
        if index == 0:
            self._at = iter(self._data)
        return next(self._at)

    def __call__(self, index: int) -> list[_core.Value | None] | None:
        try:
            x = self._next(index)
        except StopIteration:
            return None
        if not isinstance(x, Mapping):
            parts = x if isinstance(x, (tuple, list)) else [x]
            x = dict(zip([p[0] for p in self._ports if not p[5]], parts))
        unknown = [k for k in x if all(k != p[0] for p in self._ports)]
        if unknown:
            raise InvalidArgument(f"sample {index} names {', '.join(map(repr, unknown))}, which are no inputs of the model")
        return [_convert.from_typed(x[p[0]], p[4], f"sample {index}, input {p[0]!r}") if p[0] in x else None for p in self._ports]


def quantize(
    path: str | os.PathLike[str],
    out_path: str | os.PathLike[str],
    data: Iterable[Any] | None = None,
    score: Callable[[InferenceSession], float] | None = None,
    progress: bool | Callable[[str, float], object] = False,
    **options: Any,
) -> QuantizeReport:
    """Quantizes a model file and writes the result to another.

    ``data``: samples for calibration, each a dict of inputs, a tuple of arrays by position, or one array. ``score``: how
    good a session is, higher is better (option ``max_drop`` is about it). ``progress``: True for a tqdm bar, or a function
    of a stage and a share. Options: ``quantize_options()``, and those of a session.

    Raises InvalidArgument (an option, no samples, a sample that does not fit), NotImplemented, NoSuchFile, InvalidModel;
    what ``data``, ``score`` or ``progress`` raise ends the call and is raised again."""
    told = progress if callable(progress) else _bar() if progress else None
    samples = _Samples(data, os.fspath(path)) if data is not None else None
    report, page = _core.quantize(os.fspath(path), os.fspath(out_path), json.dumps(options), samples, score, told)
    raw = json.loads(report)
    named = {k: raw.get(k) for k in QuantizeReport.__dataclass_fields__ if k not in ("html", "raw")}
    return QuantizeReport(**named, html=page, raw=raw)


def _bar() -> Callable[[str, float], object]:
    from tqdm.auto import tqdm

    bars: dict[str, Any] = {}

    def told(stage: str, share: float) -> None:
        bar = bars.setdefault(stage, None) or tqdm(total=100, desc=stage)
        bars[stage] = bar
        bar.update(round(100 * share) - bar.n)
        if share >= 1:
            bar.close()

    return told
