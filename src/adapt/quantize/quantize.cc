#include "adapt/quantize/quantize.h"

#include <chrono>
#include <filesystem>
#include <map>

#include "adapt/fidelity.h"
#include "adapt/quantize/budget.h"
#include "adapt/quantize/dynamic.h"
#include "adapt/quantize/half.h"
#include "adapt/quantize/prepare.h"
#include "adapt/quantize/qoperator.h"
#include "adapt/quantize/speed.h"
#include "adapt/quantize/static_quantizer.h"
#include "adapt/quantize/transforms.h"
#include "adapt/quantize/weight_only.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "ops/op.h"

namespace skiff::adapt {
namespace {

// Constants nothing reads any more are not written.
void drop_unused_constants(Graph& g) {
  for (size_t i = 0; i < g.value_slots(); ++i) {
    Value& v = g.mutable_value(static_cast<ValueId>(i));
    if (v.dead || !v.constant.defined() || !v.uses.empty() || v.is_output || v.is_input) continue;
    v.dead = true;
    v.constant = Tensor();
  }
}

// A model that stays as it was says why.
void note_why_nothing(const Model& m, const Plan& plan, Report& report) {
  std::map<std::string, int> reasons;
  bool bodies = false;
  for (const Layer& l : plan.layers) {
    if (l.role == QuantRole::kProduct) ++reasons[l.reason];
    bodies = bodies || m.graph.node(l.node).def->is(kControlFlow);
  }
  std::string why;
  for (const auto& [reason, n] : reasons)
    why += cat(why.empty() ? "" : "; ", n, " matrix products: ", reason);
  if (why.empty()) why = "it has no convolution or matrix product with constant weights";
  if (bodies) why += "; the bodies of If, Loop and Scan stay in float";
  report.notes.push_back("nothing in this model can compute in integers, it was kept in float: " + why);
}

Quantized run_static(Model base, QuantizeOptions o, const Callbacks& call, Report report) {
  if (o.equalize) equalize_layers(base, report);
  if (o.smooth > 0) smooth_activations(base, o, call, report);
  if (o.outliers > 0)
    for (std::string& name : split_outliers(base, o, call, report)) o.exclude.push_back(std::move(name));
  StaticQuantizer q(std::move(base), o, call, report);
  Overrides precisions;
  if (has_bound(o)) precisions = choose_precisions(q, call, report);
  if (o.speed_check == "on" || !o.target.empty()) revert_slow_regions(q, call, precisions, report);
  Build b = q.build(precisions);
  q.describe(b, call, report);
  if (b.emitted.real.empty()) note_why_nothing(q.base(), b.plan, report);
  if (o.format == "qoperator") use_qoperators(b.model);
  return {std::move(b.model), std::move(report)};
}

// How close the result's outputs are, for the modes that have no layers of integers.
void compare_outputs(const Model& before, const Model& after, const QuantizeOptions& o, const Callbacks& call,
                     Report& report) {
  if (!call.sample) return;
  auto a = open(before, o.session), b = open(after, o.session);
  Fidelity f;
  std::vector<Datum> in;
  size_t i = 0;
  for (;
       i < static_cast<size_t>(std::min(o.report_samples, o.max_samples)) && take_sample(before, call, i, in);
       ++i)
    f.add(a->run(in), b->run(in));
  if (i == 0) return;
  report.samples = std::max(report.samples, i);
  report.sqnr = f.sqnr();
  report.cosine = f.cosine();
  if (f.has_decisions()) report.agreement = f.agreement();
}

}  // namespace

Quantized quantize(const Model& m, const QuantizeOptions& o, const Callbacks& caller) {
  Report report;
  report.mode = o.mode;
  Model base = copy_model(m);
  caller.report("prepare", 0);
  size_t inputs = base.graph.inputs().size();
  std::vector<size_t> kept = fix_default_inputs(base);
  prepare(base, o);
  Callbacks call = caller;
  if (kept.size() != inputs) {
    report.notes.push_back(cat(inputs - kept.size(), " inputs with default values became constants"));
    if (caller.sample)
      call.sample = [&caller, kept, inputs](size_t i, std::vector<Datum>& v) {
        std::vector<Datum> all(inputs);
        if (!caller.sample(i, all)) return false;
        v.clear();
        for (size_t k : kept) v.push_back(std::move(all[k]));
        return true;
      };
  }
  Quantized r;
  if (o.mode == "static")
    r = run_static(std::move(base), o, call, std::move(report));
  else {
    Model made = copy_model(base);
    if (o.mode == "dynamic")
      quantize_dynamically(made, o, report);
    else if (o.mode == "weights")
      quantize_weights(made, o, call, report);
    else
      convert_to_half(made, o, call, report);
    compare_outputs(base, made, o, call, report);
    r = {std::move(made), std::move(report)};
  }
  drop_unused_constants(r.model.graph);
  name_nodes(r.model.graph);
  r.model.producer_name = "skiff";
  return r;
}

Report quantize_file(const std::string& in, const std::string& out, const QuantizeOptions& o,
                     const Callbacks& call) {
  namespace fs = std::filesystem;
  auto start = std::chrono::steady_clock::now();
  std::error_code ec;
  check(!fs::equivalent(in, out, ec), Code::kInvalidArgument, out,
        " is the model itself; give the result another name");
  // Found out before the work, not after it.
  fs::path folder = fs::path(out).parent_path();
  if (folder.empty()) folder = ".";
  check(fs::is_directory(folder, ec), Code::kIo, out, ": there is no folder ", folder.string());
  check(!fs::is_directory(out, ec), Code::kIo, out, " is a folder; give a file name");
  onnx::ReadOptions ro;
  ro.max_nodes = static_cast<uint64_t>(o.session.max_nodes);
  ro.external_folder = o.session.external_data_dir;
  Model m = onnx::read_model(in, ro);
  Quantized q;
  try {
    q = quantize(m, o, call);
  } catch (Error& e) {
    if (e.where().find(in) == std::string::npos && e.message().find(in) == std::string::npos) e.add_where(in);
    throw;
  }
  call.report("write", 0);
  onnx::ExportOptions eo;
  eo.value_info =
      false;  // whoever reads the file infers what it needs; for small models it would be a third of it
  onnx::write_model(q.model, out, eo);
  q.report.source = in;
  q.report.result = out;
  q.report.size_before = static_cast<uint64_t>(fs::file_size(in, ec));
  q.report.size_after = static_cast<uint64_t>(fs::file_size(out, ec));
  q.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return q.report;
}

}  // namespace skiff::adapt
