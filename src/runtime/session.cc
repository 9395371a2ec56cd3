#include "runtime/session.h"

#include <algorithm>
#include <map>

#include "base/error_where.h"
#include "base/knobs.h"
#include "base/mapped_file.h"
#include "onnx/import.h"
#include "onnx/tensor_proto.h"
#include "ops/infer.h"
#include "passes/pipeline.h"
#include "runtime/devices.h"

namespace skiff::runtime {
namespace {

onnx::ReadOptions read_options(const SessionOptions& o) {
  onnx::ReadOptions r;
  r.max_nodes = static_cast<uint64_t>(o.max_nodes);
  // A subgraph costs three messages (node, attribute, graph); what stands in the innermost one, a few more.
  r.limits.max_depth = 3 * o.max_nesting + 10;
  if (o.memory_limit) r.limits.max_memory = o.memory_limit;
  r.external_folder = o.external_data_dir;
  return r;
}

template <class F>
void each_node(const Graph& g, F&& f) {
  for (NodeId id : g.order()) {
    f(g, g.node(id));
    for (const Attribute& a : g.node(id).attributes)
      if (const auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value))
        if (*s) each_node(**s, f);
  }
}

// Operators take dense tensors: sparse initializers are unfolded once, when the model is loaded.
void densify_constants(Graph& g) {
  for (size_t i = 0; i < g.value_slots(); ++i) {
    Value& v = g.mutable_value(static_cast<ValueId>(i));
    if (v.dead || !v.sparse) continue;
    v.constant = onnx::densify(*v.sparse, UINT64_MAX);  // memory_limit holds
    v.sparse = nullptr;
    v.type = Type::tensor(v.constant.dtype(), SymShape(v.constant.dims()));
  }
  for (NodeId id : g.order())
    for (Attribute& a : g.mutable_node(id).attributes)
      if (auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value))
        if (*s) densify_constants(**s);
}

// "all" stands for every pass a model can run without: function calls and gradients must be expanded.
void expand_all(std::vector<std::string>& skip) {
  if (std::find(skip.begin(), skip.end(), "all") == skip.end()) return;
  skip.clear();
  for (auto list : {passes::general_passes(), passes::target_passes()})
    for (const passes::Pass& p : list)
      if (std::string_view n = p.name; n != "inline_functions" && n != "expand_gradients")
        skip.emplace_back(n);
}

// What a session needs of a model: no producer, no documentation. Tensors are shared.
Model copy_to_run(const Model& m) {
  Model c;
  c.ir_version = m.ir_version;
  c.opsets = m.opsets;
  c.functions = m.functions;
  c.path = m.path;
  c.graph = m.graph.clone();
  return c;
}

void check_model_size(size_t bytes, const SessionOptions& o) {
  check(!o.max_model_size || bytes <= o.max_model_size, Code::kLimit, "the model has ", bytes,
        " bytes, more than max_model_size = ", o.max_model_size,
        "; keep its weights in an external data file, or raise max_model_size");
}

std::map<std::string, std::string> forced_kernels() {
  std::map<std::string, std::string> r;
  for (const std::string& one : split_list(knob("SKIFF_FORCE"), ',')) {
    size_t colon = one.find(':');
    check(colon != std::string::npos, Code::kInvalidArgument, "SKIFF_FORCE: '", one,
          "' is not OPERATOR:KERNEL");
    r[one.substr(0, colon)] = one.substr(colon + 1);
  }
  return r;
}

}  // namespace

std::unique_ptr<Session> Session::load(const std::string& path, const SessionOptions& options) {
  try {
    std::shared_ptr<const MappedFile> file = MappedFile::share(path);
    check_model_size(file->size(), options);
    return make([&] { return onnx::read_model(file, read_options(options)); }, options, file);
  } catch (Error& e) {
    add_where_once(e, cat("file '", path, "'"), path);
    throw;
  }
}

std::unique_ptr<Session> Session::load_memory(std::string_view bytes, const SessionOptions& options) {
  std::shared_ptr<const void> not_owned(bytes.data(), [](const void*) {});
  check_model_size(bytes.size(), options);
  return make([&] { return onnx::read_model_bytes(bytes, not_owned, read_options(options)); }, options,
              nullptr);
}

