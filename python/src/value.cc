// Value: tensors, sequences and maps, shared with NumPy without copies.
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "core.h"

namespace skiff_core {
namespace {

constexpr int kNumpyTypes = 1024;  // NumPy's own type numbers and those others have registered
constexpr int kDTypes = 64;
std::array<skiff_dtype, kNumpyTypes> from_numpy = [] {
  std::array<skiff_dtype, kNumpyTypes> t{};
  t[NPY_BOOL] = SKIFF_BOOL, t[NPY_BYTE] = SKIFF_INT8, t[NPY_UBYTE] = SKIFF_UINT8, t[NPY_SHORT] = SKIFF_INT16;
  t[NPY_USHORT] = SKIFF_UINT16, t[NPY_INT] = SKIFF_INT32, t[NPY_UINT] = SKIFF_UINT32;
  t[NPY_LONG] = sizeof(long) == 8 ? SKIFF_INT64 : SKIFF_INT32;
  t[NPY_ULONG] = sizeof(long) == 8 ? SKIFF_UINT64 : SKIFF_UINT32;
  t[NPY_LONGLONG] = SKIFF_INT64, t[NPY_ULONGLONG] = SKIFF_UINT64, t[NPY_HALF] = SKIFF_FLOAT16;
  t[NPY_FLOAT] = SKIFF_FLOAT, t[NPY_DOUBLE] = SKIFF_DOUBLE, t[NPY_CFLOAT] = SKIFF_COMPLEX64;
  t[NPY_CDOUBLE] = SKIFF_COMPLEX128;
  return t;
}();
std::array<int, kDTypes> to_numpy = [] {
  std::array<int, kDTypes> t{};
  t.fill(-1);
  t[SKIFF_BOOL] = NPY_BOOL, t[SKIFF_INT8] = NPY_INT8, t[SKIFF_UINT8] = NPY_UINT8, t[SKIFF_INT16] = NPY_INT16;
  t[SKIFF_UINT16] = NPY_UINT16, t[SKIFF_INT32] = NPY_INT32, t[SKIFF_UINT32] = NPY_UINT32;
  t[SKIFF_INT64] = NPY_INT64, t[SKIFF_UINT64] = NPY_UINT64, t[SKIFF_FLOAT16] = NPY_HALF;
  t[SKIFF_FLOAT] = NPY_FLOAT, t[SKIFF_DOUBLE] = NPY_DOUBLE, t[SKIFF_COMPLEX64] = NPY_CFLOAT;
  t[SKIFF_COMPLEX128] = NPY_CDOUBLE;
  return t;
}();

ValueObject* as_value(PyObject* o) { return reinterpret_cast<ValueObject*>(o); }
bool is_value(PyObject* o) { return PyObject_TypeCheck(o, value_type) != 0; }

bool need_args(const char* what, Py_ssize_t n, Py_ssize_t want) {
  if (n == want) return true;
  PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, not %zd", what, want, n);
  return false;
}

bool read_dims(PyObject* shape, std::vector<int64_t>& dims) {
  PyObject* t = PySequence_Tuple(shape);
  if (!t) return false;
  dims.clear();
  for (Py_ssize_t i = 0, n = PyTuple_Size(t); i < n; ++i) {
    PyObject* index = PyNumber_Index(PyTuple_GetItem(t, i));
    long long d = index ? PyLong_AsLongLong(index) : -1;
    Py_XDECREF(index);
    if (d == -1 && PyErr_Occurred()) {
      Py_DECREF(t);
      return false;
    }
    dims.push_back(d);
  }
  Py_DECREF(t);
  return true;
}

bool read_dtype(PyObject* o, skiff_dtype& dtype) {
  long d = PyLong_AsLong(o);
  if (d == -1 && PyErr_Occurred()) return false;
  dtype = static_cast<skiff_dtype>(d);
  return true;
}

void free_capsule(PyObject* capsule) {
  skiff_value_free(static_cast<skiff_value*>(PyCapsule_GetPointer(capsule, "skiff_value")));
}

// An array over `data`; `base` (stolen) keeps that memory alive.
PyObject* array_over(int type_num, int rank, const int64_t* dims, void* data, PyObject* base) {
  if (!base) return nullptr;
  if (rank > NPY_MAXDIMS_LEGACY_ITERS) {
    Py_DECREF(base);
    return PyErr_Format(PyExc_ValueError, "a tensor of rank %d is more than NumPy's arrays hold", rank);
  }
  npy_intp shape[NPY_MAXDIMS_LEGACY_ITERS];
  for (int i = 0; i < rank; ++i) shape[i] = static_cast<npy_intp>(dims[i]);
  PyObject* a = PyArray_New(&PyArray_Type, rank, shape, type_num, nullptr, data, 0, NPY_ARRAY_CARRAY, nullptr);
  if (!a) {
    Py_DECREF(base);
    return nullptr;
  }
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(a), base) < 0) {
    Py_DECREF(a);
    return nullptr;
  }
  return a;
}

