// Control flow: If, Loop, Scan. Bodies run through the host; each iteration's values are whole Datums.
#include <algorithm>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

bool truth(const Tensor& t, const char* what) {
  check(t.size() == 1 && t.dtype() == DType::kBool, Code::kInvalidModel, what, " must be one bool, it is ",
        describe(t));
  return get_int(t, 0) != 0;
}

// What is true of both types.
Type common(const Type& a, const Type& b) {
  if (a.kind != b.kind) return {};
  Type t = a;
  if (a.dtype != b.dtype) t.dtype = DType::kUndefined;
  if (a.kind == Type::Kind::kTensor) {
    if (!a.shape.has_rank() || !b.shape.has_rank() || a.shape.rank() != b.shape.rank()) {
      t.shape = SymShape();
    } else {
      for (size_t i = 0; i < a.shape.rank(); ++i)
        if (!(a.shape[i] == b.shape[i])) t.shape[i] = Dim();
    }
  } else if (a.elem && b.elem) {
    t.elem = std::make_shared<const Type>(common(*a.elem, *b.elem));
  } else {
    t.elem = a.elem ? a.elem : b.elem;
  }
  return t;
}

// ---------------------------------------------------------------- If

void infer_if(InferContext& c) {
  std::vector<Type> a = c.infer_subgraph("then_branch", {});
  std::vector<Type> b = c.infer_subgraph("else_branch", {});
  check(a.size() == c.outputs() && b.size() == c.outputs(), Code::kInvalidModel, "the branches give ",
        a.size(), " and ", b.size(), " outputs, the node has ", c.outputs());
  auto cond = c.data(0);
  for (size_t i = 0; i < a.size(); ++i) {
    if (cond && cond->size() == 1 && (*cond)[0].is_const()) {
      c.set(i, (*cond)[0].is(0) ? b[i] : a[i]);
    } else if (a[i].kind == Type::Kind::kOptional && b[i].kind != Type::Kind::kOptional) {
      c.set(i, a[i]);
    } else {
      c.set(i, common(a[i], b[i]));
    }
  }
}

void if_reference(KernelContext& c) {
  bool cond = truth(c.in(0), "the condition");
  std::vector<Datum> r = c.run_subgraph(cond ? "then_branch" : "else_branch", {});
  check(r.size() == c.outputs(), Code::kInvalidModel, "the branch gives ", r.size(),
        " outputs, the node has ", c.outputs());
  for (size_t i = 0; i < r.size(); ++i)
    if (c.wants(i)) c.set_out(i, std::move(r[i]));
}

// ---------------------------------------------------------------- stacking

// Pieces of one shape become slices of a new axis, written as they come.
class Stack {
 public:
  void add(const Datum& d) { pieces_.push_back(d.tensor()); }

  // `reverse`: the last piece comes first. With no pieces the element type and extents come from `empty`.
  void finish(KernelContext& c, size_t output, int64_t axis, bool reverse, const Type& empty) {
    if (!c.wants(output)) return;
    Dims d;
    DType t = empty.dtype;
    if (!pieces_.empty()) {
      t = pieces_[0].dtype();
      d = pieces_[0].dims();
    } else {
      check(t != DType::kUndefined, Code::kInvalidModel, "scan output ", output,
            " has no iterations and no declared element type");
      for (const Dim& x : empty.shape.dims()) d.push_back(x.is_const() ? x.value() : 0);
    }
    Dims piece = d;
    auto a = static_cast<size_t>(normalize_axis(axis, static_cast<int64_t>(d.size()) + 1));
    auto n = static_cast<int64_t>(pieces_.size());
    d.insert(a, n);
    Tensor& y = c.out(output, t, d);
    Dims strides = strides_of(d);
    int64_t step = strides[a];
    strides.erase(a);
    Dims own = strides_of(piece);
    for (int64_t i = 0; i < n; ++i) {
      const Tensor& p = pieces_[static_cast<size_t>(i)];
      check(p.dtype() == t && p.dims() == piece, Code::kInvalidModel, "scan output ", output,
            " changes from ", dtype_name(t), to_string(piece), " to ", describe(p));
      ref::copy_box(y, (reverse ? n - 1 - i : i) * step, strides, p, 0, own, piece);
    }
  }

 private:
  std::vector<Tensor> pieces_;
};

