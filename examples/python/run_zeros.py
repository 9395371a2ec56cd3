"""Runs a model with one input on zeros, written as for onnxruntime but for the import.

    python examples/python/run_zeros.py MODEL.onnx
"""

from __future__ import annotations

import sys

import numpy as np

import skiff as ort


def main(path: str) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 1 for d in first.shape]
    array = np.zeros(shape, np.float32)
    scores = session.run(None, {first.name: array})[0]
    print(f"{first.name} {first.type} {first.shape} -> {scores.shape}, best {int(np.argmax(scores))}")


if __name__ == "__main__":
    main(sys.argv[1])