// Wraps memory that `owner` (borrowed) keeps alive.
PyObject* wrap(skiff_dtype dtype, const int64_t* dims, int rank, void* data, size_t bytes, PyObject* owner) {
  skiff_value* v = nullptr;
  if (skiff_status s = skiff_tensor_wrap(dtype, dims, rank, data, bytes, &v)) return raise(s);
  return adopt(v, owner);
}

// wrap(array, dtype, shape): shape None takes the array's; a shape is for element types that are packed.
PyObject* value_wrap(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.wrap", n, 3)) return nullptr;
  if (!PyArray_Check(args[0])) return PyErr_Format(PyExc_TypeError, "Value.wrap wants a NumPy array");
  auto* a = reinterpret_cast<PyArrayObject*>(args[0]);
  if (!viewable(a)) return PyErr_Format(PyExc_ValueError, "Value.wrap wants a contiguous, aligned array in native byte order");
  skiff_dtype dtype;
  if (!read_dtype(args[1], dtype)) return nullptr;
  std::vector<int64_t> dims(PyArray_DIMS(a), PyArray_DIMS(a) + PyArray_NDIM(a));
  if (args[2] != Py_None && !read_dims(args[2], dims)) return nullptr;
  return wrap(dtype, dims.data(), static_cast<int>(dims.size()), PyArray_DATA(a),
              static_cast<size_t>(PyArray_NBYTES(a)), args[0]);
}

// wrap_pointer(address, bytes, dtype, shape, owner)
PyObject* value_wrap_pointer(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.wrap_pointer", n, 5)) return nullptr;
  void* p = PyLong_AsVoidPtr(args[0]);
  if (!p && PyErr_Occurred()) return nullptr;
  size_t bytes = PyLong_AsSize_t(args[1]);
  if (bytes == static_cast<size_t>(-1) && PyErr_Occurred()) return nullptr;
  skiff_dtype dtype;
  std::vector<int64_t> dims;
  if (!read_dtype(args[2], dtype) || !read_dims(args[3], dims)) return nullptr;
  return wrap(dtype, dims.data(), static_cast<int>(dims.size()), p, bytes, args[4]);
}

PyObject* value_empty(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.empty", n, 2)) return nullptr;
  skiff_dtype dtype;
  std::vector<int64_t> dims;
  if (!read_dtype(args[0], dtype) || !read_dims(args[1], dims)) return nullptr;
  skiff_value* v = nullptr;
  if (skiff_status s = skiff_tensor_create(dtype, dims.data(), static_cast<int>(dims.size()), &v)) return raise(s);
  return adopt(v, nullptr);
}

