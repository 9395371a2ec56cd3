"""Runs a set of the Python tests on the package in a build folder: run.py BUILD/python pytest-arguments... Skips (77), saying
so, when the package was not built or pytest, onnx or NumPy are missing."""

from __future__ import annotations

import importlib.util
import os
import sys

package, *arguments = sys.argv[1:]
missing = [m for m in ("pytest", "onnx", "numpy") if importlib.util.find_spec(m) is None]
if not os.path.exists(os.path.join(package, "skiff", "_core.abi3.so")):
    missing.append("the built package (Python.h, NumPy 2)")
if missing:
    print("skipped: there is no", ", ".join(missing))
    sys.exit(77)

import pytest  # noqa: E402

os.environ["PYTHONPATH"] = package  # for processes the tests start
sys.path.insert(0, package)
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True
code = pytest.main(["-q", "-p", "no:cacheprovider", *arguments])
sys.exit(77 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code))
