// Session: loading, running, describing. What a run costs beyond skiff_run is in here.
#include <array>
#include <chrono>
#include <memory>
#include <vector>

#include "core.h"

namespace skiff_core {
namespace {

struct SessionObject {
  PyObject_HEAD
  skiff_session* session;
  skiff_cancel* interrupt;  // for runs that bring no RunOptions; the main thread's alone
  PyObject* data;           // the model's bytes, when it came from memory
  PyObject* input_names;    // tuple of str
  PyObject* output_names;
  PyObject* output_index;  // str -> int
  Py_ssize_t running;      // runs under way, counted while the GIL is held
  int64_t last_ns;         // how long the last run of the main thread took
  bool closed;
  bool borrowed;  // somebody else frees the session
};

SessionObject* as_session(PyObject* o) { return reinterpret_cast<SessionObject*>(o); }
constexpr size_t kFew = 16;
constexpr int64_t kLongNs = 50000;  // from here on a system call before the run does not count

skiff_session* handle(PyObject* self) {
  skiff_session* s = as_session(self)->session;
  if (!s || as_session(self)->closed) {
    PyErr_SetString(PyExc_RuntimeError, "the session is closed");
    return nullptr;
  }
  return s;
}

void set_ref(PyObject*& field, PyObject* to) {
  PyObject* old = field;
  field = to;
  Py_XDECREF(old);
}

void release(SessionObject* s) {
  if (!s->borrowed) skiff_session_free(s->session);
  s->borrowed = false;
  s->session = nullptr;
}

// One run's handles. `keep` holds what must not go away while the GIL is released.
class Frame {
 public:
  Frame(size_t n_in, size_t n_out) : n_in_(n_in), n_out_(n_out) {
    if (n_in > kFew || n_out > kFew) {
      more_in_ = std::make_unique<skiff_value*[]>(n_in);
      more_out_ = std::make_unique<skiff_value*[]>(n_out);
      more_keep_ = std::make_unique<PyObject*[]>(n_in);
      more_own_ = std::make_unique<bool[]>(n_in);
      in = more_in_.get(), out = more_out_.get(), keep = more_keep_.get(), own = more_own_.get();
    }
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  ~Frame() {
    for (size_t i = 0; i < n_in_; ++i) {
      if (own[i]) skiff_value_free(in[i]);
      Py_XDECREF(keep[i]);
    }
    if (owns_outputs)
      for (size_t i = 0; i < n_out_; ++i) skiff_value_free(out[i]);
  }

 private:
  size_t n_in_, n_out_;
  std::array<skiff_value*, kFew> few_in_{}, few_out_{};
  std::array<PyObject*, kFew> few_keep_{};
  std::array<bool, kFew> few_own_{};
  std::unique_ptr<skiff_value*[]> more_in_, more_out_;
  std::unique_ptr<PyObject*[]> more_keep_;
  std::unique_ptr<bool[]> more_own_;

 public:
  skiff_value** in = few_in_.data();
  skiff_value** out = few_out_.data();
  PyObject** keep = few_keep_.data();
  bool* own = few_own_.data();  // in[i] was made for this run
  bool owns_outputs = true;
};

// skiff_run without the GIL. Ctrl-C stops it; when Python's handler then raises nothing, the run is made again.
// `options`: None or a Cancel.
bool execute(PyObject* self, const Frame& f, size_t n_in, size_t n_out, PyObject* options) {
  SessionObject* s = as_session(self);
  auto* user = options == Py_None ? nullptr : reinterpret_cast<CancelObject*>(options);
  bool main = on_main_thread();
  skiff_cancel* cancel = user ? user->cancel : main ? s->interrupt : nullptr;
  for (;;) {
    skiff_status status;
    bool hit = false;
    ++s->running;
    {
      InterruptScope scope(cancel, main && s->last_ns > kLongNs);
      auto start = std::chrono::steady_clock::now();
      PyThreadState* state = PyEval_SaveThread();
      status = skiff_run(s->session, f.in, n_in, f.out, n_out, cancel);
      PyEval_RestoreThread(state);
      if (main) s->last_ns = (std::chrono::steady_clock::now() - start).count();
      hit = scope.hit();
    }
    if (status && !hit) raise(status);
    if (--s->running == 0 && s->closed) release(s);
    if (hit && !(user && user->wanted)) skiff_cancel_reset(cancel);
    if (status == SKIFF_OK) return true;
    if (!hit) return false;
    if (PyErr_CheckSignals() < 0) return false;
    if (status != SKIFF_CANCELLED || s->closed) {
      raise(status);
      return false;
    }
  }
}

bool need_cancel(PyObject* options) {
  if (options == Py_None || PyObject_TypeCheck(options, cancel_type)) return true;
  PyErr_Format(PyExc_TypeError, "run_options must be a RunOptions or None, not %R", options);
  return false;
}

PyObject* refuse_feed(PyObject* self, PyObject* feed) {
  PyObject* method = PyObject_GetAttrString(self, "_refuse_feed");
  if (!method) return nullptr;
  PyObject* r = PyObject_CallFunctionObjArgs(method, feed, nullptr);
  Py_DECREF(method);
  if (r) {
    Py_DECREF(r);
    PyErr_SetString(PyExc_ValueError, "the inputs do not fit the model");
  }
  return nullptr;
}

// Fills f.in[i] from one object of the feed (borrowed).
bool take_input(PyObject* self, Frame& f, size_t i, PyObject* x) {
  if (PyArray_Check(x)) {
    auto* a = reinterpret_cast<PyArrayObject*>(x);
    skiff_dtype dtype = dtype_of(a);
    if (dtype != SKIFF_UNDEFINED && viewable(a)) {
      static_assert(sizeof(npy_intp) == sizeof(int64_t), "Skiff's extents are 64 bits wide");
      if (skiff_status s = skiff_tensor_wrap(dtype, reinterpret_cast<const int64_t*>(PyArray_DIMS(a)), PyArray_NDIM(a),
                                             PyArray_DATA(a), static_cast<size_t>(PyArray_NBYTES(a)), &f.in[i])) {
        raise(s);
        return false;
      }
      f.own[i] = true;
      f.keep[i] = Py_NewRef(x);
      ++counters.viewed;
      return true;
    }
  }
  if (!PyObject_TypeCheck(x, value_type)) {
    PyObject* index = PyLong_FromSize_t(i);
    PyObject* v = index ? PyObject_CallFunctionObjArgs(hook_from_python, self, index, x, nullptr) : nullptr;
    Py_XDECREF(index);
    if (!v) return false;
    f.keep[i] = v;
    ++counters.converted;
  } else {
    f.keep[i] = Py_NewRef(x);
  }
  if (!PyObject_TypeCheck(f.keep[i], value_type)) {
    PyErr_Format(PyExc_TypeError, "input %zu did not become a Value", i);
    return false;
  }
  f.in[i] = reinterpret_cast<ValueObject*>(f.keep[i])->value;
  return true;
}

// run(output_names or None, feed, cancel or None) -> list of arrays
PyObject* session_run(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if (n != 3) return PyErr_Format(PyExc_TypeError, "_run takes 3 arguments, not %zd", n);
  if (!handle(self)) return nullptr;
  SessionObject* s = as_session(self);
  PyObject *names = args[0], *feed = args[1];
  if (!need_cancel(args[2])) return nullptr;
  if (!PyDict_Check(feed)) return PyErr_Format(PyExc_TypeError, "input_feed must be a dict of names and arrays, not %R", feed);
  auto n_in = static_cast<size_t>(PyTuple_Size(s->input_names));
  auto n_out = static_cast<size_t>(PyTuple_Size(s->output_names));
  Frame f(n_in, n_out);
  Py_ssize_t found = 0, absent = 0;
  for (size_t i = 0; i < n_in; ++i) {
    PyObject* x = PyDict_GetItemWithError(feed, PyTuple_GetItem(s->input_names, static_cast<Py_ssize_t>(i)));
    if (!x) {
      if (PyErr_Occurred()) return nullptr;
      ++absent;
      continue;
    }
    ++found;
    if (!take_input(self, f, i, x)) return nullptr;
  }
  if (found != PyDict_Size(feed)) return refuse_feed(self, feed);
  if (absent) {  // allowed of inputs that have a default
    for (size_t i = 0; i < n_in; ++i) {
      skiff_port port;
      if (!f.in[i] && skiff_session_input(s->session, i, &port) == SKIFF_OK && !port.optional && !f.keep[i])
        return refuse_feed(self, feed);
    }
  }
  Py_ssize_t wanted = names == Py_None ? 0 : PySequence_Size(names);
  if (wanted < 0) return nullptr;
  std::array<Py_ssize_t, kFew> few_picks;
  std::unique_ptr<Py_ssize_t[]> more_picks;
  Py_ssize_t* picks = few_picks.data();
  if (static_cast<size_t>(wanted) > kFew) picks = (more_picks = std::make_unique<Py_ssize_t[]>(static_cast<size_t>(wanted))).get();
  for (Py_ssize_t i = 0; i < wanted; ++i) {
    PyObject* name = PySequence_GetItem(names, i);
    if (!name) return nullptr;
    PyObject* index = PyDict_GetItemWithError(s->output_index, name);
    if (!index) {
      PyObject* refuse = PyErr_Occurred() ? nullptr : PyObject_GetAttrString(self, "_refuse_output");
      if (refuse) Py_XDECREF(PyObject_CallFunctionObjArgs(refuse, name, nullptr));
      Py_XDECREF(refuse);
      if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "no such output: %R", name);
      Py_DECREF(name);
      return nullptr;
    }
    picks[i] = PyLong_AsSsize_t(index);
    Py_DECREF(name);
  }
  if (!execute(self, f, n_in, n_out, args[2])) return nullptr;
  Py_ssize_t count = wanted ? wanted : static_cast<Py_ssize_t>(n_out);
  PyObject* list = PyList_New(count);
  if (!list) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i) {
    Py_ssize_t from = wanted ? picks[i] : i;
    PyObject* item = nullptr;
    if (f.out[from]) {
      skiff_value* v = f.out[from];
      f.out[from] = nullptr;
      item = to_python(v);
    } else {  // asked for twice
      for (Py_ssize_t j = 0; j < i && !item; ++j)
        if (picks[j] == from) item = Py_NewRef(PyList_GetItem(list, j));
    }
    if (!item) {
      Py_DECREF(list);
      return nullptr;
    }
    PyList_SetItem(list, i, item);
  }
  return list;
}

// run_values(inputs, outputs, cancel): lists of Value or None, one for every input and output; gives the outputs.
PyObject* session_run_values(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if (n != 3) return PyErr_Format(PyExc_TypeError, "_run_values takes 3 arguments, not %zd", n);
  if (!handle(self) || !need_cancel(args[2])) return nullptr;
  Py_ssize_t n_in = PyList_Check(args[0]) ? PyList_Size(args[0]) : -1;
  Py_ssize_t n_out = PyList_Check(args[1]) ? PyList_Size(args[1]) : -1;
  SessionObject* s = as_session(self);
  if (n_in != PyTuple_Size(s->input_names) || n_out != PyTuple_Size(s->output_names))
    return PyErr_Format(PyExc_ValueError, "_run_values wants a list of %zd inputs and one of %zd outputs",
                        PyTuple_Size(s->input_names), PyTuple_Size(s->output_names));
  Frame f(static_cast<size_t>(n_in), static_cast<size_t>(n_out));
  for (Py_ssize_t i = 0; i < n_in; ++i) {
    PyObject* x = PyList_GetItem(args[0], i);
    if (x != Py_None && !take_input(self, f, static_cast<size_t>(i), x)) return nullptr;
  }
  f.owns_outputs = false;
  PyObject* result = PyList_New(n_out);
  if (!result) return nullptr;
  Py_ssize_t taken = 0;
  for (; taken < n_out; ++taken) {
    PyObject* x = PyList_GetItem(args[1], taken);
    PyList_SetItem(result, taken, Py_NewRef(x));
    if (x == Py_None) continue;
    if (!PyObject_TypeCheck(x, value_type)) {
      PyErr_Format(PyExc_TypeError, "output %zd is neither a Value nor None", taken);
      break;
    }
    auto* v = reinterpret_cast<ValueObject*>(x);
    if (v->busy) {
      PyErr_SetString(PyExc_RuntimeError, "this output is being written by another run, or was given twice");
      break;
    }
    v->busy = true;
    f.out[taken] = v->value;
  }
  bool ok = taken == n_out && execute(self, f, static_cast<size_t>(n_in), static_cast<size_t>(n_out), args[2]);
  for (Py_ssize_t i = 0; i < taken; ++i) {
    PyObject* x = PyList_GetItem(result, i);
    if (x != Py_None) {
      reinterpret_cast<ValueObject*>(x)->busy = false;
    } else if (f.out[i]) {
      PyObject* fresh = ok ? adopt(f.out[i], nullptr) : (skiff_value_free(f.out[i]), nullptr);
      if (!fresh)
        ok = false;
      else
        PyList_SetItem(result, i, fresh);
    }
  }
  if (ok) return result;
  Py_DECREF(result);
  return nullptr;
}

PyObject* ports(PyObject* self, size_t count, skiff_status (*get)(const skiff_session*, size_t, skiff_port*)) {
  PyObject* list = PyList_New(0);
  for (size_t i = 0; list && i < count; ++i) {
    skiff_port p;
    if (skiff_status s = get(as_session(self)->session, i, &p)) {
      Py_DECREF(list);
      return raise(s);
    }
    PyObject* dims = PyList_New(0);
    for (int d = 0; dims && d < p.rank; ++d) {
      PyObject* x = p.dims[d] >= 0        ? PyLong_FromLongLong(p.dims[d])
                    : p.dim_names[d][0] ? decode(p.dim_names[d], -1)
                                        : Py_NewRef(Py_None);
      if (x) PyList_Append(dims, x);
      Py_XDECREF(x);
    }
    PyObject* t = Py_BuildValue("(NiiNNN)", decode(p.name, -1), p.kind, p.dtype,
                                p.rank < 0 ? (Py_XDECREF(dims), Py_NewRef(Py_None)) : dims, decode(p.type_text, -1),
                                PyBool_FromLong(p.optional));
    if (!t || PyList_Append(list, t) < 0) Py_CLEAR(list);
    Py_XDECREF(t);
  }
  return list;
}
PyObject* session_inputs(PyObject* self, PyObject*) {
  return handle(self) ? ports(self, skiff_session_input_count(as_session(self)->session), skiff_session_input) : nullptr;
}
PyObject* session_outputs(PyObject* self, PyObject*) {
  return handle(self) ? ports(self, skiff_session_output_count(as_session(self)->session), skiff_session_output) : nullptr;
}

PyObject* session_info_json(PyObject* self, PyObject* shapes) {
  if (!handle(self)) return nullptr;
  const char* text = shapes == Py_None ? nullptr : PyUnicode_AsUTF8AndSize(shapes, nullptr);
  if (!text && shapes != Py_None) return nullptr;
  char* json = nullptr;
  if (skiff_status s = skiff_session_info_json(as_session(self)->session, text, &json)) return raise(s);
  return take_string(json);
}
PyObject* session_profile_json(PyObject* self, PyObject*) {
  char* json = nullptr;
  if (!handle(self)) return nullptr;
  if (skiff_status s = skiff_session_profile_json(as_session(self)->session, &json)) return raise(s);
  return take_string(json);
}
PyObject* session_graph_text(PyObject* self, PyObject*) {
  char* text = nullptr;
  if (!handle(self)) return nullptr;
  if (skiff_status s = skiff_session_print(as_session(self)->session, &text)) return raise(s);
  return take_string(text);
}
PyObject* session_close(PyObject* self, PyObject*) {
  as_session(self)->closed = true;
  if (as_session(self)->running == 0) release(as_session(self));
  Py_RETURN_NONE;
}

// Fills in the names of s->session's inputs and outputs.
bool describe(SessionObject* s) {
  auto names = [&](size_t count, skiff_status (*get)(const skiff_session*, size_t, skiff_port*)) {
    PyObject* t = PyTuple_New(static_cast<Py_ssize_t>(count));
    for (size_t i = 0; t && i < count; ++i) {
      skiff_port p{};
      PyObject* name = get(s->session, i, &p) == SKIFF_OK ? decode(p.name, -1) : nullptr;
      if (name) PyUnicode_InternInPlace(&name);
      PyTuple_SetItem(t, static_cast<Py_ssize_t>(i), name ? name : Py_NewRef(Py_None));
    }
    return t;
  };
  set_ref(s->input_names, names(skiff_session_input_count(s->session), skiff_session_input));
  set_ref(s->output_names, names(skiff_session_output_count(s->session), skiff_session_output));
  set_ref(s->output_index, PyDict_New());
  if (!s->input_names || !s->output_names || !s->output_index) return false;
  for (Py_ssize_t i = PyTuple_Size(s->output_names); i-- > 0;) {
    PyObject* index = PyLong_FromSsize_t(i);
    if (!index || PyDict_SetItem(s->output_index, PyTuple_GetItem(s->output_names, i), index) < 0) return false;
    Py_DECREF(index);
  }
  return true;
}

// _load(path as str, or bytes; dict of options): replaces what the object held.
PyObject* session_load(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if (n != 2 || !PyDict_Check(args[1])) return PyErr_Format(PyExc_TypeError, "_load takes a model and a dict of options");
  SessionObject* s = as_session(self);
  if (s->running) return PyErr_Format(PyExc_RuntimeError, "the session cannot be loaded anew while it runs");
  skiff_options* options = nullptr;
  if (skiff_status st = skiff_options_create(&options)) return raise(st);
  std::unique_ptr<skiff_options, void (*)(skiff_options*)> free_options(options, skiff_options_free);
  PyObject *key, *value;
  for (Py_ssize_t at = 0; PyDict_Next(args[1], &at, &key, &value);) {
    const char* k = PyUnicode_AsUTF8AndSize(key, nullptr);
    const char* v = k ? PyUnicode_AsUTF8AndSize(value, nullptr) : nullptr;
    if (!v) return nullptr;
    if (skiff_status st = skiff_options_set(options, k, v)) return raise(st);
  }
  skiff_session* fresh = nullptr;
  skiff_status st;
  PyObject* path = nullptr;
  if (PyBytes_Check(args[0])) {
    char* data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(args[0], &data, &size) < 0) return nullptr;
    PyThreadState* state = PyEval_SaveThread();
    st = skiff_session_load_memory(data, static_cast<size_t>(size), options, &fresh);
    PyEval_RestoreThread(state);
  } else {
    if (!PyUnicode_FSConverter(args[0], &path)) return nullptr;
    const char* text = PyBytes_AsString(path);
    PyThreadState* state = PyEval_SaveThread();
    st = skiff_session_load(text, options, &fresh);
    PyEval_RestoreThread(state);
  }
  PyObject* failed = st ? raise(st) : Py_None;
  Py_XDECREF(path);
  if (!failed) return nullptr;
  release(s);
  s->session = fresh;
  s->closed = false;
  s->last_ns = kLongNs + 1;
  set_ref(s->data, PyBytes_Check(args[0]) ? Py_NewRef(args[0]) : nullptr);
  if (!describe(s)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* session_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = slot<allocfunc>(type, Py_tp_alloc)(type, 0);
  if (!self) return nullptr;
  if (skiff_status s = skiff_cancel_create(&as_session(self)->interrupt)) {
    Py_DECREF(self);
    return raise(s);
  }
  return self;
}
void session_dealloc(PyObject* self) {
  SessionObject* s = as_session(self);
  release(s);
  skiff_cancel_free(s->interrupt);
  Py_CLEAR(s->data);
  Py_CLEAR(s->input_names);
  Py_CLEAR(s->output_names);
  Py_CLEAR(s->output_index);
  free_object(self);
}
PyObject* get_input_names(PyObject* self, void*) {
  return handle(self) ? Py_NewRef(as_session(self)->input_names) : nullptr;
}
PyObject* get_output_names(PyObject* self, void*) {
  return handle(self) ? Py_NewRef(as_session(self)->output_names) : nullptr;
}
PyObject* get_closed(PyObject* self, void*) {
  return PyBool_FromLong(!as_session(self)->session || as_session(self)->closed);
}

}  // namespace