const Type& body_output(const KernelContext& c, size_t i) {
  const Graph& g = *c.node().attr_graph("body");
  return g.value(g.outputs()[i]).type;
}

// ---------------------------------------------------------------- Loop

// The body's types are looked for by assuming the first iteration's and giving up what does not last.
void infer_loop(InferContext& c) {
  check(c.inputs() >= 2, Code::kInvalidModel, "Loop needs a trip count and a condition (they may be absent)");
  size_t carried = c.inputs() - 2;
  std::vector<Type> in(2 + carried);
  in[0] = Type::tensor(DType::kInt64, SymShape::of_rank(0));
  in[1] = Type::tensor(DType::kBool, SymShape::of_rank(0));
  for (size_t i = 0; i < carried; ++i) in[2 + i] = c.type(2 + i);
  std::vector<Type> out;
  for (int round = 0;; ++round) {
    out = c.infer_subgraph("body", in);
    check(out.size() == 1 + c.outputs() && c.outputs() >= carried, Code::kInvalidModel, "the body gives ",
          out.size(), " outputs; the condition and the node's ", c.outputs(), " outputs are needed");
    bool stable = true;
    for (size_t i = 0; i < carried; ++i) {
      Type t = round < 8 ? common(in[2 + i], out[1 + i]) : Type::tensor(in[2 + i].dtype);
      if (in[2 + i].kind != Type::Kind::kTensor || out[1 + i].kind != Type::Kind::kTensor) continue;
      if (t.shape.has_rank() == in[2 + i].shape.has_rank() &&
          t.shape.to_string() == in[2 + i].shape.to_string())
        continue;
      stable = false;
      in[2 + i] = std::move(t);
    }
    if (stable || round > 8) break;
  }
  Dim trips;
  auto m = c.has(0) ? c.data(0) : std::nullopt;
  const Graph& body = *c.node().attr_graph("body");
  // The trip count is exact when the body hands the condition through.
  bool steady = body.outputs()[0] == body.inputs()[1];
  if (m && m->size() == 1 && steady && !c.has(1)) trips = (*m)[0];
  for (size_t i = 0; i < c.outputs(); ++i) {
    Type t = std::move(out[1 + i]);
    if (i < carried) {
      c.set(i, t.kind == Type::Kind::kTensor ? common(in[2 + i], t) : t);
      continue;
    }
    if (t.shape.has_rank()) {
      std::vector<Dim> d{trips};
      // The extents of one iteration may differ from the next when symbolic.
      for (const Dim& x : t.shape.dims()) d.push_back(x);
      t.shape = SymShape(std::move(d));
    }
    c.set(i, std::move(t));
  }
}

void loop_reference(KernelContext& c) {
  int64_t trips = INT64_MAX;
  if (c.has(0)) {
    check(c.in(0).size() == 1, Code::kInvalidModel, "the trip count must be one number, it is ",
          describe(c.in(0)));
    trips = get_int(c.in(0), 0);
  }
  check(c.inputs() >= 2, Code::kInvalidModel, "Loop needs a trip count and a condition (they may be absent)");
  bool go = !c.has(1) || truth(c.in(1), "the condition");
  size_t carried = c.inputs() - 2, scans = c.outputs() - std::min(c.outputs(), carried);
  check(c.outputs() >= carried, Code::kInvalidModel, "Loop has fewer outputs than carried values");
  std::vector<Datum> state(2 + carried);
  for (size_t i = 0; i < carried; ++i)
    if (c.has(2 + i)) state[2 + i] = c.in_datum(2 + i);
  std::vector<Stack> stacks(scans);
  for (int64_t i = 0; i < trips && go; ++i) {
    c.poll();
    check(i < c.max_loop_trips(), Code::kLimit, "the loop runs longer than max_loop_trips = ",
          c.max_loop_trips(), "; raise max_loop_trips if the model can be trusted");
    state[0] = Tensor::scalar(i);
    Tensor cond(DType::kBool, {});
    *cond.data<uint8_t>() = 1;
    state[1] = cond;
    std::vector<Datum> r = c.run_subgraph("body", state);
    check(r.size() == 1 + carried + scans, Code::kInvalidModel, "the body gives ", r.size(), " outputs; ",
          1 + carried + scans, " are needed");
    go = truth(r[0].tensor(), "the body's condition");
    for (size_t k = 0; k < carried; ++k) state[2 + k] = std::move(r[1 + k]);
    for (size_t k = 0; k < scans; ++k) stacks[k].add(r[1 + carried + k]);
  }
  for (size_t k = 0; k < carried; ++k)
    if (c.wants(k)) c.set_out(k, std::move(state[2 + k]));
  for (size_t k = 0; k < scans; ++k)
    stacks[k].finish(c, carried + k, 0, false, body_output(c, 1 + carried + k));
}

