#include "ops/op.h"

#include <cstring>
#include <unordered_map>

#include "ops/registry.h"

namespace skiff {

#define SKIFF_OP(domain_id, op_name) SKIFF_OP_DEF(domain_id, op_name);
#include "ops/ops.inc"
#undef SKIFF_OP

namespace {

struct Catalogue {
  std::vector<OpDef> defs;
  std::vector<const OpDef*> all;
  std::unordered_map<std::string, const OpDef*> by_name;

  Catalogue() {
    using Make = OpDef (*)();
    static constexpr Make kMakers[] = {
        nullptr,  // keeps the array from being empty
#define SKIFF_OP(domain_id, op_name) skiff_op_##domain_id##_##op_name,
#include "ops/ops.inc"
#undef SKIFF_OP
    };
    defs.reserve(std::size(kMakers));
    for (Make m : kMakers)
      if (m) defs.push_back(m());
    for (const OpDef& d : defs) {
      all.push_back(&d);
      by_name.emplace(cat(d.domain, ":", d.name), &d);
    }
  }
};

const Catalogue& catalogue() {
  static const Catalogue c;
  return c;
}

std::string_view domain_text(std::string_view d) { return d.empty() ? "ai.onnx" : d; }

}  // namespace

const std::vector<const OpDef*>& all_ops() { return catalogue().all; }

const OpDef* find_op(std::string_view domain, std::string_view name) {
  if (domain == "ai.onnx") domain = "";
  auto it = catalogue().by_name.find(cat(domain, ":", name));
  return it == catalogue().by_name.end() ? nullptr : it->second;
}

int OpDef::version(int opset) const {
  int best = 0;
  for (int v : versions)
    if (v <= opset) best = v;
  return best;
}

// ---------------------------------------------------------------- InferContext

const Type& InferContext::type(size_t i) const {
  static const Type kNone;
  return has(i) ? *in_[i].type : kNone;
}

std::optional<std::vector<Dim>> InferContext::data(size_t i) const {
  if (!has(i)) return std::nullopt;
  if (const Tensor* t = in_[i].constant) {
    if (t->rank() > 1 || (!dtype_is_integer(t->dtype()) && t->dtype() != DType::kBool)) return std::nullopt;
    std::vector<Dim> d;
    d.reserve(static_cast<size_t>(t->size()));
    for (int64_t k = 0; k < t->size(); ++k) d.emplace_back(get_int(*t, k));
    return d;
  }
  if (in_[i].data) return *in_[i].data;
  return std::nullopt;
}

std::optional<std::vector<int64_t>> InferContext::ints(size_t i) const {
  auto d = data(i);
  if (!d) return std::nullopt;
  std::vector<int64_t> v;
  v.reserve(d->size());
  for (const Dim& x : *d) {
    if (!x.is_const()) return std::nullopt;
    v.push_back(x.value());
  }
  return v;
}

void InferContext::set(size_t i, Type t) {
  if (i < out_.size()) out_[i].type = std::move(t);
}

void InferContext::set_data(size_t i, std::vector<Dim> d) {
  if (i >= out_.size()) return;
  out_[i].data = std::move(d);
  out_[i].has_data = true;
}

std::vector<Type> InferContext::infer_subgraph(std::string_view attr, std::span<const Type> inputs) {
  const auto& g = node_.attr_graph(attr);
  if (!sub_) return std::vector<Type>(g->outputs().size());
  return sub_->infer(node_, *g, inputs);
}

void InferContext::expect_rank(size_t i, size_t r) const {
  if (!has_rank(i) || shape(i).rank() == r) return;
  const char* formal = node_.def && i < node_.def->inputs.size() ? node_.def->inputs[i].name : "input";
  fail(Code::kInvalidModel, "input ", i, " (", formal, ") must have rank ", r, ", it has shape ",
       shape(i).to_string());
}

void infer_same(InferContext& c) { c.set(0, c.type(0)); }

namespace {
SymShape broadcast_all(InferContext& c) {
  SymShape s = c.shape(0);
  for (size_t i = 1; i < c.inputs(); ++i)
    if (c.has(i)) s = broadcast(s, c.shape(i));
  return s;
}
}  // namespace

void infer_broadcast(InferContext& c) { c.set(0, c.dtype(0), broadcast_all(c)); }
void infer_broadcast_bool(InferContext& c) { c.set(0, DType::kBool, broadcast_all(c)); }

// ---------------------------------------------------------------- cost

double CostContext::elements(const Type* t) const {
  if (!t || !t->shape.has_rank()) return 0;
  double n = 1;
  for (const Dim& d : t->shape.dims()) n *= d.is_const() ? static_cast<double>(d.value()) : 1.0;
  return n;
}

int64_t CostContext::in_dim(size_t i, int64_t axis) const {
  if (i >= in.size() || !in[i] || !in[i]->shape.has_rank()) return 1;
  const SymShape& s = in[i]->shape;
  int64_t r = static_cast<int64_t>(s.rank());
  if (axis < 0) axis += r;
  if (axis < 0 || axis >= r) return 1;
  const Dim& d = s[static_cast<size_t>(axis)];
  return d.is_const() ? d.value() : 1;
}

Cost cost_of(const OpDef& op, const CostContext& c) {
  if (op.cost) return op.cost(c);
  Cost r;
  for (const Type* t : c.in)
    if (t) r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
  for (const Type* t : c.out)
    if (t) {
      r.flops += c.elements(t);
      r.bytes += c.elements(t) * dtype_bits(t->dtype) / 8;
    }
  if (op.is(kView)) return {};
  return r;
}

// ---------------------------------------------------------------- KernelContext

const Datum& KernelContext::in_datum(size_t i) const {
  if (has(i)) return *in_[i];
  const char* formal = node_.def && i < node_.def->inputs.size() ? node_.def->inputs[i].name : "";
  fail(Code::kInvalidModel, "required input ", i, " ", formal, " is missing");
}

const Tensor& KernelContext::in(size_t i) const { return in_datum(i).tensor(); }

Tensor& KernelContext::out(size_t i, DType t, const Dims& d) {
  check(i < out_.size(), Code::kInternal, "output ", i, " does not exist");
  Datum& o = out_[i];
  if (o.is_tensor()) {
    Tensor& planned = o.tensor();
    check(planned.dtype() == t && planned.dims() == d, Code::kInternal, "output ", i, " was planned as ",
          describe(planned), " but is ", dtype_name(t), to_string(d));
    return planned;
  }
  o = Datum(Tensor(t, d));
  return o.tensor();
}

void KernelContext::set_out(size_t i, Datum v) {
  check(i < out_.size(), Code::kInternal, "output ", i, " does not exist");
  if (out_[i].is_tensor() && v.is_tensor()) {
    const Tensor& src = v.tensor();
    Tensor& dst = out(i, src.dtype(), src.dims());
    if (src.dtype() == DType::kString) {
      for (int64_t k = 0; k < src.size(); ++k) dst.data<std::string>()[k] = src.data<std::string>()[k];
    } else if (src.size() && dst.raw() != src.raw()) {
      std::memmove(dst.raw(), src.raw(), src.bytes());
    }
    return;
  }
  out_[i] = std::move(v);
}

std::vector<Datum> KernelContext::run_subgraph(std::string_view attr, std::span<const Datum> inputs) {
  check(host_ != nullptr, Code::kInternal, "no executor for the subgraph of ", node_.label());
  return host_->run_subgraph(node_, *node_.attr_graph(attr), inputs);
}

// ---------------------------------------------------------------- resolve_ops

namespace {

void check_arity(const Node& n, const std::vector<Formal>& formals, const std::vector<ValueId>& given,
                 const char* what) {
  bool variadic = !formals.empty() && formals.back().arity == Arity::kVariadic;
  check(variadic || given.size() <= formals.size(), Code::kInvalidModel, n.label(), " has ", given.size(),
        " ", what, "s; the operator takes at most ", formals.size());
  for (size_t i = 0; i < formals.size(); ++i) {
    if (formals[i].arity != Arity::kRequired) continue;
    check(i < given.size() && given[i] != kNoValue, Code::kInvalidModel, n.label(), ": ", what, " ", i, " ('",
          formals[i].name, "') is required and missing");
  }
}

void check_attributes(const Node& n, const OpDef& d) {
  for (const AttrDef& a : d.attributes) {
    const Attribute* given = n.attr(a.name);
    if (!given) {
      check(!a.required, Code::kInvalidModel, n.label(), ": the required attribute '", a.name,
            "' is missing");
      continue;
    }
    if (!given->ref_name.empty()) continue;
    check(given->type() == a.type, Code::kInvalidModel, n.label(), ": attribute '", a.name,
          "' must be of type ", attr_type_name(a.type), ", it is ", attr_type_name(given->type()));
  }
}

bool is_function(const std::vector<Function>& fs, const Node& n) {
  for (const Function& f : fs)
    if (f.name == n.op && f.domain == n.domain && f.overload == n.overload) return true;
  return false;
}

void resolve_node(Node& n, const std::vector<Function>& functions, const OpRegistry* custom) {
  if (is_function(functions, n)) return;
  const OpDef* d = find_op(n.domain, n.op);
  if (!d && custom) d = custom->find(n.domain, n.op);
  check(d != nullptr, Code::kUnsupported, n.label(), ": the operator '", n.op, "' of domain '",
        domain_text(n.domain),
        "' is not known to this build; see `skiff info --operators`, or load a library that has it (--custom-ops LIB.so, option custom_ops)");
  bool standard = n.domain.empty();
  check(!standard || n.opset <= kNewestOpset, Code::kUnsupported, n.label(), ": opset ", n.opset,
        " of the default domain is newer than ", kNewestOpset,
        ", the newest this build knows; export with an older opset");
  check(d->is(kInternal) || n.opset > 0, Code::kInvalidModel, n.label(),
        ": the model imports no opset of domain '", domain_text(n.domain), "'; add it to opset_import");
  int v = d->is(kInternal) ? 1 : d->version(n.opset);
  check(v > 0, Code::kInvalidModel, n.label(), ": the operator does not exist before opset ",
        d->versions.front(), ", the model imports opset ", n.opset);
  // A removed operator that models in the field still carry is run with its last meaning.
  n.def = d;
  check_arity(n, d->inputs, n.inputs, "input");
  check_arity(n, d->outputs, n.outputs, "output");
  check_attributes(n, *d);
}

}  // namespace

void resolve_ops(Graph& g, const std::vector<Function>& functions, const OpRegistry* custom) {
  for (NodeId id : g.order()) {
    Node& n = g.mutable_node(id);
    resolve_node(n, functions, custom);
    for (Attribute& a : n.attributes) {
      if (auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value)) {
        if (*s) resolve_ops(**s, functions, custom);
      } else if (auto* l = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value)) {
        for (auto& s2 : *l)
          if (s2) resolve_ops(*s2, functions, custom);
      }
    }
  }
}

}  // namespace skiff
