"""Between Python objects and values, for everything the extension does not do by itself: other array libraries, packed
and borrowed element types, strings, sequences, maps and optionals."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .errors import InvalidArgument

TENSOR, SEQUENCE, MAP = 1, 2, 3  # skiff_kind
STRING = 8

# Element types by onnx.TensorProto.DataType, as NumPy calls them. Those below come from ml_dtypes.
NUMPY: dict[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128",
}  # fmt: skip
ML_DTYPES: dict[int, str] = {
    16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4",
    22: "int4", 23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
}  # fmt: skip
_CODES: dict[str, int] = {name: code for code, name in {**NUMPY, **ML_DTYPES}.items()}
_registered = False


def type_string(dtype: int) -> str:
    """An element type as onnxruntime writes it: ``tensor(float)``."""
    return f"tensor({_core.dtype_name(dtype)})"


def code_of_type_string(text: str) -> int:
    """The reverse of type_string(), for tensors; 0 when it names none."""
    for code in range(1, 27):
        if text == type_string(code):
            return code
    return 0


def register_ml_dtypes() -> bool:
    """Teaches the extension the element types of ml_dtypes. False when that package is not installed."""
    global _registered
    if not _registered:
        try:
            import ml_dtypes
        except ImportError:
            return False
        for code, name in ML_DTYPES.items():
            if hasattr(ml_dtypes, name):
                _core.register_dtype(np.zeros(1, getattr(ml_dtypes, name)), code, _core.dtype_bits(code) >= 8)
        _registered = True
    return True


def numpy_dtype(code: int) -> np.dtype[Any]:
    """The NumPy type of an element type. Raises ImportError when it takes ml_dtypes, which is not installed."""
    if code in NUMPY:
        return np.dtype(NUMPY[code])
    if code == STRING:
        return np.dtype(object)
    if code not in ML_DTYPES:
        raise InvalidArgument(f"there is no element type {code}")
    if not register_ml_dtypes():
        raise ImportError(f"NumPy has no {_core.dtype_name(code)}; install ml_dtypes (pip install ml_dtypes)")
    import ml_dtypes

    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, ML_DTYPES[code]))
    return found


def code_of(dtype: np.dtype[Any]) -> int:
    """Element type of a NumPy type. Raises InvalidArgument when ONNX has none."""
    if dtype.kind in "OUS" or dtype.kind == "T":
        return STRING
    code = _CODES.get(dtype.name, 0)
    if not code:
        raise InvalidArgument(f"ONNX has no element type for NumPy's {dtype}")
    return code


def pack(array: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Elements of 2 or 4 bits, one a byte, packed as ONNX packs them: the lowest first."""
    raw = np.ascontiguousarray(array).view(np.uint8).ravel() & ((1 << bits) - 1)
    per_byte = 8 // bits
    raw = np.concatenate([raw, np.zeros(-raw.size % per_byte, np.uint8)]).reshape(-1, per_byte)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    packed: NDArray[np.uint8] = np.bitwise_or.reduce(raw << shifts, axis=1).astype(np.uint8)
    return packed


def unpack(raw: NDArray[np.uint8], dtype: np.dtype[Any], shape: tuple[int, ...], bits: int) -> NDArray[Any]:
    """The reverse of pack()."""
    count = int(np.prod(shape, dtype=np.int64))
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    flat = ((raw[:, None] >> shifts) & ((1 << bits) - 1)).astype(np.uint8).ravel()[:count]
    if dtype.name.startswith("int"):  # two's complement in the low bits of a byte
        half = 1 << (bits - 1)
        flat = ((flat.astype(np.int8) ^ half) - half).astype(np.int8).view(np.uint8)
    return flat.view(dtype).reshape(shape)


def as_array(x: Any, dtype: int = 0) -> NDArray[Any]:
    """Any array-like as an ndarray, without a copy where its library lends its memory (DLPack, the buffer protocol, the
    array interface). ``dtype``: the element type Python numbers and lists become."""
    if isinstance(x, np.ndarray):
        return x
    if isinstance(x, (str, bytes)) and dtype == STRING:
        return np.array(x, dtype=object)
    if hasattr(x, "__array__") and hasattr(x, "numpy") and not hasattr(x, "__dlpack__"):
        return np.asarray(x)
    if hasattr(x, "__dlpack__") and not isinstance(x, np.generic):
        try:
            return np.from_dlpack(x)
        except (BufferError, TypeError, RuntimeError, ValueError):
            pass  # an element type or a device DLPack cannot lend: the array interface may copy it
    if isinstance(x, (memoryview, bytearray)) or hasattr(x, "__array__") or hasattr(x, "__array_interface__"):
        return np.asarray(x)
    if isinstance(x, (list, tuple, bool, int, float, complex, str, bytes)):
        try:
            return np.array(x, dtype=numpy_dtype(dtype) if dtype else None)
        except (ValueError, OverflowError, TypeError) as e:
            raise InvalidArgument(f"a {type(x).__name__} of Python objects makes no tensor({_core.dtype_name(dtype)}): {e}") from e
    try:
        return np.asarray(memoryview(x))
    except TypeError:
        raise InvalidArgument(
            f"{type(x).__name__} is no array: give a NumPy array, or an object with DLPack or the buffer protocol"
        ) from None


def _strings(a: NDArray[Any]) -> _core.Value:
    flat = a.ravel().tolist()
    for i, x in enumerate(flat):
        if not isinstance(x, (str, bytes)):
            if not isinstance(x, np.str_):
                raise InvalidArgument(
                    f"an array of Python objects must hold strings; element {i} is {x!r} ({type(x).__name__}); "
                    "for numbers give the array a numeric dtype"
                )
    return _core.Value.strings(flat, a.shape)


