"""OrtValue, SparseTensor and the small types around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _convert, _core
from .errors import InvalidArgument
from .options import OrtSparseFormat


class OrtDevice:
    """Where memory is. Skiff's values are always in the host's memory."""

    def __init__(self, device_type: int = 0, mem_type: int = 0, device_id: int = 0) -> None:
        self._type, self._mem_type, self._id = device_type, mem_type, device_id

    @staticmethod
    def cpu() -> int:
        return 0

    @staticmethod
    def cuda() -> int:
        return 1

    @staticmethod
    def default_memory() -> int:
        return 0

    @staticmethod
    def make(device: str, device_id: int) -> OrtDevice:
        check_device(device)
        return OrtDevice(0, 0, device_id)

    def device_type(self) -> str | int:
        return self._type

    def device_id(self) -> int:
        return self._id


def check_device(device_type: str | None) -> None:
    """Raises InvalidArgument for memory that is not the host's."""
    if (device_type or "cpu").lower() not in ("cpu", "cpu_pinned", "cpupinned"):
        raise InvalidArgument(f"values are in the host's memory ('cpu'); there is no memory of {device_type!r}")


def element_code(element_type: Any) -> int:
    """An element type given as a NumPy type, its name, or a number of onnx.TensorProto."""
    if isinstance(element_type, (int, np.integer)) and not isinstance(element_type, bool):
        return int(element_type)
    if isinstance(element_type, str):
        code = _convert.code_of_type_string(element_type)
        if code:
            return code
    return _convert.code_of(np.dtype(element_type))


class OrtValue:
    """A tensor, a sequence, a map or nothing, to be bound to inputs and outputs. Made from an array it looks at the
    array's own memory."""

    def __init__(self, value: _core.Value, array: NDArray[Any] | None = None) -> None:
        self._value = value
        self._array = array

    @staticmethod
    def ortvalue_from_numpy(numpy_obj: Any, device_type: str = "cpu", device_id: int = 0, vendor_id: int = -1) -> OrtValue:
        """From an array or anything array-like, without a copy where its memory is contiguous."""
        check_device(device_type)
        a = _convert.as_array(numpy_obj)
        value = _convert.tensor(a)
        shared = a.nbytes > 0 and value.data_ptr == a.__array_interface__["data"][0]
        return OrtValue(value, a if shared else None)

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(data: NDArray[Any], onnx_element_type: int) -> OrtValue:
        """The array's bytes taken as another type of the same width: uint16 as BFLOAT16 (16)."""
        return OrtValue(_convert.wrap_as(data, onnx_element_type))

    @staticmethod
    def ortvalue_from_shape_and_type(
        shape: Sequence[int], element_type: Any = np.float32, device_type: str = "cpu", device_id: int = 0, vendor_id: int = -1
    ) -> OrtValue:
        """Uninitialised memory of its own."""
        check_device(device_type)
        return OrtValue(_core.Value.empty(element_code(element_type), list(shape)))

    @staticmethod
    def ort_value_from_sparse_tensor(sparse_tensor: SparseTensor) -> OrtValue:
        """The dense form of it."""
        return OrtValue(_convert.tensor(sparse_tensor.to_dense()))

    @staticmethod
    def from_dlpack(data: Any, is_bool_tensor: bool = False) -> OrtValue:
        """From an object with ``__dlpack__``, without a copy."""
        a = np.from_dlpack(data)
        return OrtValue.ortvalue_from_numpy(a.view(np.bool_) if is_bool_tensor else a)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.numpy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        a: NDArray[Any] = self.numpy()
        if dtype is not None and a.dtype != dtype:
            return a.astype(dtype)
        return a.copy() if copy else a

    def numpy(self) -> Any:
        """The tensor as an array over the same memory (strings and types of less than a byte are copied); a sequence as a
        list, a map as a dict, nothing as None."""
        return self._array if self._array is not None else _convert.to_python(self._value)

    def is_tensor(self) -> bool:
        return self._value.kind == _convert.TENSOR

    def is_tensor_sequence(self) -> bool:
        v = self._value
        return v.kind == _convert.SEQUENCE and (len(v) == 0 or v.item(0).kind == _convert.TENSOR)

    def is_sparse_tensor(self) -> bool:
        return False

    def has_value(self) -> bool:
        return self._value.kind != 0

    def as_sparse_tensor(self) -> SparseTensor:
        """The non-zero elements of a dense tensor."""
        a = self.numpy()
        where = np.flatnonzero(a)
        return SparseTensor.sparse_coo_from_numpy(a.shape, a.ravel()[where], where.astype(np.int64))

    def element_type(self) -> int:
        """The number of its element type in onnx.TensorProto."""
        return self._value.dtype

    def data_type(self) -> str:
        """``tensor(float)``, ``seq(tensor(float))``, ``map(int64,tensor(float))``."""
        return _type_text(self._value)

    def shape(self) -> list[int]:
        return list(self._value.shape)

    def data_ptr(self) -> int:
        return self._value.data_ptr

    def tensor_size_in_bytes(self) -> int:
        return self._value.nbytes

    def device_name(self) -> str:
        return "cpu"

    def update_inplace(self, np_arr: NDArray[Any]) -> None:
        """Copies the array's elements into this tensor's memory. Same dtype and shape, else InvalidArgument."""
        mine = self.numpy()
        if mine.dtype != np_arr.dtype or mine.shape != np_arr.shape:
            raise InvalidArgument(f"{np_arr.dtype}{list(np_arr.shape)} cannot be written over {mine.dtype}{list(mine.shape)}")
        if _core.dtype_bits(self._value.dtype) < 8 or self._value.dtype == _convert.STRING:
            self._value, self._array = _convert.tensor(np_arr), None
        else:
            np.copyto(mine, np_arr)


