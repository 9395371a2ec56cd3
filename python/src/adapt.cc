// Adaptation: calls that make another model out of a model, with Python's data, scores and progress.
#include <cstring>
#include <vector>

#include "core.h"

namespace skiff_core {
namespace {

// What the library's callbacks need. Python is entered with the state that the call left behind; the first Python
// exception ends the call and is what the caller sees.
struct Callbacks {
  PyObject* sample = nullptr;
  PyObject* score = nullptr;
  PyObject* progress = nullptr;
  PyThreadState* state = nullptr;
};

class Entered {
 public:
  explicit Entered(Callbacks* c) : c_(c) { PyEval_RestoreThread(c->state); }
  ~Entered() { c_->state = PyEval_SaveThread(); }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;

 private:
  Callbacks* c_;
};

// A value of the library's own with the same elements: the array it came from may go before the library is done.
skiff_value* copied(skiff_value* v) {
  skiff_dtype dtype;
  int rank;
  const int64_t* dims;
  skiff_value* copy = nullptr;
  if (skiff_value_kind(v) != SKIFF_KIND_TENSOR || skiff_tensor_info(v, &dtype, &rank, &dims) || dtype == SKIFF_STRING) {
    PyErr_SetString(PyExc_TypeError, "samples are tensors of numbers");
    return nullptr;
  }
  if (skiff_status s = skiff_tensor_create(dtype, dims, rank, &copy)) {
    raise(s);
    return nullptr;
  }
  void *from, *to;
  size_t bytes;
  skiff_tensor_data(v, &from, nullptr, &bytes);
  skiff_tensor_data(copy, &to, nullptr, nullptr);
  if (bytes) std::memcpy(to, from, bytes);
  return copy;
}

// sample(index) -> None at the end, or a list with a Value or None for each input.
int on_sample(void* user, size_t index, skiff_value** inputs, size_t count) {
  auto* c = static_cast<Callbacks*>(user);
  Entered enter(c);
  PyObject* i = PyLong_FromSize_t(index);
  PyObject* list = i ? PyObject_CallFunctionObjArgs(c->sample, i, nullptr) : nullptr;
  Py_XDECREF(i);
  if (!list) return -1;
  int result = list == Py_None ? 0 : 1;
  if (result && (!PyList_Check(list) || static_cast<size_t>(PyList_Size(list)) != count)) {
    PyErr_Format(PyExc_TypeError, "a sample is a list of %zu values", count);
    result = -1;
  }
  for (size_t k = 0; result == 1 && k < count; ++k) {
    PyObject* v = PyList_GetItem(list, static_cast<Py_ssize_t>(k));
    if (v == Py_None) continue;
    if (!PyObject_TypeCheck(v, value_type)) PyErr_SetString(PyExc_TypeError, "a sample holds Values");
    inputs[k] = PyErr_Occurred() ? nullptr : copied(reinterpret_cast<ValueObject*>(v)->value);
    if (!inputs[k]) result = -1;
  }
  Py_DECREF(list);
  if (result < 0) {
    for (size_t k = 0; k < count; ++k) {
      skiff_value_free(inputs[k]);
      inputs[k] = nullptr;
    }
  }
  return result;
}

// score(session) -> float
int on_score(void* user, skiff_session* session, double* score) {
  auto* c = static_cast<Callbacks*>(user);
  Entered enter(c);
  PyObject* s = borrow_session(session);
  PyObject* r = s ? PyObject_CallFunctionObjArgs(c->score, s, nullptr) : nullptr;
  if (s) end_borrowed(s);
  Py_XDECREF(s);
  if (!r) return -1;
  *score = PyFloat_AsDouble(r);
  Py_DECREF(r);
  return PyErr_Occurred() ? -1 : 0;
}

// progress(stage, share); its result does not matter, an exception (or Ctrl-C) ends the call.
int on_progress(void* user, const char* stage, double share) {
  auto* c = static_cast<Callbacks*>(user);
  Entered enter(c);
  if (PyErr_CheckSignals() < 0) return -1;
  if (c->progress == Py_None) return 0;
  PyObject* name = decode(stage, -1);
  PyObject* done = PyFloat_FromDouble(share);
  PyObject* r = name && done ? PyObject_CallFunctionObjArgs(c->progress, name, done, nullptr) : nullptr;
  Py_XDECREF(name);
  Py_XDECREF(done);
  Py_XDECREF(r);
  return r ? 0 : -1;
}

}  // namespace

// quantize(path, out_path, options_json, sample or None, score or None, progress or None) -> (report_json, report_html)
PyObject* quantize(PyObject*, PyObject* const* args, Py_ssize_t n) {
  if (n != 6) return PyErr_Format(PyExc_TypeError, "quantize takes 6 arguments, not %zd", n);
  const char* options = PyUnicode_AsUTF8AndSize(args[2], nullptr);
  PyObject *path = nullptr, *out = nullptr;
  if (!options || !PyUnicode_FSConverter(args[0], &path)) return nullptr;
  if (!PyUnicode_FSConverter(args[1], &out)) {
    Py_DECREF(path);
    return nullptr;
  }
  Callbacks c;
  c.sample = args[3], c.score = args[4], c.progress = args[5];
  skiff_adapt_callbacks table = {&c, c.sample == Py_None ? nullptr : on_sample, c.score == Py_None ? nullptr : on_score,
                                 on_progress};
  char *json = nullptr, *html = nullptr;
  const char *from = PyBytes_AsString(path), *to = PyBytes_AsString(out);
  c.state = PyEval_SaveThread();
  skiff_status s = skiff_quantize(from, to, options, &table, &json, &html);
  PyEval_RestoreThread(c.state);
  Py_DECREF(path);
  Py_DECREF(out);
  if (s) return PyErr_Occurred() ? nullptr : raise(s);
  PyObject* report = take_string(json);
  PyObject* page = take_string(html);
  return Py_BuildValue("(NN)", report, page);
}

}  // namespace skiff_core
