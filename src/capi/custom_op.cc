// An author's description as a catalogue entry, and the calls of the author's callbacks.
#include <cstddef>
#include <cstring>
#include <list>
#include <mutex>

#include "capi/custom.h"
#include "capi/custom_call.h"

namespace skiff::capi {
namespace {

struct CustomOp {
  std::shared_ptr<const void> library;  // first: the last to go
  skiff_custom_op op{};
  std::list<std::string> texts;  // what the entry's names point to
  std::string label;             // "com.example.Thing"
  OpDef def;

  const char* keep(const char* s) { return texts.emplace_back(s).c_str(); }
  CustomOp() = default;
  CustomOp(const CustomOp&) = delete;
  CustomOp& operator=(const CustomOp&) = delete;
  ~CustomOp() {
    if (!op.free_user) return;
    try {
      op.free_user(op.user);
    } catch (...) {  // nobody is left to tell
    }
  }
};

const CustomOp& record(const Node& n) { return *static_cast<const CustomOp*>(n.def->custom); }

// Calls an author's code; anything but SKIFF_OK, exceptions included, is thrown as an Error.
template <class F>
void call_author(skiff_call& call, const char* what, F&& f) {
  std::string saved = take_error();  // table functions overwrite the thread's message; it is the caller's
  skiff_status s = SKIFF_OK;
  try {
    s = f();
  } catch (const std::exception& e) {
    fail(Code::kInternal, "the custom operator's ", what,
         " threw: ", *e.what() ? e.what() : call.message.c_str());
  } catch (...) {
    fail(Code::kInternal, "the custom operator's ", what, " threw something that is no std::exception");
  }
  std::string inner = take_error();
  if (s == SKIFF_OK) {
    store_error(Code::kOk, saved.c_str());
    return;
  }
  auto code = static_cast<int>(s);
  check(code > 0 && code <= static_cast<int>(Code::kInternal), Code::kInternal, "the custom operator's ",
        what, " returned ", code, ", which is no status");
  std::string text = !call.message.empty() ? call.message : inner;
  if (text.empty()) text = cat("the custom operator's ", what, " failed: ", skiff_status_name(s));
  fail_text(static_cast<Code>(code), std::move(text));
}

// ---------------------------------------------------------------- state

class State : public NodeState {
 public:
  State(const CustomOp& op, const Node& n) : op_(op) {
    if (!op.op.create) return;
    skiff_call call{n};
    call_author(call, "create", [&] { return op.op.create(&call, op.op.user, &state_); });
    made_ = true;
  }
  ~State() override {
    if (!made_) return;
    try {
      op_.op.destroy(op_.op.user, state_);
    } catch (...) {  // a node is going away: nobody is left to tell
    }
  }
  void* get() const { return state_; }
  std::mutex& mutex() { return mutex_; }

