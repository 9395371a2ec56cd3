#!/usr/bin/env python3
"""Compares the com.microsoft operators with PyPI's onnxruntime.

    microsoft.py SKIFF FOLDER

Writes one folder a case (model.onnx, test_data_set_0 with onnxruntime's outputs) below FOLDER and lets `skiff verify` run them.
Exit 77 (skipped) without the onnx or onnxruntime package.
"""
import pathlib
import shutil
import subprocess
import sys

try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

MS = "com.microsoft"
rng = np.random.default_rng(7)


def f32(*shape, lo=-1.0, hi=1.0):
    return rng.uniform(lo, hi, shape).astype(np.float32)


def u8(*shape, lo=0, hi=256):
    return rng.integers(lo, hi, shape).astype(np.uint8)


def s8(*shape, lo=-128, hi=128):
    return rng.integers(lo, hi, shape).astype(np.int8)


def i32(*values):
    return np.array(values, np.int32)


def scale(v=0.02):
    return np.array(v, np.float32)


def zero(v, t=np.uint8):
    return np.array(v, t)


class Case:
    """inputs: arrays, None where absent. weights: how many from the end are initializers."""

    def __init__(self, name, op, inputs, outputs=1, domain=MS, opset=17, weights=0, out_types=None, tolerance=(1e-3, 1e-5), more=None, **attributes):
        self.name, self.op, self.inputs, self.outputs = name, op, inputs, outputs
        self.domain, self.opset, self.weights, self.attributes = domain, opset, weights, attributes | (more or {})
        self.out_types, self.tolerance = out_types or [TensorProto.FLOAT] * outputs, tolerance

    def model(self):
        names = [f"x{i}" if a is not None else "" for i, a in enumerate(self.inputs)]
        outs = [f"y{i}" for i in range(self.outputs)]
        node = helper.make_node(self.op, names, outs, domain="" if self.domain == "ai.onnx" else self.domain, **self.attributes)
        first = len(self.inputs) - self.weights
        graph_in, init = [], []
        for i, (n, a) in enumerate(zip(names, self.inputs)):
            if a is None:
                continue
            if i >= first:
                init.append(numpy_helper.from_array(a, n))
            else:
                graph_in.append(helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape))
        graph_out = [helper.make_tensor_value_info(n, t, None) for n, t in zip(outs, self.out_types)]
        g = helper.make_graph([node], self.name, graph_in, graph_out, init)
        return helper.make_model(g, ir_version=9, opset_imports=[helper.make_opsetid("", self.opset), helper.make_opsetid(MS, 1)])

    def feeds(self):
        first = len(self.inputs) - self.weights
        return {f"x{i}": a for i, a in enumerate(self.inputs) if a is not None and i < first}


