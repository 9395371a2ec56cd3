#include "onnx/function_check.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"

namespace skiff::onnx {
namespace {

constexpr int kMaxCallDepth = 200;

std::string key_of(const std::string& domain, const std::string& name, const std::string& overload) {
  return cat(domain == "ai.onnx" ? std::string() : domain, ":", name, ":", overload);
}

class Expansion {
 public:
  Expansion(const ModelProto& m, uint64_t max_nodes) : m_(m), max_(max_nodes), size_(m.functions.size()) {
    for (size_t i = 0; i < m.functions.size(); ++i) {
      const FunctionProto& f = m.functions[i];
      check(index_.emplace(key_of(*f.domain, *f.name, *f.overload), i).second, Code::kInvalidModel,
            "function '", *f.name, "' of '", *f.domain, "' is defined twice");
    }
  }

  struct Size {
    bool open = false, done = false;
    uint64_t nodes = 0;  // after expansion, never more than the limit
    int height = 0;      // of the tree of calls
  };

  void add_nodes(const std::vector<NodeProto>& list, int depth, Size& to) {
    auto add = [&](uint64_t n) {
      to.nodes += n;
      check(to.nodes <= max_, Code::kLimit, "the model has more than max_nodes = ", max_,
            " nodes when its functions are expanded; raise max_nodes if the file can be trusted");
    };
    for (const NodeProto& n : list) {
      add(1);
      for (const AttributeProto& a : n.attribute) {
        if (a.g) add_nodes(a.g->node, depth, to);
        for (const GraphProto& g : a.graphs) add_nodes(g.node, depth, to);
      }
      if (index_.empty()) continue;
      auto it = index_.find(key_of(*n.domain, *n.op_type, *n.overload));
      if (it == index_.end()) continue;
      const Size& callee = function(it->second, depth + 1);
      add(callee.nodes);
      to.height = std::max(to.height, callee.height + 1);
      check(to.height <= kMaxCallDepth, Code::kLimit, kTooDeep, kMaxCallDepth);
    }
  }

  const Size& function(size_t i, int depth) {
    const FunctionProto& f = m_.functions[i];
    Size& s = size_[i];
    if (s.done) return s;
    check(!s.open, Code::kInvalidModel, "function '", *f.name, "' of '", *f.domain,
          "' calls itself; ONNX functions may not be recursive");
    check(depth <= kMaxCallDepth, Code::kLimit, kTooDeep, kMaxCallDepth);
    s.open = true;
    add_nodes(f.node, depth, s);
    s.done = true;
    return s;
  }

 private:
  static constexpr const char* kTooDeep = "function calls are nested deeper than ";
  const ModelProto& m_;
  uint64_t max_;
  std::vector<Size> size_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace

void check_functions(const ModelProto& m, uint64_t max_nodes) {
  Expansion e(m, max_nodes);
  for (size_t i = 0; i < m.functions.size(); ++i) e.function(i, 0);
  Expansion::Size whole;
  if (m.graph) e.add_nodes(m.graph->node, 0, whole);
}

}  // namespace skiff::onnx
