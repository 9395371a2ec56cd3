// Models that are valid and then bent: reading, shape inference, passes, planning and a run end in results or
// in clean errors, the passes keep every invariant, and what was read can be written again. The mutator works
// on the parsed message, so that most inputs reach beyond the reader.
#include <algorithm>
#include <random>

#include "fuzz/hostile_node.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/wire_read.h"
#include "onnx/wire_write.h"
#include "runtime/session.h"

using namespace skiff;
using namespace skiff::fuzz;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;

class Mutator {
 public:
  explicit Mutator(unsigned seed) : rng_(seed) {}

  // Another valid model from the operator cases.
  std::string fresh() {
    const auto& list = cases::all_cases();
    for (int tries = 0; tries < 20; ++tries) {
      const cases::OpCase& c = list[pick(list.size())];
      size_t bytes = 0;
      for (const Datum& d : c.inputs)
        if (d.is_tensor() && d.tensor().dtype() != DType::kString) bytes += d.tensor().bytes();
      if (bytes > 2000 || c.domain == "skiff") continue;
      try {
        return onnx::write_model_bytes(cases::model_of(c));
      } catch (const Error&) {
      }
    }
    return {};
  }

  void mutate(ModelProto& m) {
    for (size_t n = 1 + pick(3); n > 0; --n) step(m);
  }