// strings(list of str or bytes, shape)
PyObject* value_strings(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.strings", n, 2)) return nullptr;
  std::vector<int64_t> dims;
  if (!read_dims(args[1], dims)) return nullptr;
  skiff_value* v = nullptr;
  if (skiff_status s = skiff_tensor_create(SKIFF_STRING, dims.data(), static_cast<int>(dims.size()), &v)) return raise(s);
  PyObject* items = PySequence_Tuple(args[0]);
  PyObject* result = nullptr;
  size_t elements = 0;
  skiff_tensor_data(v, nullptr, &elements, nullptr);
  if (items && static_cast<size_t>(PyTuple_Size(items)) != elements) {
    PyErr_Format(PyExc_ValueError, "%zd strings for a shape of %zu elements", PyTuple_Size(items), elements);
  } else if (items) {
    size_t i = 0;
    for (; i < elements; ++i) {
      PyObject* o = PyTuple_GetItem(items, static_cast<Py_ssize_t>(i));
      PyObject* encoded = nullptr;
      char* text = nullptr;
      Py_ssize_t length = 0;
      if (PyUnicode_Check(o)) {
        encoded = PyUnicode_AsEncodedString(o, "utf-8", "surrogateescape");
        if (!encoded || PyBytes_AsStringAndSize(encoded, &text, &length) < 0) text = nullptr;
      } else if (PyBytes_Check(o)) {
        if (PyBytes_AsStringAndSize(o, &text, &length) < 0) text = nullptr;
      } else {
        PyErr_Format(PyExc_TypeError, "element %zu of a string tensor is neither str nor bytes: %R", i, o);
      }
      skiff_status s = text ? skiff_tensor_set_string(v, i, text, static_cast<size_t>(length)) : SKIFF_OK;
      Py_XDECREF(encoded);
      if (s) raise(s);
      if (!text || s) break;
    }
    if (i == elements) {
      result = adopt(v, nullptr);
      v = nullptr;
    }
  }
  Py_XDECREF(items);
  skiff_value_free(v);
  return result;
}

// image(bytes of a file): uint8 [height, width, 3]
PyObject* value_image(PyObject*, PyObject* contents) {
  char* data;
  Py_ssize_t size;
  if (PyBytes_AsStringAndSize(contents, &data, &size) < 0) return nullptr;
  skiff_value* v = nullptr;
  PyThreadState* state = PyEval_SaveThread();
  skiff_status s = skiff_image_decode(data, static_cast<size_t>(size), &v);
  PyEval_RestoreThread(state);
  return s ? raise(s) : adopt(v, nullptr);
}

PyObject* value_none(PyObject*, PyObject*) {
  skiff_value* v = nullptr;
  if (skiff_status s = skiff_none_create(&v)) return raise(s);
  return adopt(v, nullptr);
}

// Handles of a list of Values.
bool read_values(PyObject* list, PyObject*& tuple, std::vector<const skiff_value*>& values) {
  tuple = PySequence_Tuple(list);
  if (!tuple) return false;
  for (Py_ssize_t i = 0, n = PyTuple_Size(tuple); i < n; ++i) {
    PyObject* o = PyTuple_GetItem(tuple, i);
    if (!is_value(o)) {
      PyErr_Format(PyExc_TypeError, "item %zd is not a Value: %R", i, o);
      Py_CLEAR(tuple);
      return false;
    }
    values.push_back(as_value(o)->value);
  }
  return true;
}

PyObject* value_sequence(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.sequence", n, 1)) return nullptr;
  PyObject* tuple = nullptr;
  std::vector<const skiff_value*> items;
  if (!read_values(args[0], tuple, items)) return nullptr;
  skiff_value* v = nullptr;
  skiff_status s = skiff_sequence_create(items.data(), items.size(), &v);
  PyObject* r = s ? raise(s) : adopt(v, tuple);
  Py_DECREF(tuple);
  return r;
}

// map(keys Value, list of Values)
PyObject* value_map(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.map", n, 2)) return nullptr;
  if (!is_value(args[0])) return PyErr_Format(PyExc_TypeError, "the keys of a map are a Value");
  PyObject* tuple = nullptr;
  std::vector<const skiff_value*> items;
  if (!read_values(args[1], tuple, items)) return nullptr;
  skiff_value* v = nullptr;
  skiff_status s = skiff_map_create(as_value(args[0])->value, items.data(), items.size(), &v);
  PyObject* owner = s ? nullptr : PyTuple_Pack(2, args[0], tuple);
  PyObject* r = s ? raise(s) : adopt(v, owner);
  Py_XDECREF(owner);
  Py_DECREF(tuple);
  return r;
}

