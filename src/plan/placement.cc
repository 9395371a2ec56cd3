#include "plan/placement.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace skiff::plan {
namespace {

std::string trimmed(std::string_view s) {
  size_t b = s.find_first_not_of(" \t\n"), e = s.find_last_not_of(" \t\n");
  return b == std::string_view::npos ? std::string() : std::string(s.substr(b, e - b + 1));
}

PlacementRule parse_rule(const std::string& text) {
  size_t eq = text.rfind('=');
  check(eq != std::string::npos && eq > 0 && eq + 1 < text.size(), Code::kInvalidArgument, "placement rule '",
        text, "' is not of the form NODE=DEVICE, op:OPERATOR=DEVICE or share:FRACTION=DEVICE");
  PlacementRule r;
  r.what = trimmed(text.substr(0, eq));
  r.device = trimmed(text.substr(eq + 1));
  if (r.what.starts_with("op:")) {
    r.kind = PlacementRule::Kind::kOp;
    r.what = r.what.substr(3);
  } else if (r.what.starts_with("share:")) {
    r.kind = PlacementRule::Kind::kShare;
    const char* b = r.what.data() + 6;
    auto res = std::from_chars(b, r.what.data() + r.what.size(), r.share);
    check(res.ec == std::errc() && res.ptr == r.what.data() + r.what.size() && r.share >= 0 && r.share <= 1,
          Code::kInvalidArgument, "placement rule '", text, "': the share must be a number from 0 to 1");
  }
  return r;
}

template <class F>
void each_graph(Graph& g, F&& f) {
  f(g);
  for (NodeId id : g.order())
    for (Attribute& a : g.mutable_node(id).attributes)
      if (auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value)) each_graph(**s, f);
}

}  // namespace

bool host_only(const Graph& g, const Node& n) {
  if (!n.def || (n.def->flags & (kControlFlow | kNonTensor | kDataDependent | kHostOnly))) return true;
  auto on_host = [&g](ValueId v) {
    if (v == kNoValue) return false;
    const Type& t = g.value(v).type;
    return t.kind != Type::Kind::kTensor || t.dtype == DType::kString;
  };
  return std::any_of(n.inputs.begin(), n.inputs.end(), on_host) ||
         std::any_of(n.outputs.begin(), n.outputs.end(), on_host);
}

std::vector<PlacementRule> parse_placement(const std::string& text) {
  std::vector<PlacementRule> rules;
  size_t at = 0;
  while (at <= text.size()) {
    size_t semi = std::min(text.find(';', at), text.size());
    std::string one = trimmed(std::string_view(text).substr(at, semi - at));
    if (!one.empty()) rules.push_back(parse_rule(one));
    at = semi + 1;
  }
  return rules;
}

void place(Graph& g, const std::vector<DeviceSlot>& devices, const std::string& default_device,
           const std::vector<PlacementRule>& rules) {
  auto known = [&](const std::string& name) {
    bool found =
        std::any_of(devices.begin(), devices.end(), [&](const DeviceSlot& d) { return d.name == name; });
    std::string all;
    for (const DeviceSlot& d : devices) all += (all.empty() ? "" : ", ") + d.name;
    check(found, Code::kInvalidArgument, "there is no device '", name, "'; there are: ", all);
  };
  known(default_device);
  each_graph(g, [&](Graph& sub) {
    for (NodeId id : sub.order()) {
      Node& n = sub.mutable_node(id);
      n.device = host_only(sub, n) ? devices.front().name : default_device;
    }
  });
  for (const PlacementRule& r : rules) {
    known(r.device);
    size_t matched = 0;
    each_graph(g, [&](Graph& sub) {
      const std::vector<NodeId>& order = sub.order();
      auto share = static_cast<size_t>(std::ceil(r.share * static_cast<double>(order.size())));
      for (size_t i = 0; i < order.size(); ++i) {
        Node& n = sub.mutable_node(order[i]);
        bool hit = r.kind == PlacementRule::Kind::kNode ? n.name == r.what
                   : r.kind == PlacementRule::Kind::kOp ? n.op == r.what
                                                        : i < share;
        if (!hit) continue;
        if (r.device != devices.front().name && host_only(sub, n)) {
          check(r.kind != PlacementRule::Kind::kNode, Code::kInvalidArgument, "placement rule '", r.what, "=",
                r.device, "': ", n.label(),
                " runs on the host alone (it owns subgraphs, makes shapes from data, touches strings, or is a custom "
                "operator)");
          ++matched;
          continue;
        }
        n.device = r.device;
        ++matched;
      }
    });
    check(matched > 0 || r.kind == PlacementRule::Kind::kShare, Code::kInvalidArgument, "placement rule '",
          r.what, "=", r.device, "' matches no node; `skiff info --placement` lists the nodes after fusion");
  }
}

}  // namespace skiff::plan
