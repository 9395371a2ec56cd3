#include "passes/merge_common_subexpressions.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "ops/op.h"
#include "passes/edit.h"

namespace skiff::passes {
namespace {

// Larger constants are compared by address only: reading all weights would cost more than it finds.
constexpr size_t kMaxCompared = 64 << 10;

template <class T>
void put(std::string& s, const T& v) {
  s.append(reinterpret_cast<const char*>(&v), sizeof v);
}
void put_text(std::string& s, std::string_view v) {
  put(s, v.size());
  s.append(v);
}

// Content of a tensor as key; false for what is not compared.
bool put_tensor(std::string& s, const Tensor& t) {
  put(s, t.dtype());
  put(s, t.dims().size());
  for (int64_t d : t.dims()) put(s, d);
  if (t.dtype() == DType::kString) {
    if (t.size() > 1024) return false;
    for (int64_t i = 0; i < t.size(); ++i) put_text(s, t.data<std::string>()[i]);
    return true;
  }
  if (t.bytes() > kMaxCompared) {
    put(s, t.raw());
    return true;
  }
  s.append(static_cast<const char*>(t.raw()), t.bytes());
  return true;
}

bool put_attribute(std::string& s, const Attribute& a) {
  put_text(s, a.name);
  put(s, a.value.index());
  if (const auto* f = std::get_if<float>(&a.value)) return put(s, *f), true;
  if (const auto* i = std::get_if<int64_t>(&a.value)) return put(s, *i), true;
  if (const auto* t = std::get_if<std::string>(&a.value)) return put_text(s, *t), true;
  if (const auto* t = std::get_if<Tensor>(&a.value)) return put_tensor(s, *t);
  if (const auto* l = std::get_if<Attribute::Floats>(&a.value)) {
    put(s, l->size());
    for (float x : *l) put(s, x);
    return true;
  }
  if (const auto* l = std::get_if<Attribute::Ints>(&a.value)) {
    put(s, l->size());
    for (int64_t x : *l) put(s, x);
    return true;
  }
  if (const auto* l = std::get_if<Attribute::Strings>(&a.value)) {
    put(s, l->size());
    for (const std::string& x : *l) put_text(s, x);
    return true;
  }
  return false;
}

class Merger {
 public:
  Merger(Graph& g, PassContext& ctx) : g_(g), ctx_(ctx) {}

  bool run() {
    for (NodeId id : std::vector<NodeId>(g_.order())) {
      std::string key;
      if (!key_of(g_.node(id), key)) continue;
      auto [it, fresh] = nodes_.emplace(std::move(key), id);
      if (!fresh) merge(it->second, id);
    }
    return changed_;
  }

 private:
  // Equal constants get one number.
  int64_t number(ValueId v) {
    if (v == kNoValue) return -1;
    const Tensor* t = constant_of(g_, v);
    if (!t) return v;
    auto [it, fresh] = canonical_.emplace(v, v);
    if (fresh) {
      std::string content;
      if (put_tensor(content, *t)) it->second = constants_.emplace(std::move(content), v).first->second;
    }
    return it->second;
  }

  bool key_of(const Node& n, std::string& key) {
    if (!n.def || n.def->is(kNondeterministic) || n.def->is(kControlFlow) || is_quantizer(n)) return false;
    put_text(key, n.domain);
    put_text(key, n.op);
    put(key, n.def->version(n.opset));
    put(key, n.outputs.size());
    std::vector<int64_t> inputs;
    for (ValueId v : n.inputs) inputs.push_back(number(v));
    while (!inputs.empty() && inputs.back() == -1) inputs.pop_back();
    if (n.def->is(kCommutative) && inputs.size() == 2 && inputs[0] > inputs[1])
      std::swap(inputs[0], inputs[1]);
    put(key, inputs.size());
    for (int64_t i : inputs) put(key, i);
    std::vector<const Attribute*> attributes;
    for (const Attribute& a : n.attributes) attributes.push_back(&a);
    std::sort(attributes.begin(), attributes.end(),
              [](const Attribute* a, const Attribute* b) { return a->name < b->name; });
    return std::all_of(attributes.begin(), attributes.end(),
                       [&](const Attribute* a) { return put_attribute(key, *a); });
  }

  void merge(NodeId kept, NodeId extra) {
    const Node& a = g_.node(kept);
    const Node& b = g_.node(extra);
    for (size_t i = 0; i < b.outputs.size(); ++i) {
      if (b.outputs[i] == kNoValue) continue;
      if (a.outputs[i] == kNoValue || !can_replace(g_, b.outputs[i], a.outputs[i])) return;
    }
    Patch p(g_);
    for (size_t i = 0; i < b.outputs.size(); ++i)
      if (b.outputs[i] != kNoValue) p.replace(b.outputs[i], a.outputs[i]);
    p.remove(extra);
    commit(g_, ctx_, p);
    changed_ = true;
  }

  Graph& g_;
  PassContext& ctx_;
  std::unordered_map<std::string, NodeId> nodes_;
  std::unordered_map<std::string, ValueId> constants_;
  std::unordered_map<ValueId, ValueId> canonical_;
  bool changed_ = false;
};

}  // namespace

bool merge_common_subexpressions(Graph& g, PassContext& ctx) { return Merger(g, ctx).run(); }

}  // namespace skiff::passes
