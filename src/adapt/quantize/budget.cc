#include "adapt/quantize/budget.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>

#include "adapt/fidelity.h"
#include "ops/op.h"

namespace skiff::adapt {

namespace {

// Measured numbers by key, one line each ("KEY<tab>VALUE"), appended as they come: a search that was cut off
// has lost at most the line it was writing.
class Cache {
 public:
  Cache(std::string path, std::string identity) : path_(std::move(path)), identity_(std::move(identity)) {
    if (path_.empty()) return;
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) {
      size_t tab = line.rfind('\t');
      if (tab == std::string::npos || in.eof()) continue;  // a last line without its end is not trusted
      known_[line.substr(0, tab)] = std::strtod(line.c_str() + tab + 1, nullptr);
    }
  }
  double get(const std::string& what, const std::function<double()>& measure) {
    std::string key = identity_ + " " + what;
    auto it = known_.find(key);
    if (it != known_.end()) return it->second;
    double v = measure();
    known_[key] = v;
    if (!path_.empty()) {
      std::FILE* f = std::fopen(path_.c_str(), "a");
      check(f != nullptr, Code::kIo, path_, ": cannot write the cache");
      std::fprintf(f, "%s\t%.17g\n", key.c_str(), v);
      std::fclose(f);
    }
    return v;
  }

 private:
  std::string path_, identity_;
  std::map<std::string, double> known_;
};

// FNV-1a over what the measurements depend on.
std::string identity_of(const StaticQuantizer& q) {
  uint64_t h = 1469598103934665603u;
  auto mix = [&](const void* p, size_t n) {
    for (size_t i = 0; i < n; ++i) h = (h ^ static_cast<const uint8_t*>(p)[i]) * 1099511628211u;
  };
  const Graph& g = q.base().graph;
  for (NodeId id : g.order()) mix(g.node(id).name.data(), g.node(id).name.size());
  for (size_t i = 0; i < g.value_slots(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    if (!v.dead && v.constant.defined() && v.constant.dtype() == DType::kFloat)
      mix(v.constant.raw(), v.constant.bytes());
  }
  for (const auto& [v, hist] : std::map<ValueId, const Histogram*>([&] {
         std::map<ValueId, const Histogram*> m;
         for (const auto& [id, x] : q.calibration().tensors) m.emplace(id, &x);
         return m;
       }())) {
    float ends[2] = {hist->min(), hist->max()};
    mix(ends, sizeof ends);
  }
  const QuantizeOptions& o = q.options();
  std::string text = cat(o.calibration, o.percentile, o.weight_method, o.per_channel, o.symmetric,
                         o.power_of_two, o.equalize, o.bias_correction, o.smooth, o.report_samples);
  mix(text.data(), text.size());
  char hex[24];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(h));
  return hex;
}

class Search {
 public:
  Search(const StaticQuantizer& q, const Callbacks& call, Report& report)
      : q_(q), o_(q.options()), call_(call), report_(report), cache_(o_.cache, identity_of(q)) {
    names_ = q.products();
    // The float model's outputs, once.
    auto session = open(q.base(), o_.session);
    auto most = static_cast<size_t>(o_.report_samples);
    std::vector<Datum> in;
    for (size_t i = 0; i < most && take_sample(q.base(), call, i, in); ++i) {
      samples_.push_back(in);
      want_.push_back(session->run(in));
    }
    for (NodeId id : q.base().graph.order()) work_[q.base().graph.node(id).name] = work_of(id);
  }

  Overrides run() {
    Overrides best;
    bool scored = o_.max_drop >= 0 && call_.score != nullptr;
    check(scored || o_.max_drop < 0 || o_.min_sqnr > -1e29 || o_.min_agreement >= 0 || o_.min_cosine >= 0,
          Code::kInvalidArgument,
          "max_drop needs a score: give labelled data, or bound the fidelity (min_agreement, min_sqnr, "
          "min_cosine)");
    if (scored) {
      base_score_ = cache_.get("score float", [&] { return call_.score(open(q_.base(), o_.session)); });
      report_.score_before = base_score_;
    }
    if (!holds(best)) best = raise();
    if (allowed("int4")) best = lower(std::move(best));
    if (scored) report_.score_after = base_score_ - drop_of(best);
    return best;
  }

  std::map<std::string, double> sensitivities() const { return noise8_; }

 private:
  bool allowed(const char* p) const {
    return std::find(o_.precisions.begin(), o_.precisions.end(), p) != o_.precisions.end();
  }

  double work_of(NodeId id) const {
    const Graph& g = q_.base().graph;
    const Node& n = g.node(id);
    std::vector<const Type*> in, out;
    for (ValueId v : n.inputs) in.push_back(v == kNoValue ? nullptr : &g.value(v).type);
    for (ValueId v : n.outputs) out.push_back(v == kNoValue ? nullptr : &g.value(v).type);
    return n.def ? std::max(cost_of(*n.def, CostContext{n, in, out}).flops, 1.0) : 1;
  }

