"""Exports models with the converters people use and compares Skiff with the exporting framework.

    make exporters                       makes the virtual environment and runs everything
    python run.py [--library build/libskiff.so] [--tokenizer FILE.so] [--filter TEXT] [--out DIR] [--option KEY=VALUE] [--keep]

Exit code 1 when a case failed. Needs ../shared/data beside the project.
"""
import argparse
import importlib.metadata
import os
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small fits: threads only wait for each other
warnings.filterwarnings("ignore")
import logging  # noqa: E402

logging.disable(logging.WARNING)

import data  # noqa: E402
import harness  # noqa: E402
from skiff_c import Skiff, knows  # noqa: E402

MODULES = ["cases_sklearn", "cases_text", "cases_boost", "cases_tf", "cases_script", "cases_spox"]
PACKAGES = ["scikit-learn", "skl2onnx", "onnxmltools", "lightgbm", "xgboost", "catboost", "tensorflow-cpu", "keras",
            "tf2onnx", "onnxscript", "spox", "onnx", "numpy", "onnxruntime"]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.join(here, "..", "..")
    p = argparse.ArgumentParser()
    p.add_argument("--library", default=os.path.join(root, "build", "libskiff.so"))
    p.add_argument("--filter", default="")
    p.add_argument("--out", default=os.path.join(root, "build", "exporters"))
    p.add_argument("--option", action="append", default=[])
    p.add_argument("--tokenizer", default="", help="tokenizer.cc as a shared library, for Skiffs that lack the operator")
    p.add_argument("--keep", action="store_true", help="write every exported model to OUT")
    a = p.parse_args()
    if not os.path.isdir(data.ROOT):
        print(f"skipped: {data.ROOT} is not there")
        return 77
    os.makedirs(a.out, exist_ok=True)
    options = dict(o.split("=", 1) for o in a.option)
    if a.tokenizer and not knows(os.path.abspath(a.library), "com.microsoft", "Tokenizer"):
        options["custom_ops"] = os.path.abspath(a.tokenizer)
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    for m in MODULES:
        try:
            __import__(m)
        except ImportError as e:
            print(f"{m}: left out: {e}", file=sys.stderr)
    rows = []
    for exporter, name, make in harness.CASES:
        if a.filter and a.filter not in f"{exporter} {name}":
            continue

        def open_session(model, mode, name=name):
            if a.keep:
                with open(os.path.join(a.out, f"{exporter}-{name}.onnx".replace(" ", "_").replace("/", "_")), "wb") as f:
                    f.write(model)
            return Skiff(os.path.abspath(a.library), model, **{**options, **mode})

        for r in harness.run_case(exporter, name, make, open_session):
            rows.append(r)
            print(f"{r['status']:9} {r['exporter']:12} {r['case']:40} {r['seconds']:6.1f} s  {r['note']}", flush=True)
    print()
    print(harness.write_report(rows, versions, os.path.join(a.out, "results.json"), os.path.join(a.out, "results.md")))
    return 1 if any(r["status"] in ("failed", "missing") for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
