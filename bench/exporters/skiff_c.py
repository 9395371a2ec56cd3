"""The part of Skiff's C interface this bench needs, through ctypes: load a model from memory, run it, read any value."""
import ctypes as C
import json

import ml_dtypes
import numpy as np

DTYPES = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_,
    10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64, 14: np.complex64, 15: np.complex128,
    16: ml_dtypes.bfloat16,
}
NUMBERS = {np.dtype(t): n for n, t in DTYPES.items()}
STRING, NONE, TENSOR, SEQUENCE, MAP = 8, 0, 1, 2, 3


class Port(C.Structure):
    _fields_ = [("name", C.c_char_p), ("kind", C.c_int), ("dtype", C.c_int), ("rank", C.c_int),
                ("dims", C.POINTER(C.c_int64)), ("dim_names", C.POINTER(C.c_char_p)), ("type_text", C.c_char_p),
                ("optional", C.c_int)]


class SkiffError(Exception):
    pass


def knows(library, domain, name):
    """Whether the library's catalogue has an operator."""
    lib, text = C.CDLL(library), C.c_char_p()
    if lib.skiff_operators_json(C.byref(text)):
        raise SkiffError("skiff_operators_json failed")
    return any(o["domain"] == domain and o["name"] == name for o in json.loads(text.value))


class Skiff:
    """A session over model bytes. run(feeds) takes arrays by name (object arrays of str are string tensors, lists are
    sequences) and gives all outputs by name: arrays, lists for sequences, dicts for maps, None for nothing."""

    def __init__(self, library, model, **options):
        self.lib = C.CDLL(library)
        self.lib.skiff_last_error.restype = C.c_char_p
        for f in ("skiff_session_input_count", "skiff_session_output_count"):
            getattr(self.lib, f).restype = C.c_size_t
            getattr(self.lib, f).argtypes = [C.c_void_p]
        self.lib.skiff_session_free.argtypes = self.lib.skiff_value_free.argtypes = [C.c_void_p]
        self.lib.skiff_value_kind.argtypes = [C.c_void_p]
        self.lib.skiff_options_free.argtypes = [C.c_void_p]
        self.model = model  # must stay alive
        self.session = None
        o = C.c_void_p()
        self._check(self.lib.skiff_options_create(C.byref(o)))
        try:
            for k, v in options.items():
                self._check(self.lib.skiff_options_set(o, k.encode(), str(v).encode()))
            s = C.c_void_p()
            self._check(self.lib.skiff_session_load_memory(model, C.c_size_t(len(model)), o, C.byref(s)))
            self.session = s
        finally:
            self.lib.skiff_options_free(o)
        self.inputs = self._ports("input")
        self.outputs = self._ports("output")

    def __del__(self):
        if self.session:
            self.lib.skiff_session_free(self.session)

    def _check(self, status):
        if status:
            raise SkiffError(self.lib.skiff_last_error().decode())

    def _ports(self, which):
        names = []
        for i in range(getattr(self.lib, f"skiff_session_{which}_count")(self.session)):
            p = Port()
            self._check(getattr(self.lib, f"skiff_session_{which}")(self.session, C.c_size_t(i), C.byref(p)))
            names.append(p.name.decode())
        return names

    def _value(self, x):
        v = C.c_void_p()
        if isinstance(x, list):
            items = (C.c_void_p * len(x))(*[self._value(i) for i in x])
            try:
                self._check(self.lib.skiff_sequence_create(items, C.c_size_t(len(x)), C.byref(v)))
            finally:
                for i in items:
                    self.lib.skiff_value_free(i)
            return v.value
        a = np.asarray(x)
        text = a.dtype.kind in "UO"
        dims = (C.c_int64 * max(1, a.ndim))(*a.shape)
        number = STRING if text else NUMBERS[a.dtype]
        self._check(self.lib.skiff_tensor_create(number, dims, a.ndim, C.byref(v)))
        if text:
            for i, s in enumerate(a.reshape(-1)):
                b = str(s).encode()
                self._check(self.lib.skiff_tensor_set_string(v, C.c_size_t(i), b, C.c_size_t(len(b))))
        else:
            data, size = C.c_void_p(), C.c_size_t()
            self._check(self.lib.skiff_tensor_data(v, C.byref(data), None, C.byref(size)))
            a = np.ascontiguousarray(a)
            C.memmove(data, a.ctypes.data, size.value)
        return v.value

    def _array(self, v):
        kind = self.lib.skiff_value_kind(v)
        if kind == NONE:
            return None
        if kind in (SEQUENCE, MAP):
            n = C.c_size_t()
            self._check(self.lib.skiff_value_count(v, C.byref(n)))
            items = []
            for i in range(n.value):
                item = C.c_void_p()
                self._check(self.lib.skiff_value_item(v, C.c_size_t(i), C.byref(item)))
                items.append(self._array(item))
                self.lib.skiff_value_free(item)
            if kind == SEQUENCE:
                return items
            keys = C.c_void_p()
            self._check(self.lib.skiff_map_keys(v, C.byref(keys)))
            names = self._array(keys).tolist()
            self.lib.skiff_value_free(keys)
            return {k: np.asarray(i).item() if np.asarray(i).size == 1 else i for k, i in zip(names, items)}
        t, rank, dims = C.c_int(), C.c_int(), C.POINTER(C.c_int64)()
        self._check(self.lib.skiff_tensor_info(v, C.byref(t), C.byref(rank), C.byref(dims)))
        shape = [dims[i] for i in range(rank.value)]
        data, count, size = C.c_void_p(), C.c_size_t(), C.c_size_t()
        self._check(self.lib.skiff_tensor_data(v, C.byref(data), C.byref(count), C.byref(size)))
        if t.value == STRING:
            out = np.empty(count.value, object)
            for i in range(count.value):
                p, n = C.c_void_p(), C.c_size_t()
                self._check(self.lib.skiff_tensor_get_string(v, C.c_size_t(i), C.byref(p), C.byref(n)))
                out[i] = C.string_at(p, n.value).decode()
            return out.reshape(shape)
        raw = C.string_at(data, size.value) if size.value else b""
        return np.frombuffer(raw, DTYPES[t.value]).reshape(shape).copy()

    def run(self, feeds):
        ins = (C.c_void_p * max(1, len(self.inputs)))(*[self._value(feeds[n]) if n in feeds else None for n in self.inputs])
        outs = (C.c_void_p * max(1, len(self.outputs)))()
        try:
            self._check(self.lib.skiff_run(self.session, ins, C.c_size_t(len(self.inputs)), outs,
                                           C.c_size_t(len(self.outputs)), None))
            return {n: self._array(C.c_void_p(v)) for n, v in zip(self.outputs, outs)}
        finally:
            for v in list(ins) + list(outs):
                self.lib.skiff_value_free(v)
