#include "adapt/quantize/channel_stats.h"

#include <algorithm>
#include <cmath>

#include "adapt/observe.h"
#include "adapt/quantize/calibrate.h"

namespace skiff::adapt {

std::unordered_map<NodeId, ChannelStats> collect_channel_stats(const Model& m,
                                                               const std::vector<NodeId>& products,
                                                               const QuantizeOptions& o, size_t samples,
                                                               const Callbacks& call) {
  std::unordered_map<NodeId, ChannelStats> all;
  std::vector<ValueId> inputs;
  for (NodeId id : products) inputs.push_back(m.graph.node(id).inputs[0]);
  Observer observer(m, inputs, o.session);
  std::vector<Datum> in;
  for (size_t i = 0; i < samples && take_sample(m, call, i, in); ++i) {
    observer.run(in, [&](size_t k, const Tensor& x) {
      const Node& n = m.graph.node(products[k]);
      bool conv = n.op == "Conv" || n.op == "ConvTranspose";
      if (x.dtype() != DType::kFloat || x.rank() < (conv ? 2 : 1) || x.size() == 0) return;
      int64_t axis = conv ? 1 : x.rank() - 1, channels = x.dim(axis);
      int64_t inner = 1;
      for (int64_t d = axis + 1; d < x.rank(); ++d) inner *= x.dim(d);
      ChannelStats& s = all[products[k]];
      if (s.mean.empty()) {
        s.mean.assign(static_cast<size_t>(channels), 0);
        s.largest.assign(static_cast<size_t>(channels), 0);
      }
      if (static_cast<int64_t>(s.mean.size()) != channels) return;
      double share = static_cast<double>(channels) / static_cast<double>(x.size());
      for (int64_t e = 0; e < x.size(); ++e) {
        auto c = static_cast<size_t>(e / inner % channels);
        float v = x.data<float>()[e];
        if (!std::isfinite(v)) continue;
        s.mean[c] += v * share;
        s.largest[c] = std::max(s.largest[c], std::fabs(v));
      }
      s.samples += 1;
    });
    call.report("channels", static_cast<double>(i + 1) / static_cast<double>(samples));
  }
  for (auto& [id, s] : all)
    for (double& v : s.mean) v /= std::max(s.samples, 1.0);
  return all;
}

}  // namespace skiff::adapt
