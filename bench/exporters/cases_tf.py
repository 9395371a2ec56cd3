"""Keras and TensorFlow through tf2onnx (and Keras' own export): nets for digits, tracks, sounds and texts, trained for a
moment on real rows, and functions with loops, branches, NMS and dynamic shapes."""
import os
import tempfile

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers

import data
from harness import Case, add, case

E, OPSET = "tf2onnx", 18
tf.get_logger().setLevel("ERROR")


def net(make, rows, rtol=1e-3, atol=1e-4):
    """make() gives a Keras model, rows() its input and target; export by input signature with a dynamic batch."""

    def build():
        keras.utils.set_random_seed(0)
        x, y = rows()
        m = make()
        m.compile("adam", "sparse_categorical_crossentropy" if y.dtype.kind == "i" else "mse")
        m.fit(x[:256], y[:256], epochs=1, batch_size=64, verbose=0)
        run = tf.function(lambda t: m(t, training=False))
        spec = [tf.TensorSpec([None, *x.shape[1:]], tf.as_dtype(x.dtype), name="x")]
        onx, _ = tf2onnx.convert.from_function(run, input_signature=spec, opset=OPSET)
        test = x[256:264]
        want = run(tf.constant(test))
        return Case(onx, {"x": test}, [np.asarray(w) for w in (want if isinstance(want, (list, tuple)) else [want])],
                    rtol=rtol, atol=atol)

    return build


def function(name, f, feeds, specs, want=None, **tol):
    """A tf.function over named arrays."""

    def build():
        g = tf.function(f)
        signature = [tf.TensorSpec(s, tf.as_dtype(np.asarray(v).dtype) if np.asarray(v).dtype != object else tf.string, name=n)
                     for (n, v), s in zip(feeds.items(), specs)]
        onx, _ = tf2onnx.convert.from_function(g, input_signature=signature, opset=OPSET)
        out = g(*[tf.constant(v) for v in feeds.values()])
        out = [np.asarray(o) for o in (out if isinstance(out, (list, tuple)) else [out])]
        return Case(onx, feeds, out, **{"rtol": 1e-3, "atol": 1e-4, **tol})

    add(E, name, build)


def pictures():
    x, y = data.digits()
    return x.reshape(-1, 14, 14, 1), y


def tracks():
    return data.gestures()


def sequential(shape, *parts):
    return lambda: keras.Sequential([keras.Input(shape), *[p() for p in parts]])


