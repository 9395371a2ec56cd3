"""spox: graphs built in Python by operator constructors; onnx's reference evaluator and NumPy judge."""
import numpy as np
import spox.opset.ai.onnx.ml.v3 as ml
import spox.opset.ai.onnx.v17 as op
from onnx.reference import ReferenceEvaluator
from spox import Tensor, argument, build

import data
from harness import Case, add

E = "spox"


def graph(name, make, feeds, want=None, **tol):
    """make(arguments) gives the outputs by name; want: None for the reference evaluator."""

    def go():
        arguments = {n: argument(Tensor(np.str_ if v.dtype == object else v.dtype, tuple("NMKL"[: v.ndim])))
                     for n, v in feeds.items()}
        outputs = make(**arguments)
        m = build(arguments, outputs)
        w = want if want is not None else ReferenceEvaluator(m).run(None, feeds)
        return Case(m, feeds, w, **tol)

    add(E, name, go)


def c(v):
    return op.constant(value=np.asarray(v))


tracks, rides = data.gestures()[0][:8], data.taxi()[0]


def loop_fibonacci(n):
    outs = op.loop(op.squeeze(n, c(np.array([0], np.int64))), v_initial=[c(np.array(0, np.int64)), c(np.array(1, np.int64))],
                   body=lambda i, cond, a, b: [c(np.array(True)), b, op.add(a, b), a])
    return {"a": outs[0], "scan": outs[2]}


def label_encoding(x):
    codes = ml.label_encoder(x, keys_strings=["VTS", "CMT"], values_int64s=[1, 2], default_int64=-1)
    return {"codes": codes, "back": ml.label_encoder(codes, keys_int64s=[1, 2], values_strings=["v", "c"], default_string="?")}


def one_hot_texts(x):
    return {"hot": ml.one_hot_encoder(x, cats_strings=["CRD", "CSH"], zeros=1)}


def branches(x):
    (y,) = op.if_(op.greater(op.gather(op.shape(x), c(np.array(0, np.int64))), c(np.array(4, np.int64))),
                  then_branch=lambda: [op.reduce_max(x, axes=[1], keepdims=0)],
                  else_branch=lambda: [op.reduce_mean(x, axes=[1], keepdims=0)])
    return {"y": y}


def sequences(x):
    s = op.split_to_sequence(x, axis=0, keepdims=0)
    return {"n": op.sequence_length(s), "third": op.sequence_at(s, c(np.array(2, np.int64))),
            "joined": op.concat_from_sequence(op.sequence_erase(s, c(np.array(0, np.int64))), axis=0, new_axis=1)}


def scaled(x):
    y = ml.scaler(x, offset=[1.0, 2.0, 3.0, 4.0], scale=[0.5, 1.0, 2.0, 0.1])
    return {"scaled": y, "normal": ml.normalizer(y, norm="L2"), "picked": ml.array_feature_extractor(y, c(np.array([0, 2], np.int64)))}


def strings(x):
    return {"clean": op.string_normalizer(x, case_change_action="UPPER", stopwords=["VTS"], is_case_sensitive=0)}


def tfidf(x):
    return {"counts": op.tf_idf_vectorizer(x, max_gram_length=2, max_skip_count=0, min_gram_length=1, mode="TF",
                                           ngram_counts=[0, 5], ngram_indexes=list(range(8)),
                                           pool_int64s=[0, 1, 2, 3, 4, 1, 0, 2, 7, 7, 1])}


graph("loop with scans", loop_fibonacci, {"n": np.array([9], np.int64)},
      [np.array(34), np.array([0, 1, 1, 2, 3, 5, 8, 13, 21])])
graph("label encoder texts", label_encoding, {"x": rides["vendor_id"][:50, 0]},
      [np.where(rides["vendor_id"][:50, 0] == "VTS", 1, 2), np.where(rides["vendor_id"][:50, 0] == "VTS", "v", "c").astype(object)])
graph("one hot texts", one_hot_texts, {"x": rides["payment_type"][:50, 0]},
      [np.stack([rides["payment_type"][:50, 0] == "CRD", rides["payment_type"][:50, 0] == "CSH"], 1).astype(np.float32)])
for n in (3, 8):
    graph(f"if on a shape {n}", branches, {"x": tracks[:n]})
graph("sequences", sequences, {"x": tracks[0]})
graph("scaler normalizer extractor", scaled, {"x": data.iris()[0][:40]})
graph("string normalizer", strings, {"x": rides["vendor_id"][:9, 0]},
      [np.array([v.upper() for v in rides["vendor_id"][:9, 0] if v.upper() != "VTS"] or [""], object)])
graph("tf-idf over numbers", tfidf, {"x": data.digits()[1][:60].reshape(6, 10)})