PyObject* value_read_pb(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.read_pb", n, 2)) return nullptr;
  PyObject* path = nullptr;
  if (!PyUnicode_FSConverter(args[0], &path)) return nullptr;
  long kind = PyLong_AsLong(args[1]);
  skiff_value* v = nullptr;
  skiff_status s = PyErr_Occurred() ? SKIFF_OK
                                    : skiff_value_read_pb(PyBytes_AsString(path), static_cast<skiff_kind>(kind), &v, nullptr);
  Py_DECREF(path);
  if (PyErr_Occurred()) return nullptr;
  return s ? raise(s) : adopt(v, nullptr);
}

PyObject* value_write_pb(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.write_pb", n, 2)) return nullptr;
  PyObject* path = nullptr;
  const char* name = PyUnicode_AsUTF8AndSize(args[0], nullptr);
  if (!name || !PyUnicode_FSConverter(args[1], &path)) return nullptr;
  skiff_status s = skiff_value_write_pb(as_value(self)->value, name, PyBytes_AsString(path));
  Py_DECREF(path);
  if (s) return raise(s);
  Py_RETURN_NONE;
}

// A second handle on the same elements, which keeps them when this one is given others.
skiff_value* share(skiff_value* v) {
  skiff_value *list = nullptr, *item = nullptr;
  const skiff_value* items[] = {v};
  if (skiff_sequence_create(items, 1, &list)) return nullptr;
  skiff_value_item(list, 0, &item);
  skiff_value_free(list);
  return item;
}

// array(): NumPy's view of the elements. bytes(): the same as packed bytes, whatever the element type.
PyObject* view(PyObject* self, bool as_bytes) {
  ValueObject* v = as_value(self);
  skiff_dtype dtype;
  int rank;
  const int64_t* dims;
  void* data;
  size_t bytes;
  if (skiff_status s = skiff_tensor_info(v->value, &dtype, &rank, &dims)) return raise(s);
  if (skiff_status s = skiff_tensor_data(v->value, &data, nullptr, &bytes)) return raise(s);
  int type_num = as_bytes ? NPY_UINT8 : dtype < kDTypes ? to_numpy[dtype] : -1;
  if (type_num < 0 || dtype == SKIFF_STRING)
    return PyErr_Format(PyExc_TypeError, "NumPy has no element type %s", skiff_dtype_name(dtype));
  int64_t flat = static_cast<int64_t>(bytes);
  if (as_bytes) rank = 1, dims = &flat;
  if (v->owner) return array_over(type_num, rank, dims, data, Py_NewRef(self));  // over somebody's memory: never replaced
  skiff_value* shared = share(v->value);
  if (!shared) return raise(SKIFF_INTERNAL);
  PyObject* base = PyCapsule_New(shared, "skiff_value", free_capsule);
  if (!base) skiff_value_free(shared);
  return array_over(type_num, rank, dims, data, base);
}
PyObject* value_array(PyObject* self, PyObject*) { return view(self, false); }
PyObject* value_bytes(PyObject* self, PyObject*) { return view(self, true); }

PyObject* value_string_list(PyObject* self, PyObject*) {
  skiff_value* v = as_value(self)->value;
  size_t elements;
  if (skiff_status s = skiff_tensor_data(v, nullptr, &elements, nullptr)) return raise(s);
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(elements));
  for (size_t i = 0; list && i < elements; ++i) {
    const char* text;
    size_t length;
    skiff_status s = skiff_tensor_get_string(v, i, &text, &length);
    PyObject* item = s ? raise(s) : decode(text, static_cast<Py_ssize_t>(length));
    if (!item) {
      Py_DECREF(list);
      return nullptr;
    }
    PyList_SetItem(list, static_cast<Py_ssize_t>(i), item);
  }
  return list;
}