// ---------------------------------------------------------------- Scan

// Scan-8 has a leading sequence_lens input and a batch axis before everything; Scan-9 has neither.
struct ScanForm {
  bool batched;
  size_t first;          // index of the first state input
  size_t states, scans;  // inputs of each kind
  size_t scan_outputs;
};

ScanForm scan_form(const Node& n, size_t inputs, size_t outputs) {
  ScanForm f{};
  f.batched = n.opset < 9;
  f.first = f.batched ? 1 : 0;
  int64_t k = n.attr_i("num_scan_inputs", 0);
  check(k >= 1 && static_cast<size_t>(k) + f.first <= inputs, Code::kInvalidModel,
        "attribute 'num_scan_inputs' = ", k, " does not fit the ", inputs, " inputs");
  f.scans = static_cast<size_t>(k);
  f.states = inputs - f.first - f.scans;
  check(outputs >= f.states, Code::kInvalidModel, "Scan has fewer outputs than state variables");
  f.scan_outputs = outputs - f.states;
  return f;
}

std::vector<int64_t> per_scan(const Node& n, const char* name, size_t count) {
  std::vector<int64_t> v = n.attr_ints(name);
  check(v.empty() || v.size() == count, Code::kInvalidModel, "attribute '", name, "' has ", v.size(),
        " entries, ", count, " are needed");
  v.resize(count, 0);
  return v;
}

void infer_scan(InferContext& c) {
  ScanForm f = scan_form(c.node(), c.inputs(), c.outputs());
  std::vector<int64_t> axes(f.scans, 0), out_axes(f.scan_outputs, 0);
  if (!f.batched) {
    axes = per_scan(c.node(), "scan_input_axes", f.scans);
    out_axes = per_scan(c.node(), "scan_output_axes", f.scan_outputs);
  }
  size_t lead = f.batched ? 1 : 0;
  Dim length, batch;
  std::vector<Type> in;
  for (size_t i = 0; i < f.states + f.scans; ++i) {
    Type t = c.type(f.first + i);
    if (t.shape.has_rank()) {
      auto& d = t.shape.dims();
      check(d.size() >= lead, Code::kInvalidModel, "input ", f.first + i, " lacks the batch axis");
      if (lead) {
        batch = d[0];
        d.erase(d.begin());
      }
      if (i >= f.states) {
        size_t a = rule::axis(axes[i - f.states], d.size());
        if (!length.is_known()) length = d[a];
        d.erase(d.begin() + static_cast<ptrdiff_t>(a));
      }
    }
    in.push_back(std::move(t));
  }
  std::vector<Type> out = c.infer_subgraph("body", in);
  check(out.size() == c.outputs(), Code::kInvalidModel, "the body gives ", out.size(),
        " outputs, the node has ", c.outputs());
  for (size_t i = 0; i < out.size(); ++i) {
    Type t = std::move(out[i]);
    // State shapes do not change over the iterations.
    if (i < f.states) t = in[i].shape.has_rank() ? in[i] : t;
    if (t.shape.has_rank()) {
      auto& d = t.shape.dims();
      if (i >= f.states) {
        size_t a = rule::axis(out_axes[i - f.states], d.size() + 1);
        d.insert(d.begin() + static_cast<ptrdiff_t>(a), length);
      }
      if (lead) d.insert(d.begin(), batch);
    }
    c.set(i, std::move(t));
  }
}

Tensor slice_at(const Tensor& x, int64_t axis, int64_t i) {
  auto a = static_cast<size_t>(axis);
  Dims d = x.dims(), s = strides_of(x.dims());
  int64_t first = i * s[a];
  d.erase(a);
  s.erase(a);
  Tensor y(x.dtype(), d);
  ref::copy_box(y, 0, strides_of(d), x, first, s, d);
  return y;
}

struct ScanResult {
  std::vector<Datum> states;
  std::vector<std::vector<Datum>> scans;  // per output, in the order of iterations
};