std::unique_ptr<Session> Session::from_model(Model model, const SessionOptions& options) {
  return make([&] { return std::move(model); }, options, nullptr);
}

std::unique_ptr<Session> Session::make(const std::function<Model()>& read, const SessionOptions& options,
                                       std::shared_ptr<const MappedFile> file,
                                       std::shared_ptr<MemoryBudget> held) {
  // What loading makes and throws away counts against a budget of its own: what stays is charged once, at the
  // end, to the session's.
  BudgetScope budget(std::make_shared<MemoryBudget>(options.memory_limit));
  Stop stop(nullptr, options.time_limit, "loading the model");
  InterruptScope interrupt(&stop);
  return std::unique_ptr<Session>(new Session(read(), options, std::move(file), std::move(held)));
}

Session::Session(Model model, const SessionOptions& options, std::shared_ptr<const MappedFile> file,
                 std::shared_ptr<MemoryBudget> budget)
    : options_(options), model_(std::move(model)), file_(std::move(file)), budget_(std::move(budget)) {
  if (options_.device.empty()) options_.device = device_names().front();
  prepare();
  if (file_) file_->drop_pages();
}

Session::~Session() = default;

void Session::make_devices() {
  DeviceOptions d;
  d.threads = options_.threads;
  if (d.threads == 0) {
    std::string t = knob("SKIFF_THREADS");
    SessionOptions parsed;
    if (!t.empty()) parsed.set("threads", t);
    d.threads = parsed.threads;
  }
  d.isa = options_.isa;
  auto need = [&](const std::string& name) {
    for (const plan::DeviceSlot& s : devices_)
      if (s.name == name) return;
    devices_.push_back({name, make_device(name, d)});
  };
  need(device_names().front());
  need(options_.device);
  for (const plan::PlacementRule& r : plan::parse_placement(options_.place)) need(r.device);
}

void Session::record_ports() {
  std::map<std::string, int> symbols;
  auto port = [](const Value& v) {
    Port p;
    p.name = v.name;
    p.type = v.type;
    for (const Dim& d : v.type.shape.dims()) {
      p.dims.push_back(d.is_const() ? d.value() : -1);
      p.dim_names.push_back(d.is_const() || !d.is_known() ? std::string() : d.to_string());
    }
    return p;
  };
  for (ValueId id : model_.graph.inputs()) {
    const Value& v = model_.graph.value(id);
    inputs_.push_back(port(v));
    inputs_.back().optional = v.constant.defined();
    std::vector<int> axes;
    for (const std::string& n : inputs_.back().dim_names)
      axes.push_back(n.empty() ? -1 : symbols.try_emplace(n, static_cast<int>(symbols.size())).first->second);
    input_symbols_.push_back(std::move(axes));
  }
  symbol_count_ = static_cast<int>(symbols.size());
  for (ValueId id : model_.graph.outputs()) outputs_.push_back(port(model_.graph.value(id)));
}

// Keeps the model as it was read and makes every default a constant. A session that got its parent's budget
// is itself the one for overridden defaults.
void Session::assume_defaults() {
  Graph& g = model_.graph;
  if (budget_ || std::none_of(inputs_.begin(), inputs_.end(), [](const Port& p) { return p.optional; }))
    return;
  assumed_defaults_ = true;
  as_read_ = std::make_unique<Model>(copy_to_run(model_));
  for (ValueId v : g.inputs()) g.mutable_value(v).overridable = false;
}

bool Session::overrides_default(std::span<const Datum* const> inputs) const {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs_[i].optional && inputs[i] && inputs[i]->kind() != Datum::Kind::kNone) return true;
  return false;
}

Session& Session::overridden() {
  std::lock_guard lock(overridden_mutex_);
  if (!overridden_) {
    overridden_ = make([&] { return copy_to_run(*as_read_); }, options_, file_, budget_);
    as_read_.reset();
  }
  return *overridden_;
}