Py_ssize_t value_length(PyObject* self) {
  size_t count;
  if (skiff_status s = skiff_value_count(as_value(self)->value, &count)) {
    raise(s);
    return -1;
  }
  return static_cast<Py_ssize_t>(count);
}
PyObject* value_item(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.item", n, 1)) return nullptr;
  Py_ssize_t i = PyNumber_AsSsize_t(args[0], PyExc_IndexError);
  if (i == -1 && PyErr_Occurred()) return nullptr;
  skiff_value* item = nullptr;
  if (skiff_status s = skiff_value_item(as_value(self)->value, static_cast<size_t>(i), &item)) return raise(s);
  return adopt(item, as_value(self)->owner);
}
PyObject* value_keys(PyObject* self, PyObject*) {
  skiff_value* keys = nullptr;
  if (skiff_status s = skiff_map_keys(as_value(self)->value, &keys)) return raise(s);
  return adopt(keys, as_value(self)->owner);
}

PyObject* value_cast(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.cast", n, 1)) return nullptr;
  skiff_dtype dtype;
  if (!read_dtype(args[0], dtype)) return nullptr;
  skiff_value* r = nullptr;
  if (skiff_status s = skiff_tensor_cast(as_value(self)->value, dtype, &r)) return raise(s);
  return adopt(r, nullptr);
}

// compare(want, rtol, atol) -> (equal, max_abs, max_rel, mismatches, elements, text)
PyObject* value_compare(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("Value.compare", n, 3)) return nullptr;
  if (!is_value(args[0])) return PyErr_Format(PyExc_TypeError, "Value.compare wants a Value");
  double rtol = PyFloat_AsDouble(args[1]), atol = PyFloat_AsDouble(args[2]);
  if (PyErr_Occurred()) return nullptr;
  skiff_difference d;
  if (skiff_status s = skiff_value_compare(as_value(self)->value, as_value(args[0])->value, rtol, atol, &d)) return raise(s);
  return Py_BuildValue("(NddnnN)", PyBool_FromLong(d.equal), d.max_abs, d.max_rel, static_cast<Py_ssize_t>(d.mismatches),
                       static_cast<Py_ssize_t>(d.elements), decode(d.text, -1));
}

PyObject* get_kind(PyObject* self, void*) { return PyLong_FromLong(skiff_value_kind(as_value(self)->value)); }
PyObject* get_dtype(PyObject* self, void*) {
  skiff_dtype dtype;
  if (skiff_status s = skiff_tensor_info(as_value(self)->value, &dtype, nullptr, nullptr)) return raise(s);
  return PyLong_FromLong(dtype);
}
PyObject* get_shape(PyObject* self, void*) {
  int rank;
  const int64_t* dims;
  if (skiff_status s = skiff_tensor_info(as_value(self)->value, nullptr, &rank, &dims)) return raise(s);
  PyObject* t = PyTuple_New(rank);
  for (int i = 0; t && i < rank; ++i) PyTuple_SetItem(t, i, PyLong_FromLongLong(dims[i]));
  return t;
}
PyObject* get_data_ptr(PyObject* self, void*) {
  void* p;
  if (skiff_status s = skiff_tensor_data(as_value(self)->value, &p, nullptr, nullptr)) return raise(s);
  return PyLong_FromVoidPtr(p);
}
PyObject* get_nbytes(PyObject* self, void*) {
  size_t bytes;
  if (skiff_status s = skiff_tensor_data(as_value(self)->value, nullptr, nullptr, &bytes)) return raise(s);
  return PyLong_FromSize_t(bytes);
}

void value_dealloc(PyObject* self) {
  skiff_value_free(as_value(self)->value);
  Py_XDECREF(as_value(self)->owner);
  free_object(self);
}

}  // namespace

bool viewable(PyArrayObject* a) { return PyArray_ISCARRAY_RO(a); }

skiff_dtype dtype_of(PyArrayObject* array) {
  int t = PyArray_TYPE(array);
  return t >= 0 && t < kNumpyTypes ? from_numpy[static_cast<size_t>(t)] : SKIFF_UNDEFINED;
}

PyObject* adopt(skiff_value* value, PyObject* owner) {
  PyObject* self = slot<allocfunc>(value_type, Py_tp_alloc)(value_type, 0);
  if (!self) {
    skiff_value_free(value);
    return nullptr;
  }
  as_value(self)->value = value;
  as_value(self)->owner = Py_XNewRef(owner);
  return self;
}

