// Cancel: what RunOptions is made of.
#include "core.h"

namespace skiff_core {
namespace {

PyObject* cancel_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = slot<allocfunc>(type, Py_tp_alloc)(type, 0);
  if (!self) return nullptr;
  auto* c = reinterpret_cast<CancelObject*>(self);
  if (skiff_status s = skiff_cancel_create(&c->cancel)) {
    Py_DECREF(self);
    return raise(s);
  }
  return self;
}
void cancel_dealloc(PyObject* self) {
  skiff_cancel_free(reinterpret_cast<CancelObject*>(self)->cancel);
  free_object(self);
}
PyObject* get_terminate(PyObject* self, void*) {
  return PyBool_FromLong(reinterpret_cast<CancelObject*>(self)->wanted);
}
int set_terminate(PyObject* self, PyObject* to, void*) {
  auto* c = reinterpret_cast<CancelObject*>(self);
  int on = to ? PyObject_IsTrue(to) : 0;
  if (on < 0) return -1;
  c->wanted = on != 0;
  if (on)
    skiff_cancel_request(c->cancel);
  else
    skiff_cancel_reset(c->cancel);
  return 0;
}

}  // namespace

bool add_cancel_type(PyObject* module) {
  static PyGetSetDef getset[] = {
      {"terminate", get_terminate, set_terminate,
       "True stops the runs it was given to, at their next node; it stays so until set to False.", nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(cancel_new)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(cancel_dealloc)},
                                {Py_tp_getset, getset},
                                {0, nullptr}};
  static PyType_Spec spec = {"skiff._core.Cancel", sizeof(CancelObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  cancel_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return cancel_type && PyModule_AddObjectRef(module, "Cancel", reinterpret_cast<PyObject*>(cancel_type)) == 0;
}

}  // namespace skiff_core