void Session::prepare() {
  Graph& g = model_.graph;
  densify_constants(g);
  custom_ops_ = process_ops();
  custom_ops_.merge(options_.custom_ops);
  resolve_ops(g, model_.functions, &custom_ops_);
  record_ports();
  assume_defaults();
  std::map<std::string, int> counts;
  each_node(g,
            [&](const Graph&, const Node& n) { ++counts[n.domain.empty() ? n.op : n.domain + "." + n.op]; });
  operator_counts_.assign(counts.begin(), counts.end());
  for (size_t i = 0; i < g.value_slots(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    if (!v.constant.defined() || v.constant.dtype() == DType::kString) continue;
    parameters_ += v.constant.size();
    weight_bytes_ += v.constant.bytes();
  }
  make_devices();

  pass_context_.options.skip = options_.skip_passes;
  for (std::string& s : split_list(knob("SKIFF_SKIP_PASSES"), ','))
    pass_context_.options.skip.push_back(std::move(s));
  expand_all(pass_context_.options.skip);
  pass_context_.options.max_folded_bytes = options_.fold_limit;
  pass_context_.options.max_inlined_nodes = options_.max_nodes;
  pass_context_.functions = &model_.functions;
  pass_context_.custom_ops = &custom_ops_;
  passes::run_passes(g, pass_context_, passes::general_passes());
  const TargetTraits& traits = std::find_if(devices_.begin(), devices_.end(), [&](const plan::DeviceSlot& d) {
                                 return d.name == options_.device;
                               })->device->traits();
  pass_context_.target = &traits;
  passes::run_passes(g, pass_context_, passes::target_passes());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    Port& p = outputs_[i];
    if (p.type.kind == Type::Kind::kUnknown) p.type = g.value(g.outputs()[i]).type;
  }
  check(static_cast<int64_t>(g.node_count()) <= options_.max_nodes, Code::kLimit, "the model has ",
        g.node_count(), " nodes, more than max_nodes = ", options_.max_nodes,
        "; raise max_nodes if the model can be trusted");

  plan::place(g, devices_, options_.device, plan::parse_placement(options_.place));
  if (!budget_) budget_ = std::make_shared<MemoryBudget>(options_.memory_limit);
  plan::CompileOptions co;
  co.forced = forced_kernels();
  co.max_depth = options_.max_nesting;
  // Weights that were packed need not stay in memory as pages of the file too.
  constexpr size_t kDropBytes = size_t{2} << 20;
  size_t packed = 0;
  co.packed = [&](size_t bytes) {
    packed += bytes;
    if (!file_ || packed < kDropBytes) return;
    file_->drop_pages();
    packed = 0;
  };
  co.max_depth = options_.max_nesting;
  compiled_ = std::make_unique<plan::CompiledGraph>(g, devices_, co, profile_count_);
  budget_->charge(compiled_->packed_bytes() + compiled_->constant_bytes(), "weights");
  pool_ = std::make_unique<InstancePool>(*compiled_, budget_.get());
}

