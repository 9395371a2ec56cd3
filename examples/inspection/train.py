#!/usr/bin/env python3
"""Trains the inspection model on pictures from generate.py and writes model.onnx, labels.txt, model.json, the sample
pictures and one test set beside this file.

The network is a small MobileNetV2 (Sandler et al., 2018): a 3x3 convolution, inverted residual blocks of pointwise
and depthwise convolutions with BatchNormalization and ReLU6, global average pooling and one linear layer. `LAYOUT`
below is its only description: the training code (TensorFlow) and the ONNX file are both built from it. BatchNormalization
stays a node of its own in the file, as an exporter in training mode would leave it, so that a runtime has something
to fold.

    pip install -r requirements.txt
    python train.py                       # some fifteen minutes on one core; see --help for less
"""

import argparse
import json
import math
import multiprocessing
import time
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import generate

HERE = Path(__file__).resolve().parent
SIZE = 96  # side of the square the model sees
STEM = 16
#         expansion, channels out, stride
LAYOUT = ((1, 24, 2), (4, 24, 1), (4, 40, 2), (4, 40, 1), (4, 64, 2), (4, 64, 1))
HEAD = 96
BN_EPSILON, BN_MOMENTUM = 1e-5, 0.95
SCALE, MEAN, STD = 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


# ---- preprocessing: what model.json says ----------------------------------------------------------------------------


def resized(image):
    """The shorter side becomes SIZE (bilinear, with antialiasing): 240 x 180 -> 128 x 96. Returns H x W x 3 uint8."""
    factor = SIZE / min(image.size)
    size = tuple(round(side * factor) for side in image.size)
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


def cropped(pixels):
    """The middle SIZE x SIZE of the last two axes before the channels."""
    y, x = (pixels.shape[-3] - SIZE) // 2, (pixels.shape[-2] - SIZE) // 2
    return pixels[..., y : y + SIZE, x : x + SIZE, :]


def normalized(pixels):
    """uint8 -> float32, (value * scale - mean) / std. Keeps the layout."""
    return (pixels.astype(np.float32) * np.float32(SCALE) - np.float32(MEAN)) / np.float32(STD)


def model_input(image):
    """PIL image -> 1 x 3 x SIZE x SIZE float32, as model.json describes."""
    return np.ascontiguousarray(normalized(cropped(resized(image))).transpose(2, 0, 1)[None])


def _sample(split, number):
    image, label = generate.draw(split, number)
    image = generate.as_jpeg(image, quality=75 + number * 7 % 21)
    return resized(image), label


