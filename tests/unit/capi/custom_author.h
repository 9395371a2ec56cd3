// An author of custom operators whose callbacks are what a test says, and models that use them.
#pragma once
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "onnx/export.h"
#include "skiff/skiff.hpp"

namespace skiff::test {

namespace api = skiff::api;

inline const skiff_custom_api* table() { return skiff_custom_api_table(); }

// An author whose callbacks are what a test says.
struct Author {
  std::function<skiff_status(skiff_call*)> infer, create;
  std::function<skiff_status(skiff_call*, void*)> compute;
  int created = 0, destroyed = 0, freed = 0;
  void* state = nullptr;
};

inline Author& author(void* user) { return *static_cast<Author*>(user); }

inline constexpr skiff_custom_formal kX = {"X", SKIFF_DTYPE_BIT(SKIFF_FLOAT) | SKIFF_DTYPE_BIT(SKIFF_DOUBLE), 'T',
                                    SKIFF_REQUIRED, 0, 0};
inline constexpr skiff_custom_formal kAny = {"any", 0, 0, SKIFF_REQUIRED, 0, 0};

inline skiff_custom_op describe(Author& a, const char* name = "Thing") {
  skiff_custom_op op{};
  op.struct_size = sizeof op;
  op.domain = "test.custom";
  op.name = name;
  op.inputs = op.outputs = &kX;
  op.input_count = op.output_count = 1;
  op.user = &a;
  op.free_user = [](void* u) { ++author(u).freed; };
  if (a.infer) op.infer = [](skiff_call* c, void* u) { return author(u).infer(c); };
  op.compute = [](skiff_call* c, void* u, void* state) { return author(u).compute(c, state); };
  if (a.create) {
    op.create = [](skiff_call* c, void* u, void** state) {
      ++author(u).created;
      *state = author(u).state;
      return author(u).create(c);
    };
    op.destroy = [](void* u, void*) { ++author(u).destroyed; };
  }
  return op;
}

// Y = X + X, as a kernel.
inline skiff_status twice(skiff_call* c, void*) {
  api::OpCall call(table(), c);
  api::OpValue x = call.input(0);
  std::span<float> y = call.output<float>(0, x.dims());
  for (size_t i = 0; i < y.size(); ++i) y[i] = 2 * x.data<const float>()[i];
  return SKIFF_OK;
}

inline skiff_status same_type(skiff_call* c) {
  skiff_type t{};
  if (skiff_status s = table()->input_type(c, 0, &t); s != SKIFF_OK) return s;
  return table()->set_output_type(c, 0, &t);
}

// x -> node -> Neg -> y, with x float[N, 3]; `twice_in_a_row` puts a second such node in between.
inline std::string model(const char* op = "Thing", const char* domain = "test.custom", std::vector<Attribute> attributes = {},
                  size_t inputs = 1, size_t nodes = 1, int opset = 1) {
  Model m;
  m.ir_version = 8;
  m.opsets = {{"", 17}};
  if (opset) m.opsets.push_back({domain, opset});
  ValueId v = m.graph.add_input("x", Type::tensor(DType::kFloat, SymShape(std::vector<Dim>{Dim::symbol("N"), Dim(3)})));
  for (size_t k = 0; k < nodes; ++k) {
    Node n;
    n.op = op;
    n.domain = domain;
    n.name = cat("node_", k);
    n.opset = opset;
    n.inputs.assign(inputs, v);
    n.attributes = attributes;
    v = m.graph.add_value(cat("t", k));
    n.outputs = {v};
    m.graph.add_node(std::move(n));
  }
  Node neg;
  neg.op = "Neg";
  neg.name = "neg";
  neg.opset = 17;
  neg.inputs = {v};
  neg.outputs = {m.graph.add_value("y")};
  ValueId y = neg.outputs[0];
  m.graph.add_node(std::move(neg));
  m.graph.mark_output(y);
  return onnx::write_model_bytes(m);
}

inline api::Session open(const std::string& bytes, const api::Options& o) {
  return api::Session(std::as_bytes(std::span(bytes)), o);
}

inline std::vector<float> run(api::Session& s, std::vector<float> x = {1, 2, 3, 4, 5, 6}) {
  const int64_t dims[] = {static_cast<int64_t>(x.size() / 3), 3};
  std::vector<api::Value> in;
  in.push_back(api::Value::from<float>(x, dims));
  std::vector<api::Value> out = s.run(in);
  std::span<float> y = out[0].data<float>();
  return {y.begin(), y.end()};
}

inline void add(api::Options& o, const skiff_custom_op& op) {
  api::check(skiff_options_register_op(const_cast<skiff_options*>(o.get()), &op));
}

// The message of whatever f throws.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const api::Exception& e) {
    return cat(skiff_status_name(e.status()), ": ", e.what());
  }
  return "no error";
}

// Loading and running a model whose operator is `a`'s fails with a text that holds each of `parts`.
inline void fails(Author& a, std::vector<std::string> parts) {
  parts.push_back("node 'node_0' (test.custom.Thing)");
  std::string got = error_of([&] {
    api::Options o;
    add(o, describe(a));
    api::Session s = open(model(), o);
    run(s);
  });
  for (const std::string& p : parts) CHECK_MESSAGE(got.find(p) != std::string::npos, got, " lacks ", p);
}

inline bool loaded(const char* path) {
  void* h = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (h) dlclose(h);
  return h != nullptr;
}

}  // namespace skiff::test