def _type_text(v: _core.Value) -> str:
    if v.kind == _convert.TENSOR:
        return _convert.type_string(v.dtype)
    if v.kind == _convert.SEQUENCE:
        return f"seq({_type_text(v.item(0)) if len(v) else ''})"
    if v.kind == _convert.MAP:
        return f"map({_core.dtype_name(v.keys().dtype)},{_type_text(v.item(0)) if len(v) else ''})"
    return "none"


class _CooView:
    def __init__(self, indices: NDArray[np.int64]) -> None:
        self._indices = indices

    def indices(self) -> NDArray[np.int64]:
        return self._indices


class _CsrView:
    def __init__(self, inner: NDArray[np.int64], outer: NDArray[np.int64]) -> None:
        self._inner, self._outer = inner, outer

    def inner(self) -> NDArray[np.int64]:
        return self._inner

    def outer(self) -> NDArray[np.int64]:
        return self._outer


class SparseTensor:
    """A sparse matrix in coordinates (COO) or compressed rows (CSR). Given to a model's input it is made dense."""

    def __init__(self, shape: Sequence[int], values: NDArray[Any], coo: Any = None, csr: Any = None) -> None:
        self._shape, self._values, self._coo, self._csr = [int(d) for d in shape], values, coo, csr

    @staticmethod
    def sparse_coo_from_numpy(
        dense_shape: Sequence[int] | NDArray[np.int64], values: NDArray[Any], coo_indices: NDArray[np.int64], ort_device: Any = None
    ) -> SparseTensor:
        """``coo_indices``: [n] linear, or [n, 2] rows and columns. Raises InvalidArgument for one outside the shape."""
        shape = [int(d) for d in dense_shape]
        idx = np.asarray(coo_indices, np.int64)
        if idx.ndim == 1 and idx.size == 2 * len(values) and len(values) != 0:
            idx = idx.reshape(-1, 2)
        if len(idx) != len(values):
            raise InvalidArgument(f"{len(values)} values with {len(idx)} indices")
        limit = np.asarray(shape if idx.ndim == 2 else [np.prod(shape)])
        if idx.size and (idx.min() < 0 or np.any(idx.reshape(len(idx), -1) >= limit)):
            raise InvalidArgument(f"an index is outside the dense shape {shape}")
        return SparseTensor(shape, np.asarray(values), coo=idx)

    @staticmethod
    def sparse_csr_from_numpy(
        dense_shape: Sequence[int] | NDArray[np.int64],
        values: NDArray[Any],
        inner_indices: NDArray[np.int64],
        outer_indices: NDArray[np.int64],
        ort_device: Any = None,
    ) -> SparseTensor:
        """``inner_indices``: [n] columns; ``outer_indices``: [rows + 1] where each row begins. Raises InvalidArgument."""
        shape = [int(d) for d in dense_shape]
        inner, outer = np.asarray(inner_indices, np.int64), np.asarray(outer_indices, np.int64)
        if len(shape) != 2 or len(inner) != len(values) or len(outer) != shape[0] + 1:
            raise InvalidArgument(f"{len(values)} values, {len(inner)} columns and {len(outer)} row starts for the shape {shape}")
        if outer[0] != 0 or outer[-1] != len(values) or np.any(np.diff(outer) < 0):
            raise InvalidArgument("row starts must grow from 0 to the number of values")
        if inner.size and (inner.min() < 0 or inner.max() >= shape[1]):
            raise InvalidArgument(f"a column is outside the dense shape {shape}")
        return SparseTensor(shape, np.asarray(values), csr=(inner, outer))

    def to_dense(self) -> NDArray[Any]:
        dense: NDArray[Any] = np.zeros(self._shape, self._values.dtype)
        if self._csr is not None:
            inner, outer = self._csr
            dense[np.repeat(np.arange(self._shape[0]), np.diff(outer)), inner] = self._values
        elif self._coo.ndim == 2:
            dense[self._coo[:, 0], self._coo[:, 1]] = self._values
        else:
            dense.ravel()[self._coo] = self._values
        return dense

    def values(self) -> NDArray[Any]:
        return self._values

    def dense_shape(self) -> list[int]:
        return list(self._shape)

    def as_coo_view(self) -> _CooView:
        if self._coo is None:
            raise InvalidArgument("this sparse tensor is in compressed rows (as_csrc_view)")
        return _CooView(self._coo)

    def as_csrc_view(self) -> _CsrView:
        if self._csr is None:
            raise InvalidArgument("this sparse tensor is in coordinates (as_coo_view)")
        return _CsrView(*self._csr)

    def as_blocksparse_view(self) -> Any:
        raise InvalidArgument("this sparse tensor is not block sparse")

    def format(self) -> OrtSparseFormat:
        return OrtSparseFormat.ORT_SPARSE_COO if self._csr is None else OrtSparseFormat.ORT_SPARSE_CSRC

    def data_type(self) -> str:
        return f"sparse_tensor({_core.dtype_name(_convert.code_of(self._values.dtype))})"

    def device_name(self) -> str:
        return "cpu"

    def to_cuda(self, ort_device: Any = None) -> SparseTensor:
        raise InvalidArgument("values are in the host's memory")
