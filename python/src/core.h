// What the parts of skiff._core share. The extension sees include/skiff alone and keeps to CPython's limited API of 3.10,
// so that one wheel serves 3.10 and everything later.
#pragma once
#include <Python.h>
#include <skiff/skiff.h>

#include <cstdint>

#define PY_ARRAY_UNIQUE_SYMBOL skiff_core_numpy
#ifndef SKIFF_CORE_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

namespace skiff_core {

// A skiff_value with the Python object whose memory it looks at, if any.
struct ValueObject {
  PyObject_HEAD
  skiff_value* value;
  PyObject* owner;
  bool busy;  // an output of a run that is under way
};

// What stops a run. `wanted` is the user's own wish, which outlives a stop that came from Ctrl-C.
struct CancelObject {
  PyObject_HEAD
  skiff_cancel* cancel;
  bool wanted;
};

extern PyTypeObject* value_type;
extern PyTypeObject* cancel_type;
extern PyTypeObject* session_type;

// Python's halves of the conversions: to_python(Value) -> object, and from_python(object, dtype, kind, name) -> Value.
extern PyObject* hook_to_python;
extern PyObject* hook_from_python;

// Input arrays that a run looked at in place, and those that had to be copied or converted first.
struct Counters {
  uint64_t viewed = 0, converted = 0;
};
extern Counters counters;

// Sets the Python exception of a failed call from skiff_last_error(); returns nullptr.
PyObject* raise(skiff_status status);
// Decodes and frees a string the library gave.
PyObject* take_string(char* text);
PyObject* decode(const char* text, Py_ssize_t length);

// Element type of a NumPy array as Skiff numbers it; SKIFF_UNDEFINED where there is none.
skiff_dtype dtype_of(PyArrayObject* array);
bool viewable(PyArrayObject* array);
// A new Value that owns `value` (also on failure).
PyObject* adopt(skiff_value* value, PyObject* owner);
// A handle's result as Python sees it: an array without a copy where NumPy has the element type. Owns `value`.
PyObject* to_python(skiff_value* value);

bool add_value_type(PyObject* module);
bool add_session_type(PyObject* module);
bool add_cancel_type(PyObject* module);
// NumPy type number that stands for an element type that NumPy itself lacks (ml_dtypes).
PyObject* register_dtype(PyObject*, PyObject* const* args, Py_ssize_t n);

// A session that is the library's own, for the time of a callback: made by hook_session(), ended by end_borrowed().
extern PyObject* hook_session;
PyObject* borrow_session(skiff_session* session);
void end_borrowed(PyObject* session);
PyObject* quantize(PyObject*, PyObject* const* args, Py_ssize_t n);

// Ctrl-C for the main thread: while one lives, SIGINT stops the run `cancel` belongs to.
class InterruptScope {
 public:
  // `check_handler`: see whether somebody else has taken SIGINT since, which costs a system call.
  InterruptScope(skiff_cancel* cancel, bool check_handler);
  ~InterruptScope();
  bool hit() const;

 private:
  bool active_ = false;
  skiff_cancel* outer_ = nullptr;
};
// This thread is the main thread from now on (at import, and in the child of a fork).
void set_main_thread(unsigned long ident);
bool on_main_thread();

template <class T>
inline T slot(PyTypeObject* type, int which) {
  return reinterpret_cast<T>(PyType_GetSlot(type, which));
}
inline void free_object(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  slot<freefunc>(type, Py_tp_free)(self);
  Py_DECREF(type);
}
template <class F>
inline PyCFunction as_function(F* f) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

}  // namespace skiff_core
