"""Libraries of custom operators, through SessionOptions.register_custom_ops_library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import skiff

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "custom_op" / "custom_op.onnx"
LIBRARY = Path(skiff.__file__).parents[2] / "examples" / "libexample_ops.so"


def test_a_library_of_operators() -> None:
    if not LIBRARY.exists():
        pytest.skip("the example library was not built")
    with pytest.raises(skiff.errors.SkiffError):
        skiff.InferenceSession(MODEL)
    options = skiff.SessionOptions()
    options.register_custom_ops_library(LIBRARY)
    session = skiff.InferenceSession(MODEL, options)
    x = np.array([[1, 5, -5]], np.float32)
    _, words, counts, total = session.run(None, {"x": x, "texts": ["a b", "c"]})
    assert words.tolist() == ["a", "b", "c"] and counts.tolist() == [2, 1] and total.tolist() == [3]


def test_no_library(tmp_path: Path) -> None:
    options = skiff.SessionOptions()
    options.register_custom_ops_library(str(tmp_path / "none.so"))
    with pytest.raises(skiff.errors.SkiffError, match="none.so"):
        skiff.InferenceSession(MODEL, options)