  static std::string text_of(const Overrides& a) {
    std::string s;
    for (const auto& [name, p] : a) s += cat(name, "=", precision_name(p), ";");
    return s;
  }

  double drop_of(const Overrides& a) {
    return base_score_ - cache_.get("score " + text_of(a),
                                    [&] { return call_.score(open(q_.build(a).model, o_.session)); });
  }

  Fidelity fidelity_of(const Overrides& a) {
    auto session = open(q_.build(a).model, o_.session);
    Fidelity f;
    for (size_t i = 0; i < samples_.size(); ++i) f.add(want_[i], session->run(samples_[i]));
    return f;
  }

  bool holds(const Overrides& a) {
    call_.report("budget", std::min(1.0, ++tries_ / 24.0));
    bool ok = true;
    if (o_.max_drop >= 0 && call_.score) ok = drop_of(a) <= o_.max_drop + 1e-9;
    if (ok && (o_.min_sqnr > -1e29 || o_.min_agreement >= 0 || o_.min_cosine >= 0)) {
      Fidelity f = fidelity_of(a);
      ok = f.sqnr() >= o_.min_sqnr && f.agreement() >= o_.min_agreement && f.cosine() >= o_.min_cosine;
    }
    return ok;
  }

  // Noise power over signal power in the outputs when this layer alone is quantized.
  double noise(const std::string& layer, Precision p) {
    return cache_.get(cat("noise ", layer, " ", precision_name(p)), [&] {
      Overrides alone;
      for (const std::string& n : names_) alone[n] = n == layer ? p : Precision::kFloat;
      return std::pow(10, -fidelity_of(alone).sqnr() / 10);
    });
  }

  // Layers by what they cost for the work they save, dearest first.
  std::vector<std::string> ranked(Precision p, std::map<std::string, double>& found) {
    for (size_t i = 0; i < names_.size(); ++i) {
      found[names_[i]] = noise(names_[i], p);
      call_.report("sensitivities", static_cast<double>(i + 1) / static_cast<double>(names_.size()));
    }
    std::vector<std::string> order = names_;
    std::stable_sort(order.begin(), order.end(), [&](const std::string& a, const std::string& b) {
      return found[a] / work_[a] > found[b] / work_[b];
    });
    return order;
  }

  Overrides with(Overrides base, const std::vector<std::string>& order, size_t count, Precision p) const {
    for (size_t i = 0; i < count; ++i) base[order[i]] = p;
    return base;
  }

  Overrides raise() {
    std::vector<std::string> order = ranked(Precision::kInt8, noise8_);
    for (Precision p : {Precision::kInt16, Precision::kFloat}) {
      if (!allowed(precision_name(p)) || !holds(with({}, order, order.size(), p))) continue;
      size_t lo = 1, hi = order.size();  // the fewest that suffice; more never hurt but by noise
      while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (holds(with({}, order, mid, p)))
          hi = mid;
        else
          lo = mid + 1;
      }
      report_.notes.push_back(
          cat(lo, " of ", order.size(), " layers needed ", precision_name(p), " to stay within the bound"));
      return with({}, order, lo, p);
    }
    report_.notes.push_back(
        "the bound cannot be held with the precisions allowed; the model was kept in float as far as they "
        "allow");
    return with({}, order, order.size(), allowed("float") ? Precision::kFloat : Precision::kInt16);
  }

  Overrides lower(Overrides base) {
    std::map<std::string, double> noise4;
    std::vector<std::string> order = ranked(Precision::kInt4, noise4);
    std::reverse(order.begin(), order.end());
    std::erase_if(order, [&](const std::string& n) { return base.count(n) > 0; });
    size_t lo = 0, hi = order.size();  // the most that the bound bears
    while (lo < hi) {
      size_t mid = (lo + hi + 1) / 2;
      if (holds(with(base, order, mid, Precision::kInt4)))
        lo = mid;
      else
        hi = mid - 1;
    }
    report_.notes.push_back(cat(lo, " of ", names_.size(), " layers have 4-bit weights"));
    return with(std::move(base), order, lo, Precision::kInt4);
  }

  const StaticQuantizer& q_;
  const QuantizeOptions& o_;
  const Callbacks& call_;
  Report& report_;
  Cache cache_;
  std::vector<std::string> names_;
  std::vector<std::vector<Datum>> samples_, want_;
  std::map<std::string, double> work_, noise8_;
  double base_score_ = 0;
  int tries_ = 0;
};

}  // namespace

Overrides choose_precisions(const StaticQuantizer& q, const Callbacks& call, Report& report) {
  Search s(q, call, report);
  Overrides r = s.run();
  for (const auto& [name, noise] : s.sensitivities()) report.sensitivities.emplace_back(name, noise);
  return r;
}

}  // namespace skiff::adapt