// One sequence: `xs` are the scanned tensors, sliced along `axes`, `length` iterations.
ScanResult run_scan(KernelContext& c, std::vector<Datum> states, const std::vector<Tensor>& xs,
                    const std::vector<int64_t>& axes, const std::vector<int64_t>& directions, int64_t length,
                    size_t scan_outputs) {
  ScanResult r{std::move(states), std::vector<std::vector<Datum>>(scan_outputs)};
  check(length <= c.max_loop_trips(), Code::kLimit, "the scan of length ", length,
        " runs longer than max_loop_trips = ", c.max_loop_trips(),
        "; raise max_loop_trips if the model can be trusted");
  for (int64_t i = 0; i < length; ++i) {
    c.poll();
    std::vector<Datum> in = r.states;
    for (size_t k = 0; k < xs.size(); ++k) {
      int64_t n = xs[k].dim(axes[k]);
      in.emplace_back(slice_at(xs[k], axes[k], directions[k] ? n - 1 - i : i));
    }
    std::vector<Datum> out = c.run_subgraph("body", in);
    check(out.size() == r.states.size() + scan_outputs, Code::kInvalidModel, "the body gives ", out.size(),
          " outputs; ", r.states.size() + scan_outputs, " are needed");
    for (size_t k = 0; k < r.states.size(); ++k) r.states[k] = std::move(out[k]);
    for (size_t k = 0; k < scan_outputs; ++k) r.scans[k].push_back(std::move(out[r.states.size() + k]));
  }
  return r;
}

void scan9(KernelContext& c, const ScanForm& f) {
  std::vector<int64_t> axes = per_scan(c.node(), "scan_input_axes", f.scans);
  std::vector<int64_t> out_axes = per_scan(c.node(), "scan_output_axes", f.scan_outputs);
  std::vector<int64_t> in_dirs = per_scan(c.node(), "scan_input_directions", f.scans);
  std::vector<int64_t> out_dirs = per_scan(c.node(), "scan_output_directions", f.scan_outputs);
  std::vector<Datum> states;
  for (size_t i = 0; i < f.states; ++i) states.push_back(c.in_datum(i));
  std::vector<Tensor> xs;
  int64_t length = -1;
  for (size_t i = 0; i < f.scans; ++i) {
    xs.push_back(c.in(f.states + i));
    axes[i] = normalize_axis(axes[i], xs[i].rank());
    int64_t n = xs[i].dim(axes[i]);
    check(length < 0 || n == length, Code::kInvalidModel, "the scanned inputs have the lengths ", length,
          " and ", n);
    length = n;
  }
  ScanResult r = run_scan(c, std::move(states), xs, axes, in_dirs, length, f.scan_outputs);
  for (size_t i = 0; i < f.states; ++i)
    if (c.wants(i)) c.set_out(i, std::move(r.states[i]));
  for (size_t i = 0; i < f.scan_outputs; ++i) {
    Stack s;
    for (const Datum& d : r.scans[i]) s.add(d);
    s.finish(c, f.states + i, out_axes[i], out_dirs[i] != 0, body_output(c, f.states + i));
  }
}

