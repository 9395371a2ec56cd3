#include "adapt/observe.h"

#include <algorithm>
#include <cmath>

namespace skiff::adapt {

namespace {

size_t bytes_of(const Value& v) {
  double n = 4;
  for (const Dim& d : v.type.shape.dims())
    n *= d.is_const() ? static_cast<double>(std::max<int64_t>(d.value(), 1)) : 1;
  return static_cast<size_t>(std::min(n, 1e12));
}

}  // namespace

Observer::Observer(const Model& m, std::span<const ValueId> values, const runtime::SessionOptions& options,
                   size_t group_bytes) {
  std::vector<size_t> rest;
  for (size_t k = 0; k < values.size(); ++k) {
    const Value& v = m.graph.value(values[k]);
    check(!v.is_constant(), Code::kInternal, "constant '", v.name, "' cannot be observed");
    if (v.is_input) {
      const auto& in = m.graph.inputs();
      inputs_.emplace_back(k, static_cast<size_t>(std::find(in.begin(), in.end(), values[k]) - in.begin()));
    } else {
      rest.push_back(k);
    }
  }
  for (size_t at = 0; at < rest.size();) {
    Group g;
    Model c = copy_model(m);
    size_t sum = 0;
    for (; at < rest.size(); ++at) {
      ValueId id = values[rest[at]];
      size_t bytes = bytes_of(c.graph.value(id));
      if (!g.values.empty() && sum + bytes > group_bytes) break;
      sum += bytes;
      const auto& out = c.graph.outputs();
      auto it = std::find(out.begin(), out.end(), id);
      g.values.push_back(rest[at]);
      g.outputs.push_back(static_cast<size_t>(it - out.begin()));
      if (it == out.end()) c.graph.mark_output(id);
    }
    g.session = runtime::Session::from_model(std::move(c), options);
    groups_.push_back(std::move(g));
  }
}

void Observer::run(std::span<const Datum> inputs, FunctionRef<void(size_t, const Tensor&)> see) {
  for (auto [k, input] : inputs_)
    if (input < inputs.size() && inputs[input].is_tensor()) see(k, inputs[input].tensor());
  for (Group& g : groups_) {
    std::vector<Datum> out = g.session->run(inputs);
    for (size_t i = 0; i < g.values.size(); ++i)
      if (out[g.outputs[i]].is_tensor()) see(g.values[i], out[g.outputs[i]].tensor());
  }
}

void Sqnr::add(const Tensor& want, const Tensor& got) {
  if (want.size() != got.size()) return;
  auto sum = [&](auto at) {
    for (int64_t i = 0; i < want.size(); ++i) {
      double w = at(want, i), d = at(got, i) - w;
      if (std::isnan(w) || std::isinf(w)) continue;
      signal_ += w * w;
      noise_ += d * d;
    }
  };
  if (want.dtype() == DType::kFloat && got.dtype() == DType::kFloat)
    sum([](const Tensor& t, int64_t i) { return static_cast<double>(t.data<float>()[i]); });
  else if (want.dtype() != DType::kString && got.dtype() != DType::kString)
    sum([](const Tensor& t, int64_t i) { return get_double(t, i); });
}

double Sqnr::db() const {
  if (!(noise_ > 0)) return std::isnan(noise_) ? -200 : 200;
  if (!(signal_ > 0)) return -200;
  return std::clamp(10 * std::log10(signal_ / noise_), -200.0, 200.0);
}

}  // namespace skiff::adapt
