"""onnxscript: functions run eagerly by its own NumPy evaluator are the reference (onnx's reference evaluator)."""
import numpy as np
from onnx.reference import ReferenceEvaluator
from onnxscript import BOOL, FLOAT, INT64
from onnxscript import opset18 as op
from onnxscript import script

import data
from harness import Case, add

E = "onnxscript"
x8, y8 = data.gestures()[0][:8], data.iris()[0][:60]
boxes = np.abs(y8 / 8)
boxes = np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])]).astype(np.float32)


@script()
def layer_norm_gelu(X: FLOAT["N", "T", 2]) -> FLOAT["N", "T", 2]:
    mean = op.ReduceMean(X, op.Constant(value_ints=[-1]), keepdims=1)
    d = X - mean
    v = op.ReduceMean(d * d, op.Constant(value_ints=[-1]), keepdims=1)
    n = d / op.Sqrt(v + 1e-5)
    return 0.5 * n * (1.0 + op.Erf(n / 1.4142135))


@script()
def loop_sum(X: FLOAT["N", 2]):
    total = op.Constant(value_floats=[0.0, 0.0])
    n = op.Squeeze(op.Shape(X, end=1))
    for i in range(n):
        row = op.Gather(X, i)
        total = op.Tanh(total * 0.5 + row)
    return total


@script()
def while_halving(X: FLOAT["N"]):
    y = X
    again = op.ReduceSum(y) > 1.0
    while again:
        y = y * 0.5
        again = op.ReduceSum(y) > 1.0
    return y


@script()
def if_on_shape(X: FLOAT["N", "T", 2]):
    n = op.Squeeze(op.Shape(X, end=1))
    if n > 4:
        r = op.ReduceMax(X, op.Constant(value_ints=[1]), keepdims=0)
    else:
        r = op.ReduceMin(X, op.Constant(value_ints=[1]), keepdims=0)
    return r


@script()
def sequence_work(X: FLOAT["N", 2]):
    parts = op.SplitToSequence(X, op.Constant(value_int=2), axis=0)
    first = op.SequenceAt(parts, op.Constant(value_int=0))
    more = op.SequenceInsert(parts, first * 2.0)
    return op.ConcatFromSequence(more, axis=0), op.SequenceLength(more)


@script()
def nms_tail(B: FLOAT["N", 4], S: FLOAT["N"]):
    b = op.Unsqueeze(B, op.Constant(value_ints=[0]))
    s = op.Unsqueeze(S, op.Constant(value_ints=[0, 1]))
    keep = op.NonMaxSuppression(b, s, op.Constant(value_ints=[20]), op.Constant(value_floats=[0.4]),
                                op.Constant(value_floats=[0.05]))
    index = op.Squeeze(op.Slice(keep, op.Constant(value_ints=[2]), op.Constant(value_ints=[3]), op.Constant(value_ints=[1])),
                       op.Constant(value_ints=[1]))
    kept = op.Gather(B, index)
    return kept, op.Gather(S, index), op.Shape(kept)


@script()
def shape_arithmetic(X: FLOAT["N", "T", 2]):
    n = op.Shape(X, end=1)
    flat = op.Reshape(X, op.Concat(n, op.Constant(value_ints=[-1]), axis=0))
    padded = op.Pad(flat, op.Constant(value_ints=[0, 1, 0, 2]), op.Constant(value_float=3.0))
    return op.Tile(padded, op.Constant(value_ints=[2, 1])), op.Expand(op.Constant(value_float=1.0), op.Shape(X))


@script()
def top_k_scatter(X: FLOAT["N", 2]):
    v, i = op.TopK(X, op.Constant(value_ints=[3]), axis=0)
    return v, i, op.ScatterElements(X, i, v * 0.0, axis=0), op.NonZero(X > 0.0)


@script()
def unique_compress(X: INT64["N"]):
    u, first, inverse, count = op.Unique(X, sorted=1)
    return u, first, inverse, count, op.Compress(X, X > 3)


@script()
def attention(Q: FLOAT["N", "T", 2], mask: BOOL["T", "T"]):
    k = op.Transpose(Q, perm=[0, 2, 1])
    s = op.Where(mask, op.MatMul(Q, k) * 0.7071, op.Constant(value_float=-1e9))
    return op.MatMul(op.Softmax(s, axis=-1), Q)


@script()
def einsum_trig(X: FLOAT["N", "T", 2]):
    return op.Einsum(X, X, equation="nti,ntj->nij"), op.Mod(op.Abs(X), op.Constant(value_float=0.3), fmod=1), op.Round(X * 10.0)


@script()
def quantized(X: FLOAT["N", 2]):
    y, scale, zero = op.DynamicQuantizeLinear(X)
    return y, scale, zero


def from_script(name, fn, feeds, want=None, **tol):
    def build():
        m = fn.to_model_proto()
        return Case(m, feeds, want or ReferenceEvaluator(m).run(None, feeds), **tol)

    add(E, name, build)


from_script("layer norm gelu", layer_norm_gelu, {"X": x8})


def decoded(x):
    h = np.zeros(2, np.float32)
    for row in x:
        h = np.tanh(h * np.float32(0.5) + row)
    return h


from_script("loop", loop_sum, {"X": x8[5]}, want=[decoded(x8[5])])
from_script("while", while_halving, {"X": np.abs(data.speech(1)[4000:4100]) + np.float32(0.1)})
from_script("if on a shape 8", if_on_shape, {"X": x8})
from_script("if on a shape 2", if_on_shape, {"X": x8[:2]})
from_script("sequences", sequence_work, {"X": x8[0][:9]})
from_script("nms tail", nms_tail, {"B": boxes, "S": boxes[:, 3].copy()})
from_script("shape arithmetic", shape_arithmetic, {"X": x8[:3]})
from_script("top k scatter non-zero", top_k_scatter, {"X": x8[1] + np.arange(32, dtype=np.float32).reshape(16, 2) * 1e-5})
from_script("unique compress", unique_compress, {"X": data.digits()[1][:40]})
from_script("masked attention", attention, {"Q": x8, "mask": np.tri(16, dtype=bool)})
from_script("einsum mod round", einsum_trig, {"X": x8})
from_script("dynamic quantize", quantized, {"X": x8[2]})
