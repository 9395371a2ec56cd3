// The module skiff._core: its functions, its exceptions' table, and its start.
#define SKIFF_CORE_IMPORTS_NUMPY
#include <array>
#include <cstring>

#include "core.h"

namespace skiff_core {

PyTypeObject* value_type = nullptr;
PyTypeObject* cancel_type = nullptr;
PyTypeObject* session_type = nullptr;
PyObject* hook_to_python = nullptr;
PyObject* hook_from_python = nullptr;
PyObject* hook_session = nullptr;
Counters counters;

namespace {
std::array<PyObject*, SKIFF_INTERNAL + 1> error_types{};
}  // namespace

PyObject* raise(skiff_status status) {
  PyObject* type = status >= 0 && static_cast<size_t>(status) < error_types.size() ? error_types[status] : nullptr;
  PyObject* text = decode(skiff_last_error(), -1);
  if (text) PyErr_SetObject(type ? type : PyExc_RuntimeError, text);
  Py_XDECREF(text);
  return nullptr;
}

PyObject* decode(const char* text, Py_ssize_t length) {
  return PyUnicode_DecodeUTF8(text, length < 0 ? static_cast<Py_ssize_t>(std::strlen(text)) : length, "surrogateescape");
}

PyObject* take_string(char* text) {
  PyObject* r = decode(text, -1);
  skiff_string_free(text);
  return r;
}

namespace {

template <skiff_status (*Get)(char**)>
PyObject* json(PyObject*, PyObject*) {
  char* text = nullptr;
  if (skiff_status s = Get(&text)) return raise(s);
  return take_string(text);
}

PyObject* version(PyObject*, PyObject*) { return PyUnicode_FromString(skiff_version()); }
PyObject* dtype_name(PyObject*, PyObject* dtype) {
  long d = PyLong_AsLong(dtype);
  if (d == -1 && PyErr_Occurred()) return nullptr;
  return PyUnicode_FromString(skiff_dtype_name(static_cast<skiff_dtype>(d)));
}
PyObject* dtype_bits(PyObject*, PyObject* dtype) {
  long d = PyLong_AsLong(dtype);
  if (d == -1 && PyErr_Occurred()) return nullptr;
  return PyLong_FromLong(skiff_dtype_bits(static_cast<skiff_dtype>(d)));
}

// measure_peaks_json(device)
PyObject* measure_peaks(PyObject*, PyObject* device) {
  const char* name = PyUnicode_AsUTF8AndSize(device, nullptr);
  if (!name) return nullptr;
  char* text = nullptr;
  PyThreadState* state = PyEval_SaveThread();
  skiff_status s = skiff_measure_peaks_json(name, nullptr, &text);
  PyEval_RestoreThread(state);
  return s ? raise(s) : take_string(text);
}

// model_rewrite(path, out_path, external_threshold)
PyObject* model_rewrite(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (n != 3) return PyErr_Format(PyExc_TypeError, "model_rewrite takes 3 arguments, not %zd", n);
  PyObject *from = nullptr, *to = nullptr;
  size_t threshold = PyLong_AsSize_t(args[2]);
  if (PyErr_Occurred() || !PyUnicode_FSConverter(args[0], &from)) return nullptr;
  if (!PyUnicode_FSConverter(args[1], &to)) {
    Py_DECREF(from);
    return nullptr;
  }
  skiff_status s = skiff_model_rewrite(PyBytes_AsString(from), PyBytes_AsString(to), threshold);
  Py_DECREF(from);
  Py_DECREF(to);
  if (s) return raise(s);
  Py_RETURN_NONE;
}

// set_errors(tuple of exception types, by skiff_status)
PyObject* set_errors(PyObject*, PyObject* types) {
  for (Py_ssize_t i = 0; i < PyTuple_Size(types) && static_cast<size_t>(i) < error_types.size(); ++i)
    error_types[static_cast<size_t>(i)] = Py_NewRef(PyTuple_GetItem(types, i));
  if (PyErr_Occurred()) return nullptr;
  Py_RETURN_NONE;
}
PyObject* set_hooks(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (n != 3) return PyErr_Format(PyExc_TypeError, "set_hooks takes 3 arguments, not %zd", n);
  hook_to_python = Py_NewRef(args[0]);
  hook_from_python = Py_NewRef(args[1]);
  hook_session = Py_NewRef(args[2]);
  Py_RETURN_NONE;
}
PyObject* set_main(PyObject*, PyObject* ident) {
  unsigned long id = PyLong_AsUnsignedLong(ident);
  if (PyErr_Occurred()) return nullptr;
  set_main_thread(id);
  Py_RETURN_NONE;
}
// counters() -> (input arrays looked at in place, inputs copied or converted)
PyObject* get_counters(PyObject*, PyObject*) {
  return Py_BuildValue("(KK)", static_cast<unsigned long long>(counters.viewed),
                       static_cast<unsigned long long>(counters.converted));
}

PyMethodDef functions[] = {
    {"version", version, METH_NOARGS, nullptr},
    {"dtype_name", dtype_name, METH_O, nullptr},
    {"dtype_bits", dtype_bits, METH_O, nullptr},
    {"devices_json", json<skiff_devices_json>, METH_NOARGS, nullptr},
    {"knobs_json", json<skiff_knobs_json>, METH_NOARGS, nullptr},
    {"operators_json", json<skiff_operators_json>, METH_NOARGS, nullptr},
    {"passes_json", json<skiff_passes_json>, METH_NOARGS, nullptr},
    {"options_json", json<skiff_options_describe_json>, METH_NOARGS, nullptr},
    {"measure_peaks_json", measure_peaks, METH_O, nullptr},
    {"quantize_options_json", json<skiff_quantize_options_json>, METH_NOARGS, nullptr},
    {"quantize", as_function(quantize), METH_FASTCALL, nullptr},
    {"model_rewrite", as_function(model_rewrite), METH_FASTCALL, nullptr},
    {"register_dtype", as_function(register_dtype), METH_FASTCALL, nullptr},
    {"set_errors", set_errors, METH_O, nullptr},
    {"set_hooks", as_function(set_hooks), METH_FASTCALL, nullptr},
    {"set_main_thread", set_main, METH_O, nullptr},
    {"counters", get_counters, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, "skiff._core", nullptr, -1, functions, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace skiff_core

PyMODINIT_FUNC PyInit__core() {
  import_array();
  PyObject* m = PyModule_Create(&skiff_core::definition);
  if (!m) return nullptr;
  if (!skiff_core::add_value_type(m) || !skiff_core::add_cancel_type(m) || !skiff_core::add_session_type(m)) {
    Py_DECREF(m);
    return nullptr;
  }
  return m;
}