 private:
  const CustomOp& op_;
  void* state_ = nullptr;
  bool made_ = false;
  std::mutex mutex_;
};

std::unique_ptr<NodeState> make_state(const Node& n) {
  try {
    return std::make_unique<State>(record(n), n);
  } catch (Error& e) {
    if (e.where().find(n.label()) == std::string::npos) e.add_where(n.label());
    throw;
  }
}

// ---------------------------------------------------------------- rule and kernel

// Element types of outputs where the formals alone say them.
void types_of_formals(InferContext& c) {
  const OpDef& d = *c.node().def;
  auto formal = [](const std::vector<Formal>& f, size_t i) -> const Formal* {
    return f.empty() ? nullptr : i < f.size() ? &f[i] : &f.back();
  };
  for (size_t o = 0; o < c.outputs(); ++o) {
    const Formal* f = formal(d.outputs, o);
    if (!f || f->types == 0) continue;
    DType t = DType::kUndefined;
    if ((f->types & (f->types - 1)) == 0)
      for (int k = 1; k < kDTypeCount; ++k)
        if (f->types == mask_of(static_cast<DType>(k))) t = static_cast<DType>(k);
    for (size_t i = 0; f->tvar && t == DType::kUndefined && i < c.inputs(); ++i)
      if (const Formal* g = formal(d.inputs, i); g && g->tvar == f->tvar && c.has(i)) t = c.dtype(i);
    c.set(o, t);
  }
}

void infer(InferContext& c) {
  const CustomOp& op = record(c.node());
  types_of_formals(c);
  if (!op.op.infer) return;
  skiff_call call{c.node(), &c};
  call_author(call, "type and shape rule", [&] { return op.op.infer(&call, op.op.user); });
}

void compute(KernelContext& c) {
  const CustomOp& op = record(c.node());
  auto* state = static_cast<State*>(c.state());
  skiff_call call{c.node(), nullptr, &c};
  call.made.resize(c.outputs());
  {
    std::unique_lock<std::mutex> lock;
    if ((op.op.flags & SKIFF_OP_SERIAL) && state) lock = std::unique_lock(state->mutex());
    call_author(call, "kernel",
                [&] { return op.op.compute(&call, op.op.user, state ? state->get() : nullptr); });
  }
  for (size_t i = 0; i < c.outputs(); ++i)
    check(!c.wants(i) || call.made[i], Code::kInvalidArgument,
          "the custom operator's kernel did not make output ", i);
}

// ---------------------------------------------------------------- checking a description

std::vector<Formal> formals(CustomOp& c, const skiff_custom_formal* list, size_t n, const char* what) {
  check(n <= 64, Code::kInvalidArgument, "custom operator ", c.label, ": ", n, " ", what,
        "s; at most 64 can be described, a variadic one stands for any number");
  check(list || n == 0, Code::kInvalidArgument, "custom operator ", c.label, ": ", what,
        "s must not be NULL");
  std::vector<Formal> r;
  for (size_t i = 0; i < n; ++i) {
    const skiff_custom_formal& f = list[i];
    auto wrong = [&](bool bad, const char* why) {
      check(!bad, Code::kInvalidArgument, "custom operator ", c.label, ": ", what, " ", i, " ", why);
    };
    wrong(!f.name || !*f.name, "has no name");
    wrong(f.arity > SKIFF_VARIADIC, "has an unknown arity");
    wrong(f.arity == SKIFF_VARIADIC && i + 1 < n, "is variadic but not the last");
    wrong((f.dtypes & ~kAllTypes) != 0, "names element types that do not exist");
    wrong(f.type_var < 0, "has a letter outside ASCII");
    wrong((f.flags & ~SKIFF_FORMAL_SHAPES) != 0 || f.reserved != 0, "has flags this version does not know");
    wrong((f.flags & SKIFF_FORMAL_SHAPES) && (*what == 'o' || i >= 32), "cannot be read by the shape rule");
    if (f.flags & SKIFF_FORMAL_SHAPES) c.def.value_inputs |= 1u << i;
    if (f.dtypes == 0) c.def.flags |= kNonTensor;
    r.push_back({c.keep(f.name), f.dtypes, f.type_var, static_cast<Arity>(f.arity)});
  }
  return r;
}

void attributes(CustomOp& c) {
  const skiff_custom_op& op = c.op;
  check(op.attributes || op.attribute_count == 0, Code::kInvalidArgument, "custom operator ", c.label,
        ": attributes must not be NULL");
  check(op.attribute_count <= 1024, Code::kInvalidArgument, "custom operator ", c.label,
        ": more than 1024 attributes");
  for (size_t i = 0; i < op.attribute_count; ++i) {
    const skiff_custom_attr& a = op.attributes[i];
    check(a.name && *a.name, Code::kInvalidArgument, "custom operator ", c.label, ": attribute ", i,
          " has no name");
    bool known = (a.type >= SKIFF_ATTR_FLOAT && a.type <= SKIFF_ATTR_TENSOR) ||
                 (a.type >= SKIFF_ATTR_FLOATS && a.type <= SKIFF_ATTR_TENSORS);
    check(known, Code::kInvalidArgument, "custom operator ", c.label, ": attribute '", a.name,
          "' has the type ", a.type, ", which custom operators cannot have");
    c.def.attributes.push_back({c.keep(a.name), static_cast<AttrType>(a.type), a.required != 0});
  }
}

}  // namespace

void add_custom_op(const skiff_custom_op& given, std::shared_ptr<const void> library,
                   FunctionRef<void(std::shared_ptr<const OpDef>)> add) {
  auto c = std::make_shared<CustomOp>();
  constexpr size_t kLeast = offsetof(skiff_custom_op, destroy) + sizeof(given.destroy);
  check(given.struct_size >= kLeast, Code::kInvalidArgument, "custom operator: struct_size is ",
        given.struct_size, ", it must be sizeof(skiff_custom_op)");
  skiff_custom_op op{};
  std::memcpy(&op, &given, std::min<size_t>(given.struct_size, sizeof op));
  check(op.domain && op.name && *op.name, Code::kInvalidArgument,
        "custom operator: domain and name must be given");
  c->label = cat(op.domain, ".", op.name);
  check(op.compute != nullptr, Code::kInvalidArgument, "custom operator ", c->label,
        ": compute must not be NULL");
  check(!op.create == !op.destroy, Code::kInvalidArgument, "custom operator ", c->label,
        ": create and destroy go together");
  constexpr uint32_t kKnown = SKIFF_OP_PURE | SKIFF_OP_SERIAL | SKIFF_OP_VALUE_SHAPES;
  check((op.flags & ~kKnown) == 0, Code::kInvalidArgument, "custom operator ", c->label,
        ": flags this version of Skiff does not know");
  OpDef& d = c->def;
  d.domain = c->keep(op.domain);
  d.name = c->keep(op.name);
  d.versions = {1};
  if (op.versions || op.version_count) {
    check(op.versions && op.version_count > 0 && op.version_count <= 1024, Code::kInvalidArgument,
          "custom operator ", c->label, ": versions and version_count contradict each other");
    d.versions.assign(op.versions, op.versions + op.version_count);
  }
  for (size_t i = 0; i < d.versions.size(); ++i)
    check(d.versions[i] > (i ? d.versions[i - 1] : 0), Code::kInvalidArgument, "custom operator ", c->label,
          ": versions must be positive and ascending");
  d.flags = kHostOnly | kUntrusted;
  if (!(op.flags & SKIFF_OP_PURE) || op.create) d.flags |= kNondeterministic;
  if (!op.infer || (op.flags & SKIFF_OP_VALUE_SHAPES)) d.flags |= kDataDependent;
  c->op = op;
  c->op.free_user = nullptr;  // an operator that is refused stays its author's
  d.inputs = formals(*c, op.inputs, op.input_count, "input");
  d.outputs = formals(*c, op.outputs, op.output_count, "output");
  check(!d.outputs.empty(), Code::kInvalidArgument, "custom operator ", c->label, ": it has no output");
  attributes(*c);
  d.infer = infer;
  d.reference = compute;
  if (op.create || (op.flags & SKIFF_OP_SERIAL)) d.make_state = make_state;
  d.custom = c.get();
  // What was the author's is not touched again.
  c->op.domain = d.domain;
  c->op.name = d.name;
  c->op.versions = nullptr;
  c->op.inputs = c->op.outputs = nullptr;
  c->op.attributes = nullptr;
  c->library = std::move(library);
  add({c, &c->def});
  c->op.free_user = op.free_user;
}

}  // namespace skiff::capi
