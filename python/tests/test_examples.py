"""The examples run, and they and the package pass mypy --strict."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples" / "python").glob("*.py"))
MODEL = next((ROOT / "examples" / "inspection").glob("*.onnx"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_example(example: Path) -> None:
    done = subprocess.run([sys.executable, str(example), str(MODEL)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and done.stdout, done.stderr


def test_mypy_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    files = [*map(str, EXAMPLES), str(ROOT / "python" / "skiff")]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path), "--explicit-package-bases", *files]
    env = {**os.environ, "MYPYPATH": str(ROOT / "python")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