D = lambda n, a="softmax": lambda: layers.Dense(n, a)  # noqa: E731
P = (14, 14, 1)
for name, make, rows in [
    ("dense", sequential((196,), D(32, "relu"), D(10)), data.digits),
    ("dense gelu swish", sequential((196,), D(32, "gelu"), D(32, "swish"), D(10)), data.digits),
    ("batch norm dropout", sequential((196,), D(32, "elu"), layers.BatchNormalization, lambda: layers.Dropout(0.5), D(10)),
     data.digits),
    ("conv", sequential(P, lambda: layers.Conv2D(8, 3, activation="relu", padding="same"), lambda: layers.MaxPooling2D(2),
                        lambda: layers.Conv2D(16, 3), layers.BatchNormalization, layers.ReLU, layers.Flatten, D(10)), pictures),
    ("separable conv", sequential(P, lambda: layers.SeparableConv2D(8, 3, strides=2, padding="same"),
                                  lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), layers.GlobalAveragePooling2D, D(10)),
     pictures),
    ("dilated average leaky", sequential(P, lambda: layers.Conv2D(8, 3, dilation_rate=2), layers.LeakyReLU,
                                         lambda: layers.AveragePooling2D(2, padding="same"), layers.Flatten, D(10)), pictures),
    ("transposed upsample", sequential(P, lambda: layers.Conv2D(4, 3, strides=2, padding="same"),
                                       lambda: layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
                                       lambda: layers.UpSampling2D(2, interpolation="bilinear"),
                                       lambda: layers.Cropping2D(2), lambda: layers.ZeroPadding2D(1),
                                       layers.GlobalMaxPooling2D, D(10)), pictures),
    ("group layer norm", sequential(P, lambda: layers.Conv2D(8, 3), lambda: layers.GroupNormalization(2),
                                    layers.LayerNormalization, layers.PReLU, layers.Flatten, D(10)), pictures),
    ("conv1d", sequential((16, 2), lambda: layers.Conv1D(8, 3, padding="causal", activation="tanh"),
                          lambda: layers.MaxPooling1D(2), layers.Flatten, D(4)), tracks),
    ("lstm", sequential((16, 2), lambda: layers.LSTM(12), D(4)), tracks),
    ("gru", sequential((16, 2), lambda: layers.GRU(12, return_sequences=True), lambda: layers.GRU(8), D(4)), tracks),
    ("simple rnn", sequential((16, 2), lambda: layers.SimpleRNN(12), D(4)), tracks),
    ("bidirectional lstm", sequential((16, 2), lambda: layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
                                      lambda: layers.TimeDistributed(layers.Dense(4)), layers.Flatten, D(4)), tracks),
    ("conv lstm masking", sequential((16, 2), lambda: layers.Masking(0.0), lambda: layers.LSTM(8), D(4)), tracks),
    ("sound dense selu", sequential((64,), D(32, "selu"), D(2)), data.sound_frames),
    ("normalization rescaling", sequential((196,), lambda: layers.Rescaling(2.0, -1.0), D(16, "softplus"), D(10)), data.digits),
]:
    add(E, "keras " + name, net(make, rows))


def attention():
    i = keras.Input((16, 2))
    h = layers.Dense(16)(i)
    h = layers.Add()([h, layers.MultiHeadAttention(2, 8)(h, h)])
    h = layers.LayerNormalization()(h)
    return keras.Model(i, layers.Dense(4, "softmax")(layers.GlobalAveragePooling1D()(h)))


def residual():
    i = keras.Input(P)
    h = layers.Conv2D(8, 3, padding="same", activation="relu")(i)
    g = layers.Conv2D(8, 3, padding="same")(h)
    h = layers.Concatenate()([layers.Add()([h, g]), layers.Multiply()([h, layers.Activation("sigmoid")(g)])])
    return keras.Model(i, layers.Dense(10, "softmax")(layers.Flatten()(layers.MaxPooling2D()(h))))


def squeeze():
    i = keras.Input(P)
    h = layers.Conv2D(8, 3, activation="relu6")(i)
    s = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(h))
    h = layers.Multiply()([h, layers.Conv2D(8, 1, activation="hard_sigmoid")(s)])
    return keras.Model(i, layers.Dense(10, "softmax")(layers.Flatten()(h)))


add(E, "keras attention", net(attention, tracks))
add(E, "keras residual concat", net(residual, pictures))
add(E, "keras squeeze excite", net(squeeze, pictures))


@case(E, "keras embedding tokens")
def embedding():
    texts, y = data.sentences()
    words = {w: i + 1 for i, w in enumerate(sorted({w for t in texts for w in t.split()}))}
    x = np.zeros((len(texts), 20), np.int32)
    for r, t in enumerate(texts):
        ids = [words[w] for w in t.split()][:20]
        x[r, : len(ids)] = ids
    return net(sequential((20,), lambda: layers.Embedding(len(words) + 1, 8), lambda: layers.Bidirectional(layers.GRU(6)), D(2)),
               lambda: (x, y))()


@case("keras export", "keras.export")
def keras_own():
    keras.utils.set_random_seed(0)
    x, y = pictures()
    m = sequential(P, lambda: layers.Conv2D(8, 3, activation="relu"), layers.Flatten, D(10))()
    m.compile("adam", "sparse_categorical_crossentropy")
    m.fit(x[:128], y[:128], verbose=0)
    with tempfile.TemporaryDirectory() as d:
        f = os.path.join(d, "m.onnx")
        m.export(f, format="onnx", verbose=False)
        with open(f, "rb") as g:
            b = g.read()
    import onnx

    name = onnx.load_from_string(b).graph.input[0].name
    return Case(b, {name: x[200:204]}, [m.predict(x[200:204], verbose=0)], rtol=1e-3)