def attention_cases():
    b, s, h, d = 2, 5, 2, 4
    w = h * d
    q, k, v = f32(b, s, w), f32(b, s, w), f32(b, s, w)
    yield Case("mha", "MultiHeadAttention", [q, k, v], num_heads=h)
    yield Case("mha_causal_bias", "MultiHeadAttention", [q, k, v, f32(3 * w)], num_heads=h, unidirectional=1)
    yield Case("mha_mask_lengths", "MultiHeadAttention", [q, k, v, None, np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)], num_heads=h)
    yield Case("mha_attention_bias", "MultiHeadAttention", [q, k, v, None, None, f32(1, h, s, s)], num_heads=h)
    yield Case("mha_past", "MultiHeadAttention", [q, k, v, None, None, None, f32(b, h, 3, d), f32(b, h, 3, d)], outputs=3, num_heads=h)
    x, weight, bias = f32(b, s, 6), f32(6, 3 * w), f32(3 * w)
    yield Case("attention", "Attention", [x, weight, bias], weights=2, num_heads=h)
    yield Case("attention_causal", "Attention", [x, weight, bias], weights=2, num_heads=h, unidirectional=1)
    yield Case("attention_lengths", "Attention", [x, weight, bias, i32(3, 5)], num_heads=h)
    yield Case("attention_mask", "Attention", [x, weight, bias, np.array([[1, 1, 0, 1, 1], [1, 1, 1, 1, 0]], np.int32)], num_heads=h)
    yield Case("attention_past", "Attention", [x, weight, bias, None, f32(2, b, h, 3, d)], outputs=2, num_heads=h, unidirectional=1)
    for t, name in ((u8, "u8"), (s8, "s8")):
        z = zero(128) if t is u8 else zero(3, np.int8)
        ws = f32(3 * w, lo=0.01, hi=0.02)
        yield Case(f"qattention_{name}", "QAttention", [u8(b, s, 6), t(6, 3 * w), bias, scale(), scale(), None, zero(120), z], num_heads=h, tolerance=(1e-3, 1e-4))
        if t is s8:
            yield Case("qattention_columns", "QAttention", [u8(b, s, 6), t(6, 3 * w), bias, scale(), ws, i32(3, 5), zero(120), np.zeros(3 * w, np.int8)], num_heads=h, tolerance=(1e-3, 1e-4))
    yield Case("qattention_past", "QAttention", [u8(b, s, 6), u8(6, 3 * w), bias, scale(), scale(), None, zero(120), zero(128), f32(2, b, h, 3, d)], outputs=2, num_heads=h, unidirectional=1, tolerance=(1e-3, 1e-4))
    d = 16
    gk, gv = f32(b, 4, d), f32(b, 4, d)
    for rotary in (0, 1):
        extra = [f32(16, d // 2), f32(16, d // 2)] if rotary else []
        yield Case(f"gqa_prompt_{rotary}", "GroupQueryAttention", [f32(b, 4, 2 * d), gk, gv, None, None, i32(3, 3), i32(4)] + extra, outputs=3, num_heads=2, kv_num_heads=1, do_rotary=rotary)
        past = [f32(b, 1, 6, d), f32(b, 1, 6, d)]
        yield Case(f"gqa_step_{rotary}", "GroupQueryAttention", [f32(b, 1, 2 * d), f32(b, 1, d), f32(b, 1, d)] + past + [i32(6, 4), i32(7)] + extra, outputs=3, num_heads=2, kv_num_heads=1, do_rotary=rotary)
    yield Case("gqa_window_softcap", "GroupQueryAttention", [f32(b, 4, 2 * d), gk, gv, None, None, i32(3, 3), i32(4)], outputs=3, num_heads=2, kv_num_heads=1, local_window_size=2, softcap=3.0)
    yield Case("gqa_packed", "GroupQueryAttention", [f32(b, 4, 4 * d), None, None, None, None, i32(3, 3), i32(4)], outputs=3, num_heads=2, kv_num_heads=1)
    ids = np.array([[0, 1, 2], [4, 5, 6]], np.int64)
    yield Case("rotary", "RotaryEmbedding", [f32(b, 3, 16), ids, f32(10, 4), f32(10, 4)], num_heads=2)
    yield Case("rotary_interleaved", "RotaryEmbedding", [f32(b, 2, 3, 8), ids, f32(10, 4), f32(10, 4)], interleaved=1)
    yield Case("rotary_offset", "RotaryEmbedding", [f32(b, 3, 16), np.array([3], np.int64), f32(10, 4), f32(10, 4)], num_heads=2)


def norm_cases():
    x, skip, g, be, bias = f32(2, 3, 8), f32(2, 3, 8), f32(8), f32(8), f32(8)
    yield Case("skip_layer_norm", "SkipLayerNormalization", [x, skip, g, be, bias], outputs=4, epsilon=1e-5)
    yield Case("skip_simplified", "SkipSimplifiedLayerNormalization", [x, skip, g, bias], outputs=4, epsilon=1e-5)
    yield Case("simplified", "SimplifiedLayerNormalization", [x, g], domain="ai.onnx", epsilon=1e-5)
    ids, seg = rng.integers(0, 7, (2, 3)).astype(np.int32), rng.integers(0, 2, (2, 3)).astype(np.int32)
    mask = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    word, pos, segw = f32(7, 8), f32(5, 8), f32(2, 8)
    types = [TensorProto.FLOAT, TensorProto.INT32, TensorProto.FLOAT]
    yield Case("embed", "EmbedLayerNormalization", [ids, seg, word, pos, segw, g, be, mask], outputs=3, out_types=types)
    yield Case("embed_no_segment", "EmbedLayerNormalization", [ids, None, word, pos, None, g, be], outputs=2, out_types=types[:2])
    q = [u8(7, 8), u8(5, 8), u8(2, 8), u8(8), u8(8)]
    yield Case("qembed", "QEmbedLayerNormalization", [ids, seg] + q + [mask] + [scale(0.01 * (i + 1)) for i in range(5)] + [zero(100 + i) for i in range(5)],
               outputs=2, out_types=types[:2], tolerance=(1e-3, 1e-4))


def activation_cases():
    x = f32(3, 8, lo=-4, hi=4)
    yield Case("bias_gelu", "BiasGelu", [x, f32(8)])
    yield Case("fast_gelu", "FastGelu", [x, f32(8)])
    yield Case("gelu", "Gelu", [x])
    yield Case("quick_gelu", "QuickGelu", [x], alpha=1.3)


def product_cases():
    yield Case("fused_matmul", "FusedMatMul", [f32(2, 5, 3), f32(2, 4, 5)], transA=1, transB=1, alpha=1.5)
    yield Case("fused_matmul_batch", "FusedMatMul", [f32(3, 2, 5), f32(2, 5, 4)], transBatchA=1, alpha=0.5)
    yield Case("fused_gemm", "FusedGemm", [f32(3, 4), f32(4, 5), f32(5)], weights=2, alpha=0.5, beta=2.0, activation="LeakyRelu", activation_alpha=0.1)
    yield Case("fused_conv", "FusedConv", [f32(1, 3, 6, 6), f32(4, 3, 3, 3), f32(4)], weights=2, activation="Relu", kernel_shape=[3, 3])
    yield Case("fused_conv_sum", "FusedConv", [f32(1, 3, 6, 6), f32(4, 3, 3, 3), f32(4), f32(1, 4, 4, 4)], activation="Clip", activation_params=[-0.5, 0.5], kernel_shape=[3, 3])
    for bits, block in ((4, 16), (4, 32), (8, 32)):
        k, n = 40, 6
        blocks = -(-k // block)
        zp = u8(n, -(-blocks * bits // 8))
        yield Case(f"matmul_nbits_{bits}_{block}", "MatMulNBits", [f32(3, k), u8(n, blocks, block * bits // 8), f32(n * blocks, lo=0.1), zp.reshape(-1)],
                   weights=3, K=k, N=n, bits=bits, block_size=block, tolerance=(1e-3, 1e-3))
    yield Case("matmul_nbits_symmetric", "MatMulNBits", [f32(3, 32), u8(5, 1, 16), f32(5, lo=0.1)], weights=2, K=32, N=5, bits=4, block_size=32, tolerance=(1e-3, 1e-3))
    yield Case("dynamic_quantize_matmul", "DynamicQuantizeMatMul", [f32(3, 16), s8(16, 5), f32(5, lo=0.01, hi=0.02), np.zeros(5, np.int8), f32(5)], weights=4, tolerance=(1e-3, 1e-4))
    yield Case("dynamic_quantize_matmul_u8", "DynamicQuantizeMatMul", [f32(2, 3, 16), u8(16, 5), scale(), zero(130)], weights=3, tolerance=(1e-3, 1e-4))
    yield Case("matmul_integer_to_float", "MatMulIntegerToFloat", [u8(3, 16), s8(16, 5), scale(), f32(5, lo=0.01, hi=0.02), zero(100), np.zeros(5, np.int8), f32(5)], tolerance=(1e-3, 1e-4))
    yield Case("inverse", "Inverse", [f32(2, 4, 4) + 3 * np.eye(4, dtype=np.float32)], tolerance=(1e-3, 1e-4))
    data = rng.integers(0, 256, (6, 32)).astype(np.uint8)
    yield Case("gather_block_quantized", "GatherBlockQuantized", [data, np.array([[0, 3], [5, 1]], np.int64), f32(6, 2, lo=0.1), u8(6, 2)], weights=0, block_size=16, bits=8, gather_axis=0, quantize_axis=1)


def lstm_cases():
    for name, direction, dirs in (("forward", "forward", 1), ("both", "bidirectional", 2), ("reverse", "reverse", 1)):
        for per in (False, True):
            h, n, batch, seq = 4, 6, 2, 3
            scales = (dirs, 4 * h) if per else (dirs,)
            inputs = [f32(seq, batch, n), s8(dirs, n, 4 * h), s8(dirs, h, 4 * h), f32(dirs, 8 * h), None, f32(dirs, batch, h), f32(dirs, batch, h), None,
                      f32(*scales, lo=0.004, hi=0.01), np.zeros(scales, np.int8), f32(*scales, lo=0.004, hi=0.01), np.zeros(scales, np.int8)]
            case = Case(f"dynamic_lstm_{name}_{int(per)}", "DynamicQuantizeLSTM", inputs, outputs=3, hidden_size=h, direction=direction, tolerance=(1e-3, 2e-4))
            case.constant = {1, 2, 8, 9, 10, 11}
            yield case


def quantized_cases():
    a, b = u8(2, 3, 4), u8(3, 4)
    u = [TensorProto.UINT8]
    for op in ("QLinearAdd", "QLinearMul"):
        yield Case(op.lower(), op, [a, scale(), zero(120), b, scale(0.03), zero(130), scale(0.05), zero(125)], out_types=u, tolerance=(0, 1))  # ties fall as the order of products has it
        yield Case(op.lower() + "_s8", op, [s8(2, 5), scale(), zero(3, np.int8), s8(2, 5), scale(0.03), zero(-5, np.int8), scale(0.05), zero(1, np.int8)], out_types=[TensorProto.INT8])
    yield Case("qlinear_concat", "QLinearConcat", [scale(0.03), zero(120), u8(2, 3), scale(), zero(110), u8(2, 2), scale(0.04), zero(130)], out_types=u, axis=1)
    yield Case("qlinear_global_average", "QLinearGlobalAveragePool", [u8(1, 3, 5, 6), scale(), zero(120), scale(0.03), zero(100)], out_types=u)
    yield Case("qlinear_global_average_nhwc", "QLinearGlobalAveragePool", [u8(1, 5, 6, 3), scale(), zero(120), scale(0.03), zero(100)], out_types=u, channels_last=1)
    yield Case("qlinear_average", "QLinearAveragePool", [u8(1, 3, 7, 7), scale(), zero(120), scale(0.03), zero(100)], out_types=u, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    yield Case("qlinear_sigmoid", "QLinearSigmoid", [u8(4, 9), scale(0.05), zero(120), scale(1 / 256), zero(0)], weights=4, out_types=u)
    yield Case("qlinear_leaky_relu", "QLinearLeakyRelu", [u8(4, 9), scale(), zero(120), scale(0.03), zero(60)], weights=4, out_types=u, alpha=0.1)
    yield Case("qlinear_softmax", "QLinearSoftmax", [u8(4, 9), scale(0.05), zero(120), scale(1 / 256), zero(0)], weights=4, out_types=u, more={"axis": -1, "opset": 13})
    yield Case("qlinear_where", "QLinearWhere", [rng.integers(0, 2, (2, 3)).astype(bool), u8(2, 3), scale(), zero(120), u8(2, 3), scale(0.03), zero(110), scale(0.05), zero(130)], out_types=u)
    yield Case("qgemm", "QGemm", [u8(3, 4), scale(), zero(120), s8(4, 5), scale(), zero(0, np.int8), rng.integers(-500, 500, 5).astype(np.int32), scale(0.05), zero(120)], out_types=u)
    yield Case("qgemm_float", "QGemm", [u8(3, 4), scale(), zero(120), s8(5, 4), scale(), zero(0, np.int8), rng.integers(-500, 500, 5).astype(np.int32)], transB=1)
    yield Case("qlinear_conv_nhwc", "QLinearConv", [u8(1, 6, 7, 4), scale(), zero(120), u8(8, 4, 3, 3), scale(), zero(128), scale(0.5), zero(100)], weights=7, out_types=u, channels_last=1, pads=[1, 1, 1, 1])
    x = f32(3, 8)
    yield Case("quantize_u16", "QuantizeLinear", [x, scale(1e-4), zero(30000, np.uint16)], out_types=[TensorProto.UINT16])
    yield Case("dequantize_s16", "DequantizeLinear", [rng.integers(-9999, 9999, (3, 8)).astype(np.int16), scale(1e-3), zero(17, np.int16)])
    yield Case("quantize_axis", "QuantizeLinear", [x, f32(3, lo=0.01, hi=0.02), u8(3)], out_types=u, axis=0)
    yield Case("nhwc_max_pool", "NhwcMaxPool", [u8(1, 6, 7, 3)], out_types=u, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


def image_cases():
    x = f32(2, 3, 5, 6)
    yield Case("trilu", "Trilu", [f32(2, 4, 5), np.array(1, np.int64)], upper=0)
    yield Case("trilu_upper", "Trilu", [f32(4, 5)])
    pads = np.array([0, 0, 1, 2, 0, 0, 2, 1], np.int64)
    yield Case("pad", "Pad", [x, pads, scale(0.5)])
    yield Case("pad_reflect", "Pad", [x, pads], mode="reflect")
    yield Case("pad_edge", "Pad", [x, pads], mode="edge")
    yield Case("grid_sample", "GridSample", [x, f32(2, 4, 4, 2, lo=-1.2, hi=1.2)], mode="bilinear", padding_mode="border", align_corners=1)
    rois = np.array([[0, 0, 1, 1], [0.2, 0.3, 0.7, 0.9], [-0.3, 0.1, 0.5, 1.4]], np.float32)
    for mode in ("bilinear", "nearest"):
        yield Case(f"crop_and_resize_{mode}", "CropAndResize", [x, rois, i32(0, 1, 1), i32(3, 4)], mode=mode, extrapolation_value=0.25)


def all_cases():
    for group in (attention_cases, norm_cases, activation_cases, product_cases, lstm_cases, quantized_cases, image_cases):
        yield from group()


def constants_of(case, model):
    """Moves inputs a case names as constant (not only the last ones) into initializers."""
    for i in sorted(getattr(case, "constant", ())):
        name = f"x{i}"
        model.graph.initializer.append(numpy_helper.from_array(case.inputs[i], name))
        kept = [v for v in model.graph.input if v.name != name]
        del model.graph.input[:]
        model.graph.input.extend(kept)


def main():
    skiff, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    shutil.rmtree(folder, ignore_errors=True)
    operators, refused, groups = set(), [], {}
    for case in all_cases():
        model = case.model()
        constants_of(case, model)
        feeds = {k: v for k, v in case.feeds().items() if int(k[1:]) not in getattr(case, "constant", ())}
        try:
            options = ort.SessionOptions()
            options.log_severity_level = 4
            options.intra_op_num_threads = 1  # with more, DynamicQuantizeLSTM quantizes parts of a batch by themselves
            want = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)
        except Exception as e:  # noqa: BLE001 - whatever the peer refuses is told
            refused.append((case.name, str(e).splitlines()[0][:150]))
            continue
        operators.add(case.op)
        at = folder / f"{case.tolerance[0]:g}_{case.tolerance[1]:g}" / case.name
        data = at / "test_data_set_0"
        data.mkdir(parents=True)
        groups[at.parent] = case.tolerance
        onnx.save(model, at / "model.onnx")
        for i, v in enumerate(model.graph.input):
            (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(feeds[v.name], v.name).SerializeToString())
        for i, a in enumerate(want):
            (data / f"output_{i}.pb").write_bytes(numpy_helper.from_array(a, f"y{i}").SerializeToString())
    for name, why in refused:
        print(f"onnxruntime {ort.__version__} does not run {name}: {why}")
    failed = 0
    for at, (rtol, atol) in sorted(groups.items()):
        for extra in ([], ["--skip-passes", "all"]):
            failed |= subprocess.run([skiff, "verify", str(at), "--rtol", str(rtol), "--atol", str(atol)] + extra, check=False).returncode
    print(f"{len(operators)} com.microsoft operators compared with onnxruntime {ort.__version__}: {' '.join(sorted(operators))}")
    return 1 if failed else 0


sys.exit(main())