PyObject* borrow_session(skiff_session* session) {
  PyObject* self = PyObject_CallFunctionObjArgs(hook_session, nullptr);
  if (!self) return nullptr;
  if (!PyObject_TypeCheck(self, session_type)) {
    PyErr_SetString(PyExc_TypeError, "the hook made no session");
    Py_DECREF(self);
    return nullptr;
  }
  SessionObject* s = as_session(self);
  s->session = session;
  s->borrowed = true;
  s->last_ns = kLongNs + 1;
  if (!describe(s)) {
    release(s);
    Py_DECREF(self);
    return nullptr;
  }
  return self;
}
void end_borrowed(PyObject* self) {
  as_session(self)->closed = true;
  release(as_session(self));
}

bool add_session_type(PyObject* module) {
  static PyMethodDef methods[] = {{"_load", as_function(session_load), METH_FASTCALL, nullptr},
                                  {"_run", as_function(session_run), METH_FASTCALL, nullptr},
                                  {"_run_values", as_function(session_run_values), METH_FASTCALL, nullptr},
                                  {"_inputs", session_inputs, METH_NOARGS, nullptr},
                                  {"_outputs", session_outputs, METH_NOARGS, nullptr},
                                  {"_info_json", session_info_json, METH_O, nullptr},
                                  {"_profile_json", session_profile_json, METH_NOARGS, nullptr},
                                  {"_graph_text", session_graph_text, METH_NOARGS, nullptr},
                                  {"close", session_close, METH_NOARGS,
                                   "Frees the model's memory as soon as no run uses it; later calls raise RuntimeError."},
                                  {nullptr, nullptr, 0, nullptr}};
  static PyGetSetDef getset[] = {{"_input_names", get_input_names, nullptr, nullptr, nullptr},
                                 {"_output_names", get_output_names, nullptr, nullptr, nullptr},
                                 {"closed", get_closed, nullptr, "Whether close() was called.", nullptr},
                                 {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(session_new)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(session_dealloc)},
                                {Py_tp_methods, methods},
                                {Py_tp_getset, getset},
                                {0, nullptr}};
  static PyType_Spec spec = {"skiff._core.Session", sizeof(SessionObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  session_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return session_type && PyModule_AddObjectRef(module, "Session", reinterpret_cast<PyObject*>(session_type)) == 0;
}

}  // namespace skiff_core