def dataset(split, count, jobs, cache):
    """`count` pictures of a split, resized: (count x 96 x 128 x 3 uint8, count labels)."""
    source = zlib.crc32(Path(generate.__file__).read_bytes())
    file = cache and cache / f"{split}-{count}-{source:08x}.npz"
    if file and file.exists():
        with np.load(file) as data:
            return data["x"], data["y"]
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        pairs = pool.map(partial(_sample, split), range(count), chunksize=32)
    x, y = np.stack([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    if file:
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(file, x=x, y=y)
    return x, y


# ---- the network ----------------------------------------------------------------------------------------------------


def layers():
    """The network as a flat list of (kind, name, ...):

    ("conv", name, cin, cout, kernel, stride, groups, relu6), ("save",), ("add", name).
    """
    yield "conv", "stem", 3, STEM, 3, 2, 1, True
    cin = STEM
    for i, (expansion, cout, stride) in enumerate(LAYOUT):
        name, mid = f"block{i}", cin * expansion
        residual = stride == 1 and cin == cout
        if residual:
            yield ("save",)
        if expansion > 1:
            yield "conv", f"{name}.expand", cin, mid, 1, 1, 1, True
        yield "conv", f"{name}.depthwise", mid, mid, 3, stride, mid, True
        yield "conv", f"{name}.project", mid, cout, 1, 1, 1, False
        if residual:
            yield "add", f"{name}.add"
        cin = cout
    yield "conv", "head", cin, HEAD, 1, 1, 1, True


def initial(rng):
    """(parameters, running statistics). Weights are stored O x I/groups x k x k, as ONNX wants them."""
    params, stats = {}, {}
    for kind, *rest in layers():
        if kind != "conv":
            continue
        name, cin, cout, k, _, groups, _ = rest
        fan = cin // groups * k * k
        params[name] = {
            "weight": rng.normal(0, math.sqrt(2 / fan), (cout, cin // groups, k, k)).astype(np.float32),
            "scale": np.ones(cout, np.float32),
            "bias": np.zeros(cout, np.float32),
        }
        stats[name] = {"mean": np.zeros(cout, np.float32), "var": np.ones(cout, np.float32)}
    classes = len(generate.CLASSES)
    params["classifier"] = {
        "weight": rng.normal(0, 0.01, (classes, HEAD)).astype(np.float32),
        "bias": np.zeros(classes, np.float32),
    }
    return params, stats


def read_back(path):
    """(parameters, running statistics) of a model.onnx that this script wrote."""
    values = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    params, stats = initial(np.random.default_rng(0))
    for name, kept in params.items():
        part = f"{name}.bn" if name in stats else name
        keys = {"weight": f"{name}.weight", "scale": f"{part}.scale", "bias": f"{part}.bias"}
        params[name] = {key: values[keys[key]] for key in kept}
    stats = {name: {key: values[f"{name}.bn.{key}"] for key in kept} for name, kept in stats.items()}
    return params, stats


def _conv(x, weight, stride, groups):
    """x: N x H x W x C; weight as ONNX stores it; k // 2 zeros on every side, as in the file."""
    pad = weight.shape[2] // 2
    pads, strides = [[0, 0], [pad, pad], [pad, pad], [0, 0]], [1, stride, stride, 1]
    kernel = tf.transpose(weight, [2, 3, 1, 0])
    if groups > 1:  # depthwise
        return tf.nn.depthwise_conv2d(x, tf.transpose(kernel, [0, 1, 3, 2]), strides, pads)
    return tf.nn.conv2d(x, kernel, strides, pads)


def forward(params, stats, x, training):
    """x: N x SIZE x SIZE x 3 normalized -> (logits, {name: (mean, variance) of this batch})."""
    batch_stats, saved = {}, None
    for kind, *rest in layers():
        if kind == "save":
            saved = x
        elif kind == "add":
            x = x + saved
        else:
            name, _, _, _, stride, groups, relu6 = rest
            p, s = params[name], stats[name]
            x = _conv(x, p["weight"], stride, groups)
            known = {} if training else {"mean": s["mean"], "variance": s["var"]}
            x, mean, var = tf.compat.v1.nn.fused_batch_norm(
                x, p["scale"], p["bias"], epsilon=BN_EPSILON, is_training=training, **known
            )
            batch_stats[name] = {"mean": mean, "var": var}
            if relu6:
                x = tf.nn.relu6(x)
    x = tf.reduce_mean(x, [1, 2])
    return x @ tf.transpose(params["classifier"]["weight"]) + params["classifier"]["bias"], batch_stats


# ---- training -------------------------------------------------------------------------------------------------------

WEIGHT_DECAY, LABEL_SMOOTHING = 0.02, 0.05


class Trainer:
    """Parameters, running statistics and AdamW (Loshchilov and Hutter, 2019); only matrices and kernels decay."""

    def __init__(self, params, stats):
        self.params = tf.nest.map_structure(tf.Variable, params)
        self.stats = tf.nest.map_structure(lambda v: tf.Variable(v, trainable=False), stats)
        self._flat = tf.nest.flatten(self.params)
        self._m = [tf.Variable(tf.zeros_like(p)) for p in self._flat]
        self._v = [tf.Variable(tf.zeros_like(p)) for p in self._flat]

    @tf.function
    def step(self, x, y, rate, number):
        """One step on one batch; `number` counts from 1. Returns the loss."""
        classes = len(generate.CLASSES)
        target = tf.one_hot(y, classes) * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / classes
        with tf.GradientTape() as tape:
            logits, batch_stats = forward(self.params, self.stats, x, True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
        for p, g, m, v in zip(self._flat, tape.gradient(loss, self._flat), self._m, self._v):
            m.assign(0.9 * m + 0.1 * g)
            v.assign(0.999 * v + 0.001 * g * g)
            move = m / (1 - 0.9**number) / (tf.sqrt(v / (1 - 0.999**number)) + 1e-8)
            p.assign_sub(rate * (move + WEIGHT_DECAY * p if len(p.shape) > 1 else move))
        for name, measured in batch_stats.items():
            for key, value in measured.items():
                s = self.stats[name][key]
                s.assign(BN_MOMENTUM * s + (1 - BN_MOMENTUM) * value)
        return loss

    @tf.function
    def _infer(self, x):
        return tf.nn.softmax(forward(self.params, self.stats, x, False)[0])

    def probabilities(self, pixels):
        """Cropped uint8 pictures -> probabilities, in slices so that memory stays small."""
        return np.concatenate([self._infer(normalized(pixels[i : i + 100])) for i in range(0, len(pixels), 100)])


def _augmented(rng, pixels):
    """One of the eight symmetries of the square, a small shift, brightness and contrast, as normalized floats."""
    out = np.empty((len(pixels), SIZE, SIZE, 3), np.float32)
    middle = (pixels.shape[2] - SIZE) // 2
    for i, picture in enumerate(pixels):
        left = middle + rng.integers(-5, 6)
        square = np.rot90(picture[:, left : left + SIZE], rng.integers(4))
        out[i] = normalized(square[:, ::-1] if rng.random() < 0.5 else square)
    out *= rng.uniform(0.85, 1.15, (len(pixels), 1, 1, 1)).astype(np.float32)
    return out + rng.uniform(-0.25, 0.25, (len(pixels), 1, 1, 1)).astype(np.float32)


def train(x, y, x_val, y_val, epochs, batch, rate, seed, start=None):
    rng = np.random.default_rng(seed)
    trainer = Trainer(*(read_back(start) if start else initial(rng)))
    steps, step, started = epochs * (len(x) // batch), 0, time.time()
    for epoch in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for i in range(0, len(x) - batch + 1, batch):
            step += 1
            now = rate * min(step / 100, 0.5 + 0.5 * math.cos(math.pi * step / steps))  # warm-up, then cosine
            pick = order[i : i + batch]
            losses.append(trainer.step(_augmented(rng, x[pick]), y[pick], tf.constant(now), tf.constant(float(step))))
        right = (trainer.probabilities(x_val).argmax(1) == y_val).mean()
        print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}  validation {right:.4f}  "
              f"{time.time() - started:.0f} s", flush=True)  # fmt: skip
    return trainer


# ---- ONNX -----------------------------------------------------------------------------------------------------------


def to_onnx(params, stats, metadata):
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def node(kind, inputs, name, output=None, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output or f"{name}.out"], name=name, **attributes))
        return output or f"{name}.out"

    low, high = constant("relu6.min", np.float32(0)), constant("relu6.max", np.float32(6))
    x, saved = "image", None
    for kind, *rest in layers():
        if kind == "save":
            saved = x
        elif kind == "add":
            x = node("Add", [x, saved], rest[0])
        else:
            name, _, _, k, stride, groups, relu6 = rest
            weight = constant(f"{name}.weight", params[name]["weight"])
            x = node("Conv", [x, weight], f"{name}.conv", kernel_shape=[k, k], strides=[stride] * 2,
                     pads=[k // 2] * 4, dilations=[1, 1], group=groups)  # fmt: skip
            scale, bias = (
                constant(f"{name}.bn.scale", params[name]["scale"]),
                constant(f"{name}.bn.bias", params[name]["bias"]),
            )
            mean, var = constant(f"{name}.bn.mean", stats[name]["mean"]), constant(f"{name}.bn.var", stats[name]["var"])
            x = node("BatchNormalization", [x, scale, bias, mean, var], f"{name}.bn", epsilon=BN_EPSILON)
            if relu6:
                x = node("Clip", [x, low, high], f"{name}.relu6")
    x = node("GlobalAveragePool", [x], "pool")
    x = node("Flatten", [x], "flatten", axis=1)
    weight, bias = (constant(f"classifier.{part}", params["classifier"][part]) for part in ("weight", "bias"))
    x = node("Gemm", [x, weight, bias], "classifier", transB=1)
    node("Softmax", [x], "softmax", output="probabilities", axis=1)

    graph = helper.make_graph(
        nodes,
        "inspection",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(generate.CLASSES)])],
        constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="skiff-inspection-example"
    )
    model.doc_string = metadata["description"]
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def onnx_session(path):
    """The file through ONNX Runtime with every graph optimization off."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def confusion(y, predicted):
    table = np.zeros((len(generate.CLASSES),) * 2, int)
    np.add.at(table, (y, predicted), 1)
    return table


def write_test_set(session, picture, folder):
    folder.mkdir(exist_ok=True)
    x = model_input(Image.open(picture))
    for file, name, value in (
        ("input_0.pb", "image", x),
        ("output_0.pb", "probabilities", session.run(None, {"image": x})[0]),
    ):
        (folder / file).write_bytes(numpy_helper.from_array(value, name).SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: this file's)")
    parser.add_argument("--train", type=int, default=4800, help="number of training pictures")
    parser.add_argument("--test", type=int, default=2000, help="number of test pictures")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="train on from the weights of this model.onnx")
    parser.add_argument("--jobs", type=int, default=1, help="processes that draw pictures, threads that train")
    parser.add_argument("--cache", type=Path, help="folder to keep drawn pictures in between runs")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.jobs)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    x, y = dataset("train", args.train, args.jobs, args.cache)
    x_val, y_val = dataset("validation", 400, args.jobs, args.cache)
    x_test, y_test = dataset("test", args.test, args.jobs, args.cache)
    x_val, x_test = cropped(x_val), cropped(x_test)
    print(f"{len(x)} training, {len(x_val)} validation, {len(x_test)} test pictures", flush=True)
    trainer = train(x, y, x_val, y_val, args.epochs, args.batch, args.rate, args.seed, args.start)

    expected = trainer.probabilities(x_test)
    table = confusion(y_test, expected.argmax(1))
    accuracy = table.trace() / table.sum()
    metadata = {
        "author": "The Skiff authors",
        "description": "Classifies pictures of industrial surfaces: good, scratch, dent or stain. "
        "Trained on generated pictures (examples/inspection).",
        "classes": ",".join(generate.CLASSES),
        "license": "Apache-2.0",
        "preprocessing": f"RGB, shorter side to {SIZE}, centre crop {SIZE}x{SIZE}, "
        f"(value / 255 - mean) / std, mean {MEAN}, std {STD}, NCHW",
        "test_accuracy": f"{accuracy:.4f} on {len(y_test)} generated pictures",
    }
    path = args.out / "model.onnx"
    args.out.mkdir(parents=True, exist_ok=True)
    params, stats = tf.nest.map_structure(lambda v: v.numpy(), (trainer.params, trainer.stats))
    path.write_bytes(to_onnx(params, stats, metadata).SerializeToString())

    # The file against the framework, on the whole test split.
    onnx.checker.check_model(str(path), full_check=True)
    session = onnx_session(path)
    got = np.concatenate([
        session.run(None, {"image": np.ascontiguousarray(normalized(x_test[i : i + 50]).transpose(0, 3, 1, 2))})[0]
        for i in range(0, len(x_test), 50)
    ])  # fmt: skip
    worst = np.abs(got - expected).max()
    print(f"model.onnx: {path.stat().st_size} bytes; largest difference to TensorFlow over the test split {worst:.2e}")
    if worst > 1e-4:
        raise SystemExit("model.onnx does not compute what was trained")

    sidecar = {
        "input": {
            "image": {
                "resize": f"{SIZE},{SIZE}",
                "resize_mode": "shorter",
                "crop": f"{SIZE},{SIZE}",
                "channels": "rgb",
                "scale": SCALE,
                "mean": MEAN,
                "std": STD,
                "layout": "nchw",
            }
        },
        "labels": "labels.txt",
        "top": 3,
    }
    (args.out / "model.json").write_text(json.dumps(sidecar, indent=2) + "\n")
    (args.out / "labels.txt").write_text("\n".join(generate.CLASSES) + "\n")

    print(f"test accuracy of model.onnx: {(got.argmax(1) == y_test).mean():.4f}\n")
    print("| is \\ called | " + " | ".join(generate.CLASSES) + " |\n|---|" + "---:|" * len(generate.CLASSES))
    for name, row in zip(generate.CLASSES, confusion(y_test, got.argmax(1))):
        print(f"| {name} | " + " | ".join(map(str, row)) + " |")

    pictures = sorted((HERE / "images").glob("*_[0-9][0-9].*"))
    for picture in pictures:
        p = session.run(None, {"image": model_input(Image.open(picture))})[0][0]
        print(f"{picture.name:16s} {generate.CLASSES[p.argmax()]:8s} {p.max():.4f}")
    if pictures:
        write_test_set(session, next(p for p in pictures if p.stem == "scratch_01"), args.out / "test_data_set_0")


if __name__ == "__main__":
    main()
