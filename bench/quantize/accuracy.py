#!/usr/bin/env python3
"""Accuracy of models in Skiff and in onnxruntime on the same labelled data, side by side.

    python3 -m venv .venv-quantize && .venv-quantize/bin/pip install -r bench/quantize/requirements.txt
    .venv-quantize/bin/python bench/quantize/accuracy.py --skiff build/skiff photos ../shared/data/photos MODEL.onnx...
    .venv-quantize/bin/python bench/quantize/accuracy.py --skiff build/skiff cifar ../shared/data/cifar10/test_1000.bin MODEL.onnx...

photos: shorter side to 256, centre 224, (x - 128) / 128, labels.tsv, classes after a background class (TensorFlow's
MobileNets). cifar: CIFAR-10 records, pixels as they are. Models go through onnx.checker first. The preprocessing here is
Pillow's; Skiff's own is inside `skiff eval`.
"""
import argparse
import json
import pathlib
import subprocess

import numpy as np
import onnx
import onnxruntime
from PIL import Image


def photos(folder, step):
    rows = [line.split("\t") for line in (folder / "labels.tsv").read_text().splitlines()[1:]]
    truth = {name: int(index) for name, index, *_ in rows}
    for name in sorted(truth)[step]:
        image = Image.open(folder / name).convert("RGB")
        w, h = image.size
        size = (256, int(h * 256 / w)) if w < h else (int(w * 256 / h), 256)
        image = image.resize(size, Image.BILINEAR)
        left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
        x = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
        yield ((x - 128) / 128).transpose(2, 0, 1)[None], truth[name] + 1


def cifar(path, step):
    records = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3073)[step]
    for r in records:
        yield r[1:].reshape(1, 3, 32, 32).astype(np.float32), int(r[0])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--skiff", default="build/skiff", help="the command")
    p.add_argument("--samples", default="::1", help="BEGIN:END:STEP")
    p.add_argument("kind", choices=["photos", "cifar"])
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("models", nargs="+")
    a = p.parse_args()
    step = slice(*[int(s) if s else None for s in a.samples.split(":")])
    flags = {"photos": ["--resize", "256", "--resize-mode", "shorter", "--crop", "224", "--mean", "128", "--std", "128",
                        "--label-offset", "1"],
             "cifar": ["--record", "u8,3x32x32"]}[a.kind]
    print(f"onnxruntime {onnxruntime.__version__}\n{'model':50} {'skiff':>8} {'ort':>8} {'differ':>7}")
    for model in a.models:
        onnx.checker.check_model(onnx.load(model), full_check=True)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        right = total = 0
        for x, label in (photos if a.kind == "photos" else cifar)(a.data, step):
            right += int(np.argmax(session.run(None, {name: x})[0]) == label)
            total += 1
        out = subprocess.run([a.skiff, "eval", model, "--data", str(a.data), "--samples", a.samples, "--json", *flags],
                             check=True, capture_output=True, text=True).stdout
        mine = json.loads(out)["scores"]["top1"] * 100
        theirs = right / total * 100
        print(f"{model[-50:]:50} {mine:8.2f} {theirs:8.2f} {abs(mine - theirs):7.2f}   ({total} samples)", flush=True)


if __name__ == "__main__":
    main()