PyObject* to_python(skiff_value* value) {
  skiff_dtype dtype;
  int rank;
  const int64_t* dims;
  if (skiff_value_kind(value) == SKIFF_KIND_TENSOR && skiff_tensor_info(value, &dtype, &rank, &dims) == SKIFF_OK &&
      dtype < kDTypes && to_numpy[dtype] >= 0) {
    void* data = nullptr;
    skiff_tensor_data(value, &data, nullptr, nullptr);
    PyObject* base = PyCapsule_New(value, "skiff_value", free_capsule);
    if (!base) skiff_value_free(value);
    return array_over(to_numpy[dtype], rank, dims, data, base);
  }
  PyObject* v = adopt(value, nullptr);
  if (!v) return nullptr;
  PyObject* r = PyObject_CallFunctionObjArgs(hook_to_python, v, nullptr);
  Py_DECREF(v);
  return r;
}

PyObject* register_dtype(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (!need_args("register_dtype", n, 3)) return nullptr;
  skiff_dtype dtype;
  if (!read_dtype(args[1], dtype)) return nullptr;
  if (!PyArray_Check(args[0])) return PyErr_Format(PyExc_TypeError, "register_dtype wants an array of the type");
  int t = PyArray_TYPE(reinterpret_cast<PyArrayObject*>(args[0]));
  if (t < 0 || t >= kNumpyTypes || dtype <= 0 || dtype >= kDTypes)
    return PyErr_Format(PyExc_ValueError, "type number %d is out of range", t);
  if (PyObject_IsTrue(args[2])) {  // the same bytes in both
    from_numpy[static_cast<size_t>(t)] = dtype;
    to_numpy[dtype] = t;
  }
  Py_RETURN_NONE;
}

bool add_value_type(PyObject* module) {
  static PyMethodDef methods[] = {
      {"wrap", as_function(value_wrap), METH_FASTCALL | METH_STATIC, nullptr},
      {"wrap_pointer", as_function(value_wrap_pointer), METH_FASTCALL | METH_STATIC, nullptr},
      {"empty", as_function(value_empty), METH_FASTCALL | METH_STATIC, nullptr},
      {"strings", as_function(value_strings), METH_FASTCALL | METH_STATIC, nullptr},
      {"image", value_image, METH_O | METH_STATIC, nullptr},
      {"none", value_none, METH_NOARGS | METH_STATIC, nullptr},
      {"sequence", as_function(value_sequence), METH_FASTCALL | METH_STATIC, nullptr},
      {"map", as_function(value_map), METH_FASTCALL | METH_STATIC, nullptr},
      {"read_pb", as_function(value_read_pb), METH_FASTCALL | METH_STATIC, nullptr},
      {"write_pb", as_function(value_write_pb), METH_FASTCALL, nullptr},
      {"array", value_array, METH_NOARGS, nullptr},
      {"bytes", value_bytes, METH_NOARGS, nullptr},
      {"string_list", value_string_list, METH_NOARGS, nullptr},
      {"item", as_function(value_item), METH_FASTCALL, nullptr},
      {"keys", value_keys, METH_NOARGS, nullptr},
      {"cast", as_function(value_cast), METH_FASTCALL, nullptr},
      {"compare", as_function(value_compare), METH_FASTCALL, nullptr},
      {nullptr, nullptr, 0, nullptr}};
  static PyGetSetDef getset[] = {{"kind", get_kind, nullptr, nullptr, nullptr},
                                 {"dtype", get_dtype, nullptr, nullptr, nullptr},
                                 {"shape", get_shape, nullptr, nullptr, nullptr},
                                 {"data_ptr", get_data_ptr, nullptr, nullptr, nullptr},
                                 {"nbytes", get_nbytes, nullptr, nullptr, nullptr},
                                 {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(value_dealloc)},
                                {Py_tp_methods, methods},
                                {Py_tp_getset, getset},
                                {Py_sq_length, reinterpret_cast<void*>(value_length)},
                                {0, nullptr}};
  static PyType_Spec spec = {"skiff._core.Value", sizeof(ValueObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  value_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return value_type && PyModule_AddObjectRef(module, "Value", reinterpret_cast<PyObject*>(value_type)) == 0;
}

}  // namespace skiff_core