void Session::check_inputs(std::span<const Datum* const> inputs) const {
  check(inputs.size() == inputs_.size(), Code::kInvalidArgument, "the model takes ", inputs_.size(),
        " inputs, ", inputs.size(), " were given");
  SmallVector<int64_t, 16> symbols(static_cast<size_t>(symbol_count_), -1);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Port& p = inputs_[i];
    const Datum* d = inputs[i];
    if (!d || d->kind() == Datum::Kind::kNone) {
      // fail, not check, in this loop: check would compose its arguments on every run.
      if (!p.optional && p.type.kind != Type::Kind::kOptional)
        fail(Code::kInvalidArgument, "input '", p.name, "' (", p.type.to_string(),
             ") was not given and has no default");
      continue;
    }
    if (p.type.kind != Type::Kind::kTensor) {
      if (p.type.kind != Type::Kind::kUnknown && p.type.kind != Type::Kind::kOptional && d->is_tensor())
        fail(Code::kInvalidArgument, "input '", p.name, "' must be ", p.type.to_string(),
             ", a tensor was given");
      continue;
    }
    if (!d->is_tensor())
      fail(Code::kInvalidArgument, "input '", p.name, "' must be a tensor, ", p.type.to_string());
    const Tensor& t = d->tensor();
    if (p.type.dtype != DType::kUndefined && t.dtype() != p.type.dtype)
      fail(Code::kInvalidArgument, "input '", p.name, "' must have element type ", dtype_name(p.type.dtype),
           ", ", dtype_name(t.dtype()), " was given; convert it (skiff_tensor_cast)");
    if (!p.type.shape.has_rank()) continue;
    if (t.dims().size() != p.dims.size())
      fail(Code::kInvalidArgument, "input '", p.name, "' must have rank ", p.dims.size(), " (",
           p.type.to_string(), "), a tensor of shape ", to_string(t.dims()), " was given");
    for (size_t a = 0; a < p.dims.size(); ++a) {
      int64_t want = p.dims[a], got = t.dims()[a];
      int symbol = input_symbols_[i][a];
      if (symbol >= 0) {
        int64_t& bound = symbols[static_cast<size_t>(symbol)];
        if (bound < 0) bound = got;
        want = bound;
      }
      if (want >= 0 && want != got)
        fail(Code::kInvalidArgument, "input '", p.name, "': extent ", a,
             symbol >= 0 ? cat(" (", p.dim_names[a], ")") : std::string(), " must be ", want, " as in ",
             p.type.to_string(), ", a tensor of shape ", to_string(t.dims()), " was given");
    }
  }
}

void Session::run(std::span<const Datum* const> inputs, std::span<Datum> outputs,
                  std::span<const uint8_t> fixed, const std::atomic<bool>* cancel) {
  try {
    run_model(inputs, outputs, fixed, cancel);
  } catch (Error& e) {
    if (!model_.path.empty()) add_where_once(e, cat("file '", model_.path, "'"), model_.path);
    throw;
  }
}

void Session::run_model(std::span<const Datum* const> inputs, std::span<Datum> outputs,
                        std::span<const uint8_t> fixed, const std::atomic<bool>* cancel) {
  check_inputs(inputs);
  check(outputs.size() == outputs_.size(), Code::kInvalidArgument, "the model gives ", outputs_.size(),
        " outputs, ", outputs.size(), " were asked for");
  if (assumed_defaults_) {
    bool override = overrides_default(inputs);
    last_run_overrode_ = override;
    if (override) return overridden().run(inputs, outputs, fixed, cancel);
  }
  Stop stop(cancel, options_.time_limit, "the run");
  InterruptScope interrupt(&stop);
  BudgetScope budget(budget_);
  RunContext c;
  c.stop = &stop;
  c.max_loop_trips = options_.max_loop_trips;
  c.max_nesting = options_.max_nesting;
  Recorder recorder;
  if (options_.profile) {
    recorder.start = std::chrono::steady_clock::now();
    recorder.resize(static_cast<size_t>(profile_count_));
    c.recorder = &recorder;
  }
  std::unique_ptr<Instance> instance = pool_->take();
  instance->run(c, inputs, {}, outputs, fixed);
  pool_->give(std::move(instance));
  if (options_.profile) merge_profile(recorder);
}

std::vector<Datum> Session::run(std::span<const Datum> inputs) {
  std::vector<const Datum*> in;
  for (const Datum& d : inputs) in.push_back(&d);
  std::vector<Datum> out(outputs_.size());
  run(in, out);
  return out;
}

void Session::merge_profile(const Recorder& r) {
  auto now = std::chrono::steady_clock::now();
  std::lock_guard lock(profile_mutex_);
  profile_.resize(static_cast<size_t>(profile_count_));
  for (size_t i = 0; i < r.nodes.size(); ++i) {
    profile_.nodes[i].ns += r.nodes[i].ns;
    profile_.nodes[i].count += r.nodes[i].count;
    profile_.nodes[i].flops += r.nodes[i].flops;
    profile_.nodes[i].bytes += r.nodes[i].bytes;
  }
  profile_.events = r.events;
  ++profile_runs_;
  profile_wall_ns_ += std::chrono::duration_cast<std::chrono::nanoseconds>(now - r.start).count();
}

}  // namespace skiff::runtime