 private:
  size_t pick(size_t n) { return static_cast<size_t>(rng_()) % n; }
  template <class List>
  auto& of(List& l) {
    return l[pick(l.size())];
  }
  int64_t number() {
    uint8_t bytes[9];
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng_());
    Choices c(bytes, sizeof bytes);
    return c.hostile_int();
  }

  // A name that some value of the graph has.
  std::string name(GraphProto& g) {
    std::vector<std::string> all;
    for (auto& x : g.input) all.push_back(*x.name);
    for (auto& x : g.initializer) all.push_back(*x.name);
    for (auto& n : g.node)
      for (auto& o : n.output) all.push_back(o);
    return all.empty() ? std::string("x") : of(all);
  }

  GraphProto& graph(ModelProto& m) {
    GraphProto* g = &m.graph.emplace();
    for (int depth = 0; depth < 4; ++depth) {
      std::vector<GraphProto*> subs;
      for (NodeProto& n : g->node)
        for (auto& a : n.attribute)
          if (a.g) subs.push_back(&*a.g);
      if (subs.empty() || pick(3) == 0) break;
      g = of(subs);
    }
    return *g;
  }

  void step(ModelProto& m) {
    GraphProto& g = graph(m);
    if (g.node.empty() && pick(4)) return add_model(m, g);
    NodeProto* n = g.node.empty() ? nullptr : &of(g.node);
    switch (pick(16)) {
      case 0:
      case 1: return add_model(m, g);
      case 2:
        if (n && !n->input.empty()) of(n->input) = name(g);
        return;
      case 3:
        if (n) n->op_type = of(all_ops())->name;
        return;
      case 4:
        if (n && !n->attribute.empty()) attribute(of(n->attribute));
        return;
      case 5:
        if (!g.initializer.empty()) tensor(of(g.initializer));
        return;
      case 6:
        if (!g.input.empty()) type(of(g.input));
        return;
      case 7:
        if (g.node.size() > 1)
          g.node.erase(g.node.begin() + static_cast<std::ptrdiff_t>(pick(g.node.size())));
        return;
      case 8:
        if (!m.opset_import.empty()) of(m.opset_import).version = static_cast<int64_t>(1 + pick(28));
        return;
      case 9:
        if (!g.output.empty()) of(g.output).name = name(g);
        return;
      case 10: return hoist(m, g);
      case 11: return wrap(m, g);
      case 12:
        if (!g.initializer.empty() && pick(2)) {  // an initializer becomes an input, so that nothing folds
          auto at = g.initializer.begin() + static_cast<std::ptrdiff_t>(pick(g.initializer.size()));
          onnx::ValueInfoProto v;
          v.name = *at->name;
          auto& t = v.type.emplace().tensor_type.emplace();
          t.elem_type = *at->data_type;
          for (int64_t d : at->dims) t.shape.emplace().dim.emplace_back().dim_value = d;
          g.input.push_back(std::move(v));
          g.initializer.erase(at);
        }
        return;
      case 13:
        if (n) {
          NodeProto twin = *n;
          for (std::string& o : twin.output) o += "_t";
          if (!twin.output.empty() && !g.output.empty()) of(g.output).name = twin.output[0];
          g.node.push_back(std::move(twin));
        }
        return;
      case 14:
        if (n && !n->output.empty()) {  // one more output of the graph
          onnx::ValueInfoProto v;
          v.name = of(n->output);
          g.output.push_back(v);
        }
        return;
      default:
        if (n && !n->input.empty()) pick(2) ? n->input.pop_back() : n->input.push_back(name(g));
    }
  }

  // The nodes of a case behind those there are, one of its inputs taken from them.
  void add_model(ModelProto& m, GraphProto& g) {
    ModelProto other;
    std::string bytes = fresh();
    if (bytes.empty() || g.node.size() > 40) return;
    onnx::parse(other, bytes, std::make_shared<std::string>(bytes));
    bytes_.push_back(std::make_shared<std::string>(bytes));
    other = {};
    onnx::parse(other, *bytes_.back(), bytes_.back());
    std::string tail = cat("_", rng_() % 100000);
    std::string from = name(g);
    GraphProto& o = *other.graph;
    auto renamed = [&](std::string s) { return s.empty() ? s : s + tail; };
    for (auto& x : o.initializer) x.name = renamed(*x.name);
    for (auto& x : o.input) x.name = renamed(*x.name);
    for (auto& x : o.output) x.name = renamed(*x.name);
    for (auto& n : o.node) {
      n.name = renamed(*n.name);
      for (auto& s : n.input) s = renamed(s);
      for (auto& s : n.output) s = renamed(s);
      if (!n.input.empty() && !n.input[0].empty() && pick(4)) n.input[0] = from;
    }
    auto move_all = [](auto& to, auto& what) {
      for (auto& x : what) to.push_back(std::move(x));
    };
    move_all(g.initializer, o.initializer);
    move_all(g.input, o.input);
    move_all(g.node, o.node);
    if (g.output.size() < 6) move_all(g.output, o.output);
    for (auto& op : other.opset_import)
      if (std::none_of(m.opset_import.begin(), m.opset_import.end(),
                       [&](auto& x) { return *x.domain == *op.domain; }))
        m.opset_import.push_back(op);
  }

  void attribute(onnx::AttributeProto& a) {
    using T = onnx::AttributeProto::Type;
    if (*a.type == T::kInts && !a.ints.empty() && pick(3))
      of(a.ints) = number();
    else if (*a.type == T::kInts)
      a.ints.push_back(number());
    else if (*a.type == T::kInt)
      a.i = number();
    else if (*a.type == T::kFloat)
      a.f = static_cast<float>(number());
    else if (*a.type == T::kTensor && a.t)
      tensor(*a.t);
    else if (pick(8) == 0)
      a.type = static_cast<T>(pick(16));
  }

  void tensor(onnx::TensorProto& t) {
    if (pick(3) == 0 && !t.dims.empty()) {
      of(t.dims) = pick(2) ? static_cast<int64_t>(pick(6)) : number();
    } else if (t.raw_data.has() && *t.data_type == 7 && t.raw_data->view.size() >= 8) {
      auto copy = std::make_shared<std::string>(t.raw_data->view);
      int64_t v = number();
      std::copy_n(reinterpret_cast<const char*>(&v), 8,
                  copy->begin() + static_cast<std::ptrdiff_t>(8 * pick(copy->size() / 8)));
      t.raw_data = onnx::Bytes{*copy, copy};
    } else if (pick(2)) {
      t.data_type = static_cast<int32_t>(pick(28));
    } else {
      t.dims.push_back(1);
    }
  }

  void type(onnx::ValueInfoProto& v) {
    auto& t = v.type.emplace();
    if (!t.tensor_type) {
      t = {};
      t.tensor_type.emplace().elem_type = 1;
    }
    auto& s = t.tensor_type->shape;
    switch (pick(5)) {
      case 0: s.reset(); return;
      case 1: t.tensor_type->elem_type = static_cast<int32_t>(pick(28)); return;
      case 2: s.emplace().dim.emplace_back().dim_value = static_cast<int64_t>(pick(5)); return;
      default: {
        auto& dims = s.emplace().dim;
        if (dims.empty()) return;
        auto& d = of(dims);
        d = {};
        if (pick(2))
          d.dim_param = pick(2) ? "N" : "M";
        else
          d.dim_value = pick(2) ? static_cast<int64_t>(pick(9)) : number();
      }
    }
  }

  // The main graph becomes a function, called once or many times.
  void hoist(ModelProto& m, GraphProto& g) {
    if (&g != &*m.graph || g.node.empty() || m.functions.size() > 4) return;
    onnx::FunctionProto f;
    f.domain = "local";
    f.name = cat("f", m.functions.size());
    f.opset_import = m.opset_import;
    for (auto& v : g.input) f.input.push_back(*v.name);
    for (auto& t : g.initializer) f.input.push_back(*t.name);
    for (auto& v : g.output) f.output.push_back(*v.name);
    f.node = std::move(g.node);
    g.node.clear();
    NodeProto call;
    call.domain = "local";
    call.op_type = *f.name;
    call.input = f.input;
    call.output = f.output;
    m.functions.push_back(std::move(f));
    g.node.push_back(std::move(call));
    onnx::OperatorSetIdProto id;
    id.domain = "local";
    id.version = 1;
    if (m.functions.size() == 1) m.opset_import.push_back(id);
  }

  // The main graph's nodes move into a branch or a body.
  void wrap(ModelProto& m, GraphProto& g) {
    if (&g != &*m.graph || g.node.empty() || g.output.empty()) return;
    GraphProto body;
    body.node = std::move(g.node);
    body.name = "body";
    body.output = g.output;
    g.node.clear();
    NodeProto n;
    onnx::TensorProto truth;
    truth.name = cat("truth", rng_() % 1000);
    truth.data_type = 9;
    truth.int32_data = {static_cast<int32_t>(pick(2))};
    bool loop = pick(2);
    auto graph_attribute = [&](const char* name, const GraphProto& b) {
      onnx::AttributeProto a;
      a.name = name;
      a.type = onnx::AttributeProto::Type::kGraph;
      a.g = b;
      n.attribute.push_back(std::move(a));
    };
    for (auto& o : g.output) n.output.push_back(*o.name);
    if (loop) {
      n.op_type = "Loop";
      onnx::TensorProto trips;
      trips.name = *truth.name + "_n";
      trips.data_type = 7;
      trips.int64_data = {pick(4) ? static_cast<int64_t>(pick(4)) : number()};
      n.input = {*trips.name, *truth.name};
      g.initializer.push_back(trips);
      for (const char* in : {"i", "c"}) {
        onnx::ValueInfoProto v;
        v.name = in + *truth.name;
        body.input.push_back(v);
      }
      body.output.insert(body.output.begin(), body.input[1]);
      graph_attribute("body", body);
    } else {
      n.op_type = "If";
      n.input = {*truth.name};
      graph_attribute("then_branch", body);
      graph_attribute("else_branch", body);
    }
    g.initializer.push_back(std::move(truth));
    g.node.push_back(std::move(n));
  }

  std::minstd_rand rng_;
  std::vector<std::shared_ptr<std::string>> bytes_;  // what parsed payloads view
};