@case(E, "tflite float")
def tflite():
    keras.utils.set_random_seed(0)
    x, y = pictures()
    m = sequential(P, lambda: layers.Conv2D(8, 3, activation="relu"), layers.Flatten, D(10))()
    m.compile("adam", "sparse_categorical_crossentropy")
    m.fit(x[:128], y[:128], verbose=0)
    return lite(tf.lite.TFLiteConverter.from_keras_model(m), x, m)


def lite(converter, x, m):
    b = converter.convert()
    with tempfile.NamedTemporaryFile(suffix=".tflite") as f:
        f.write(b)
        f.flush()
        onx, _ = tf2onnx.convert.from_tflite(f.name, opset=OPSET)
    i = tf.lite.Interpreter(model_content=b)
    i.allocate_tensors()
    one = x[200:201].astype(np.float32)
    i.set_tensor(i.get_input_details()[0]["index"], one)
    i.invoke()
    return Case(onx, {onx.graph.input[0].name: one}, [i.get_tensor(i.get_output_details()[0]["index"])], rtol=1e-2, atol=1e-2)


@case(E, "tflite int8")
def tflite_int8():
    keras.utils.set_random_seed(0)
    x, y = pictures()
    m = sequential(P, lambda: layers.Conv2D(8, 3, activation="relu"), layers.Flatten, D(10))()
    m.compile("adam", "sparse_categorical_crossentropy")
    m.fit(x[:128], y[:128], verbose=0)
    c = tf.lite.TFLiteConverter.from_keras_model(m)
    c.optimizations = [tf.lite.Optimize.DEFAULT]
    c.representative_dataset = lambda: ([x[i : i + 1].astype(np.float32)] for i in range(50))
    return lite(c, x, m)


# ---- what exporters make of control flow, data-dependent shapes and texts

tracks_2, speech = data.gestures()[0][:6], data.speech(1)
scores = data.digits()[0][:40]
boxes = np.abs(data.iris()[0][:60] / 8)
boxes = np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])]).astype(np.float32)


def while_decoder(x):
    """Adds halves until the sum is below 1: a Loop whose trip count is data."""
    i = tf.constant(0)
    while tf.reduce_sum(x) > 1.0:
        x = x * 0.5
        i += 1
    return x, i


def greedy(x):
    """A decoder that collects what it makes."""
    out = tf.TensorArray(tf.float32, size=0, dynamic_size=True, clear_after_read=False)
    h = tf.zeros([2])
    for t in tf.range(tf.shape(x)[0]):
        h = tf.tanh(h * 0.5 + x[t])
        out = out.write(t, h)
    return out.stack()


def branch(x):
    """If on a shape."""
    if tf.shape(x)[0] > 4:
        return tf.reduce_mean(x, 1)
    return tf.reduce_max(x, 1)


def nms(b, s):
    keep = tf.image.non_max_suppression(b, s, 10, 0.4, 0.1)
    return keep, tf.gather(b, keep)


def combined_nms(b, s):
    r = tf.image.combined_non_max_suppression(b[None, :, None, :], s[None], 5, 10, 0.4, 0.1)
    return r.nmsed_boxes, r.nmsed_scores, r.nmsed_classes


class_scores = np.ascontiguousarray(data.iris()[0][:60, :3] / 8)
function("while loop", while_decoder, {"x": np.abs(speech[4000:4100]) + 0.1}, [[None]])
function("loop decoder tensor array", greedy, {"x": tracks_2[0]}, [[None, 2]])
for n in (3, 6):
    function(f"if on a shape {n}", branch, {"x": tracks_2[:n, :, 0].copy()}, [[None, 16]])