// Each batch entry is a sequence of its own; outputs beyond a shorter sequence's length are zero.
void scan8(KernelContext& c, const ScanForm& f) {
  std::vector<int64_t> dirs = per_scan(c.node(), "directions", f.scans), axes(f.scans, 0);
  const Tensor& x0 = c.in(f.first + f.states);
  check(x0.rank() >= 2, Code::kInvalidModel, "a scanned input needs batch and sequence axes, it is ",
        describe(x0));
  int64_t batch = x0.dim(0), length = x0.dim(1);
  const Tensor* lens = c.maybe(0);
  check(!lens || lens->size() == batch, Code::kInvalidModel, "input 'sequence_lens' must have ", batch,
        " entries");
  for (size_t i = 0; i < f.states + f.scans; ++i) {
    const Tensor& x = c.in(f.first + i);
    check(x.rank() >= 1 && x.dim(0) == batch && (i < f.states || (x.rank() >= 2 && x.dim(1) == length)),
          Code::kInvalidModel, "input ", f.first + i, " is ", describe(x), "; batch ", batch, " and length ",
          length, " are needed");
  }
  std::vector<Stack> states(f.states), scans(f.scan_outputs);
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<Datum> s;
    std::vector<Tensor> xs;
    for (size_t i = 0; i < f.states; ++i) s.emplace_back(slice_at(c.in(f.first + i), 0, b));
    for (size_t i = 0; i < f.scans; ++i) xs.push_back(slice_at(c.in(f.first + f.states + i), 0, b));
    int64_t n = lens ? get_int(*lens, b) : length;
    check(n >= 0 && n <= length, Code::kInvalidModel, "sequence length ", n, " is outside [0, ", length, "]");
    ScanResult r = run_scan(c, std::move(s), xs, axes, dirs, n, f.scan_outputs);
    for (size_t i = 0; i < f.states; ++i) states[i].add(r.states[i]);
    for (size_t i = 0; i < f.scan_outputs; ++i) {
      const Type& t = body_output(c, f.states + i);
      Dims piece;
      DType type = t.dtype;
      if (!r.scans[i].empty()) {
        type = r.scans[i][0].tensor().dtype();
        piece = r.scans[i][0].tensor().dims();
      } else {
        for (const Dim& x : t.shape.dims()) piece.push_back(x.is_const() ? x.value() : 0);
      }
      Dims d = piece;
      d.insert(0, length);
      Tensor whole(type, d);
      ref::fill_zero(whole);
      int64_t size = element_count(piece);
      for (size_t k = 0; k < r.scans[i].size(); ++k) {
        const Tensor& p = r.scans[i][k].tensor();
        check(p.dims() == piece && p.dtype() == type, Code::kInvalidModel, "scan output ", i,
              " changes its shape");
        ref::copy(whole, static_cast<int64_t>(k) * size, 1, p, 0, 1, size);
      }
      scans[i].add(whole);
    }
  }
  for (size_t i = 0; i < f.states; ++i) states[i].finish(c, i, 0, false, body_output(c, i));
  for (size_t i = 0; i < f.scan_outputs; ++i)
    scans[i].finish(c, f.states + i, 0, false, body_output(c, f.states + i));
}

void scan_reference(KernelContext& c) {
  ScanForm f = scan_form(c.node(), c.inputs(), c.outputs());
  f.batched ? scan8(c, f) : scan9(c, f);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, If) {
  return {.name = "If",
          .versions = {1, 11, 13, 16, 19, 21, 23, 24, 25},
          .inputs = {{"cond", kBoolType}},
          .outputs = {{"outputs", kAllTypes, 0, Arity::kVariadic}},
          .attributes = {{"then_branch", AttrType::kGraph, true}, {"else_branch", AttrType::kGraph, true}},
          .infer = infer_if,
          .reference = if_reference,
          .flags = kControlFlow | kDataDependent};
}

SKIFF_OP_DEF(ai_onnx, Loop) {
  return {.name = "Loop",
          .versions = {1, 11, 13, 16, 19, 21, 23, 24, 25},
          .inputs = {{"M", mask_of(DType::kInt64), 0, Arity::kOptional},
                     {"cond", kBoolType, 0, Arity::kOptional},
                     {"v_initial", kAllTypes, 0, Arity::kVariadic}},
          .outputs = {{"v_final_and_scan_outputs", kAllTypes, 0, Arity::kVariadic}},
          .attributes = {{"body", AttrType::kGraph, true}},
          .infer = infer_loop,
          .reference = loop_reference,
          .flags = kControlFlow | kDataDependent,
          .value_inputs = 3};
}

SKIFF_OP_DEF(ai_onnx, Scan) {
  return {.name = "Scan",
          .versions = {8, 9, 11, 16, 19, 21, 23, 24, 25},
          .inputs = {{"initial_state_and_scan_inputs", kAllTypes, 0, Arity::kVariadic}},
          .outputs = {{"final_state_and_scan_outputs", kAllTypes, 0, Arity::kVariadic}},
          .attributes = {{"body", AttrType::kGraph, true},
                         {"num_scan_inputs", AttrType::kInt, true},
                         {"directions", AttrType::kInts},
                         {"scan_input_axes", AttrType::kInts},
                         {"scan_input_directions", AttrType::kInts},
                         {"scan_output_axes", AttrType::kInts},
                         {"scan_output_directions", AttrType::kInts}},
          .infer = infer_scan,
          .reference = scan_reference,
          .flags = kControlFlow};
}

}  // namespace skiff
