"""Writes custom_op.onnx, a model whose nodes are the operators of operators.cc. Needs PyPI's onnx (tests/requirements.txt).

    python make_model.py [FILE]
"""
import os
import sys

import onnx
from onnx import TensorProto as T
from onnx import helper as h

nodes = [
    h.make_node("SoftClip", ["x"], ["clipped"], name="clip", domain="com.example", limit=2.0),
    h.make_node("RunningMean", ["clipped"], ["mean"], name="remember", domain="com.example", momentum=0.5),
    h.make_node("Neg", ["mean"], ["negative"], name="neg"),
    h.make_node("Words", ["texts"], ["words", "counts"], name="split", domain="com.example"),
    h.make_node("Shape", ["words"], ["total"], name="count"),
]
graph = h.make_graph(
    nodes,
    "custom_op",
    [h.make_tensor_value_info("x", T.FLOAT, ["N", 3]), h.make_tensor_value_info("texts", T.STRING, ["M"])],
    [
        h.make_tensor_value_info("negative", T.FLOAT, ["N", 3]),
        h.make_tensor_value_info("words", T.STRING, [None]),
        h.make_tensor_value_info("counts", T.INT64, ["M"]),
        h.make_tensor_value_info("total", T.INT64, [1]),
    ],
)
model = h.make_model(
    graph,
    producer_name="examples/custom_op",
    opset_imports=[h.make_opsetid("", 17), h.make_opsetid("com.example", 1)],
    ir_version=8,
)
onnx.save(model, sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "custom_op.onnx"))