def tensor(x: Any, dtype: int = 0) -> _core.Value:
    """A tensor from an array-like; it looks at the same memory where that is contiguous."""
    if "ml_dtypes" in sys.modules:
        register_ml_dtypes()
    a = as_array(x, dtype)
    code = code_of(a.dtype)
    if code == STRING:
        return _strings(a)
    bits = _core.dtype_bits(code)
    if bits < 8:
        return _core.Value.wrap(pack(a, bits), code, a.shape)
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    return _core.Value.wrap(np.require(a, requirements=["C", "A"]), code, None)


def wrap_as(array: NDArray[Any], dtype: int) -> _core.Value:
    """An array whose bytes are elements of another type of the same width: uint16 as bfloat16, uint8 as float8."""
    if _core.dtype_bits(dtype) != array.dtype.itemsize * 8 and _core.dtype_bits(dtype) >= 8:
        raise InvalidArgument(f"elements of {array.dtype} are not as wide as {_core.dtype_name(dtype)}")
    if _core.dtype_bits(dtype) < 8:
        return _core.Value.wrap(pack(array, _core.dtype_bits(dtype)), dtype, array.shape)
    return _core.Value.wrap(np.ascontiguousarray(array), dtype, array.shape)


def _split(text: str) -> tuple[str, list[str]]:
    """``map(int64, seq(float))`` -> ("map", ["int64", "seq(float)"]); a tensor's text -> (dtype name, [])."""
    head, sep, rest = text.partition("(")
    if not sep or "[" in head:
        return text.partition("[")[0], []
    parts, depth, start = [], 0, 0
    body = rest[:-1]
    for i, c in enumerate(body):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(body[start:i].strip())
            start = i + 1
    parts.append(body[start:].strip())
    return head, parts


def ort_type(text: str) -> str:
    """A type as onnxruntime writes it: ``seq(map(int64, float))`` -> ``seq(map(int64,tensor(float)))``."""
    head, parts = _split(text)
    if not parts:
        return f"tensor({head})"
    if head == "map":
        return f"map({parts[0]},{ort_type(parts[1])})"
    if head == "sparse":
        return f"sparse_tensor({_split(parts[0])[0]})"
    return f"{head}({ort_type(parts[0])})"


def _dtype_named(name: str) -> int:
    for code in range(1, 27):
        if _core.dtype_name(code) == name:
            return code
    return 0


def from_typed(x: Any, text: str, what: str) -> _core.Value:
    """A Python object as a value of the type ``text`` (what the model declares); None is an empty optional."""
    if isinstance(x, _core.Value):
        return x
    inner = getattr(x, "_value", None)
    if isinstance(inner, _core.Value):  # an OrtValue
        return inner
    head, parts = _split(text)
    if head == "optional" and parts:
        return _core.Value.none() if x is None else from_typed(x, parts[0], what)
    if x is None:
        raise InvalidArgument(f"{what} is None; it must be {ort_type(text)}")
    if hasattr(x, "to_dense") and hasattr(x, "dense_shape"):  # SparseTensor
        return tensor(x.to_dense())
    if head == "seq" and parts:
        if isinstance(x, (str, bytes, Mapping)) or not isinstance(x, (Sequence, np.ndarray)):
            raise InvalidArgument(f"{what} must be a list for {ort_type(text)}, not {type(x).__name__}")
        return _core.Value.sequence([from_typed(v, parts[0], f"{what}[{i}]") for i, v in enumerate(x)])
    if head == "map" and parts:
        if not isinstance(x, Mapping):
            raise InvalidArgument(f"{what} must be a dict for {ort_type(text)}, not {type(x).__name__}")
        keys = tensor(np.array(list(x), dtype=numpy_dtype(_dtype_named(parts[0]))))
        return _core.Value.map(keys, [from_typed(v, parts[1], f"{what}[{k!r}]") for k, v in x.items()])
    if isinstance(x, Mapping):
        raise InvalidArgument(f"{what} must be {ort_type(text)}, not a dict")
    try:
        return tensor(x, _dtype_named(head))
    except InvalidArgument as e:
        raise InvalidArgument(f"{what}: {e}") from None


def from_python(session: _core.Session, i: int, x: Any) -> _core.Value:
    """Input ``i`` of a session, from anything but a contiguous array. Called by the extension."""
    name, _, _, _, text, _ = session._inputs()[i]
    return from_typed(x, text, f"input {name!r}")


def to_python(v: _core.Value) -> Any:
    """A value as Python holds it: ndarray, list, dict or None. Called by the extension for all but plain tensors."""
    kind = v.kind
    if kind == TENSOR:
        code = v.dtype
        if code == STRING:
            strings: NDArray[Any] = np.empty(v.shape, dtype=object)
            strings.ravel()[:] = v.string_list()
            return strings
        dtype = numpy_dtype(code)
        bits = _core.dtype_bits(code)
        return unpack(v.bytes(), dtype, v.shape, bits) if bits < 8 else v.array()
    if kind == SEQUENCE:
        return [to_python(v.item(i)) for i in range(len(v))]
    if kind == MAP:
        keys = to_python(v.keys()).tolist()
        items = [to_python(v.item(i)) for i in range(len(v))]
        # onnxruntime gives the values of a map of scalars as Python numbers.
        return {k: x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for k, x in zip(keys, items)}
    return None