Datum input_for(const runtime::Port& p) {
  Dims d;
  int64_t n = 1;
  for (int64_t x : p.dims) {
    d.push_back(x < 0 ? 2 : x);
    n *= std::min<int64_t>(d.back(), 1 << 20);
    if (n > 20000) fail(Code::kInvalidArgument, "input '", p.name, "' is too large to try");
  }
  Tensor t(p.type.dtype == DType::kUndefined ? DType::kFloat : p.type.dtype, d);
  if (t.dtype() == DType::kString) return t;
  if (t.dtype() == DType::kComplex64 || t.dtype() == DType::kComplex128) {
    std::fill_n(t.data<char>(), t.bytes(), char(0));
    return t;
  }
  for (int64_t i = 0; i < t.size(); ++i) set_double(t, i, static_cast<double>(i % 7) - 2);
  return t;
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Mutator mutator(seed);
  std::string out;
  try {
    ModelProto m;
    std::string_view in(reinterpret_cast<const char*>(data), size);
    std::string base = size < 8 ? mutator.fresh() : std::string();
    if (size < 8) in = base;
    onnx::parse(m, in, std::make_shared<int>());
    if (seed % 16 == 0) return LLVMFuzzerMutate(data, size, max_size);
    mutator.mutate(m);
    out = onnx::serialize(m);
  } catch (const Error&) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  if (out.size() > max_size) return size;
  std::copy(out.begin(), out.end(), data);
  return out.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  runtime::SessionOptions o = tight_options();
  succeeds([&] {
    Limits limits;
    onnx::ReadOptions r;
    r.limits.max_memory = 64 << 20;
    r.max_nodes = 3000;
    Model m = onnx::read_model_bytes(bytes, std::make_shared<int>(), r);
    resolve_ops(m.graph, m.functions);
    (void)onnx::read_model_bytes(onnx::write_model_bytes(m), {}, r);
  });
  for (const char* skip : {"", "all"}) {
    if (*skip) o.skip_passes = {skip};
    succeeds([&] {
      auto s = runtime::Session::load_memory(bytes, o);
      (void)s->info_json("");
      (void)s->print_graph();
      std::vector<Datum> in;
      for (const runtime::Port& p : s->inputs()) {
        if (p.optional)
          in.emplace_back();
        else
          in.push_back(input_for(p));
      }
      (void)s->run(in);
      (void)s->run(in);
    });
  }
  return 0;
}