function("non max suppression", nms, {"b": boxes, "s": boxes[:, 3].copy()}, [[None, 4], [None]])
function("combined nms", combined_nms, {"b": boxes, "s": class_scores}, [[None, 4], [None, 3]])
function("boolean mask where", lambda x: (tf.boolean_mask(x, x > 0.5), tf.where(x > 0.9)), {"x": scores}, [[None, 196]])
function("top k gather nd", lambda x: tf.math.top_k(x, 5), {"x": scores + np.arange(196, dtype=np.float32) * 1e-4}, [[None, 196]])
function("unique segment sum", lambda x: (tf.unique(x)[0], tf.math.unsorted_segment_sum(tf.ones_like(x), x, 10)),
         {"x": data.digits()[1][:50].astype(np.int32)}, [[None]])
function("stft", lambda x: tf.abs(tf.signal.stft(x, 256, 128)), {"x": speech[:4000]}, [[4000]])
function("rfft", lambda x: tf.abs(tf.signal.rfft(x)), {"x": speech[:4096].reshape(16, 256)}, [[None, 256]])
function("einsum matmul", lambda a, b: tf.einsum("bij,bkj->bik", a, b), {"a": tracks_2, "b": tracks_2[:, ::2].copy()},
         [[None, None, 2], [None, None, 2]])
function("strided slices", lambda x: (x[::-1, 1:-2:3], x[..., tf.newaxis, -1], x[1:3, ::-2]), {"x": scores}, [[None, 196]])
function("resize bilinear", lambda x: tf.image.resize(x, [20, 9]), {"x": pictures()[0][:2]}, [[None, 14, 14, 1]])
function("resize nearest", lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, [28, 7]), {"x": pictures()[0][:2]},
         [[None, 14, 14, 1]])
function("crop and resize", lambda x, b: tf.image.crop_and_resize(x, b, tf.zeros([3], tf.int32), [6, 6]),
         {"x": pictures()[0][:1], "b": boxes[:3]}, [[None, 14, 14, 1], [3, 4]])
function("space depth batch", lambda x: (tf.nn.space_to_depth(x, 2), tf.nn.depth_to_space(tf.nn.space_to_depth(x, 2), 2),
                                        tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]])), {"x": pictures()[0][:2]},
         [[None, 14, 14, 1]])
function("cumsum reverse sequence", lambda x, n: (tf.cumsum(x, 1, exclusive=True), tf.cumsum(x, 0, reverse=True),
                                                  tf.reverse_sequence(x, n, 1)),
         {"x": scores[:4], "n": np.array([3, 7, 196, 1], np.int32)}, [[None, 196], [None]])
function("one hot matrix band", lambda x: (tf.one_hot(x, 10, 2.0, -1.0), tf.linalg.band_part(tf.one_hot(x, 10), 2, 1)),
         {"x": data.digits()[1][:10].astype(np.int32)}, [[10]])
function("bits and integers", lambda x: (tf.bitwise.left_shift(x, 2), x // 3, x % 3, tf.math.floormod(-x, 3)),
         {"x": data.digits()[1][:50].astype(np.int32)}, [[None]])
function("scatter update", lambda x, i: tf.tensor_scatter_nd_add(x, i, tf.ones([3])),
         {"x": speech[:20].copy(), "i": np.array([[1], [3], [1]], np.int32)}, [[None], [3, 1]])
function("erf gamma trig", lambda x: (tf.math.erf(x), tf.sinh(x), tf.atan2(x, x + 1), tf.math.log1p(tf.abs(x)), tf.math.expm1(x)),
         {"x": speech[:64].copy()}, [[None]])
function("sequence mask ragged", lambda n: tf.sequence_mask(n, 8), {"n": np.array([3, 0, 8, 5], np.int32)}, [[None]])
function("float16", lambda x: tf.nn.softmax(tf.cast(x, tf.float16)), {"x": scores[:3]}, [[None, 196]], rtol=1e-2, atol=1e-3)
