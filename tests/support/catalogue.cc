// Prints the operator catalogue as JSON, for the documentation and for the comparison with the standard's
// schemas: {"newest_opset", "operators": [{"domain", "name", "versions", "removed", "inputs": [{"name",
// "types", "arity", "variable"}], "outputs", "attributes": [{"name", "type", "required"}], "flags",
// "kernels": [names of fast CPU kernels that some operator case can use], "gradient", "cases": [passed,
// all]}]}.
//   catalogue [--tests FOLDER --skip-list FILE]
// --tests: folders of the standard's backend tests; a case counts for every operator in it and passes unless
// the list (which the conformance test enforces) names it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/json_writer.h"
#include "cases/case.h"
#include "device/reference_kernel.h"
#include "onnx/import.h"
#include "ops/grad.h"
#include "ops/infer.h"
#include "runtime/devices.h"

namespace fs = std::filesystem;
using namespace skiff;

namespace {

using Key = std::string;
Key key(std::string_view domain, std::string_view name) { return cat(domain, ":", name); }

std::map<Key, std::set<std::string>> fast_kernels() {
  std::map<Key, std::set<std::string>> r;
  std::unique_ptr<Device> cpu = runtime::make_device("cpu", {});
  for (const cases::OpCase& c : cases::all_cases()) {
    Model m = cases::model_of(c);
    infer_types(m.graph);
    const Node& n = m.graph.node(m.graph.order().front());
    std::vector<const Type*> in, out;
    std::vector<const Tensor*> constants;
    for (ValueId v : n.inputs) {
      in.push_back(v == kNoValue ? nullptr : &m.graph.value(v).type);
      constants.push_back(v != kNoValue && m.graph.value(v).is_constant() ? &m.graph.value(v).constant
                                                                          : nullptr);
    }
    for (ValueId v : n.outputs) out.push_back(v == kNoValue ? nullptr : &m.graph.value(v).type);
    for (const KernelChoice& k : cpu->candidates({n, in, out, constants}, nullptr)) {
      if (k.name == kReferenceKernel) continue;
      // One name for every instruction set.
      std::string name = k.name;
      for (const std::string& isa : cpu->info().isas)
        if (name.ends_with("_" + isa)) name.resize(name.size() - isa.size() - 1);
      r[key(n.domain, n.op)].insert(name);
    }
  }
  return r;
}

void count_operators(const Graph& g, std::set<Key>& seen) {
  for (NodeId id : g.order()) {
    const Node& n = g.node(id);
    seen.insert(key(n.domain == "ai.onnx" ? "" : n.domain, n.op));
    for (const Attribute& a : n.attributes)
      if (const auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value)) count_operators(**s, seen);
  }
}

std::set<std::string> read_list(const std::string& path) {
  std::set<std::string> names;
  std::ifstream f(path);
  for (std::string line; std::getline(f, line);) {
    line = line.substr(0, line.find('#'));
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (!line.empty()) names.insert(line);
  }
  return names;
}

struct Count {
  int passed = 0, all = 0;
};

std::map<Key, Count> count_cases(const std::string& folder, const std::set<std::string>& failing) {
  std::map<Key, Count> r;
  for (const auto& e : fs::recursive_directory_iterator(folder)) {
    if (e.path().filename() != "model.onnx") continue;
    Model m = onnx::read_model(e.path().string());
    std::set<Key> seen;
    count_operators(m.graph, seen);
    for (const Function& f : m.functions) count_operators(*f.body, seen);
    bool passes = !failing.count(e.path().parent_path().filename().string());
    for (const Key& k : seen) {
      ++r[k].all;
      r[k].passed += passes;
    }
  }
  return r;
}

void write_formals(JsonWriter& w, const char* name, const std::vector<Formal>& formals) {
  w.key(name).begin_array();
  for (const Formal& f : formals) {
    static constexpr const char* kArity[] = {"required", "optional", "variadic"};
    w.begin_object().field("name", f.name).field("arity", kArity[static_cast<int>(f.arity)]);
    w.field("variable", f.tvar ? std::string(1, f.tvar) : std::string());
    w.key("types").begin_array();
    for (int t = 1; t < kDTypeCount; ++t)
      if (f.types & mask_of(static_cast<DType>(t))) w.value(dtype_name(static_cast<DType>(t)));
    w.end_array().end_object();
  }
  w.end_array();
}

}  // namespace

int main(int argc, char** argv) try {
  std::string tests, list;
  for (int i = 1; i + 1 < argc; i += 2) (std::string_view(argv[i]) == "--tests" ? tests : list) = argv[i + 1];
  auto kernels = fast_kernels();
  std::map<Key, Count> counts;
  if (!tests.empty()) counts = count_cases(tests, read_list(list));
  JsonWriter w;
  w.begin_object().field("newest_opset", kNewestOpset).key("operators").begin_array();
  for (const OpDef* d : all_ops()) {
    w.begin_object().field("domain", d->domain).field("name", d->name).field("removed", d->removed);
    w.key("versions").begin_array();
    for (int v : d->versions) w.value(v);
    w.end_array();
    write_formals(w, "inputs", d->inputs);
    write_formals(w, "outputs", d->outputs);
    w.key("attributes").begin_array();
    for (const AttrDef& a : d->attributes)
      w.begin_object()
          .field("name", a.name)
          .field("type", attr_type_name(a.type))
          .field("required", a.required)
          .end_object();
    w.end_array();
    w.field("internal", d->is(kInternal))
        .field("non_tensor", d->is(kNonTensor))
        .field("control_flow", d->is(kControlFlow));
    Node n;
    n.domain = d->domain;
    n.op = d->name;
    w.field("gradient", grad::find_rule(n) != nullptr);
    w.key("kernels").begin_array();
    for (const std::string& k : kernels[key(d->domain, d->name)]) w.value(k);
    w.end_array();
    Count c = counts[key(d->domain, d->name)];
    w.key("cases").begin_array().value(c.passed).value(c.all).end_array();
    w.end_object();
  }
  std::puts(w.end_array().end_object().take().c_str());
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "catalogue: %s\n", e.what());
  return 1;
}
