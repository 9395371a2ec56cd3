#include "graph/graph.h"

namespace skiff {
namespace {

std::string value_text(const Graph& g, ValueId v) { return v == kNoValue ? "_" : g.value(v).name; }

template <class List>
std::string list_text(const List& v) {
  std::string s = "[";
  for (size_t i = 0; i < v.size(); ++i) {
    if (i) s += ", ";
    if (i == 8) return s + cat("... ", v.size(), "]");
    s += cat(v[i]);
  }
  return s + "]";
}

std::string attr_text(const Attribute& a) {
  if (!a.ref_name.empty()) return cat("@", a.ref_name);
  switch (a.type()) {
    case AttrType::kFloat: return cat(std::get<float>(a.value));
    case AttrType::kInt: return cat(std::get<int64_t>(a.value));
    case AttrType::kString: return cat("\"", std::get<std::string>(a.value).substr(0, 60), "\"");
    case AttrType::kTensor: return describe(std::get<Tensor>(a.value));
    case AttrType::kFloats: return list_text(std::get<Attribute::Floats>(a.value));
    case AttrType::kInts: return list_text(std::get<Attribute::Ints>(a.value));
    case AttrType::kStrings: return list_text(std::get<Attribute::Strings>(a.value));
    case AttrType::kType: return std::get<Type>(a.value).to_string();
    default: return cat("<", attr_type_name(a.type()), ">");
  }
}

void print_into(const Graph& g, std::string& s, const std::string& indent);

void print_node(const Graph& g, const Node& n, std::string& s, const std::string& in) {
  s += in;
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    s += cat(i ? ", " : "", value_text(g, n.outputs[i]));
    if (n.outputs[i] != kNoValue) s += cat(": ", g.value(n.outputs[i]).type.to_string());
  }
  s += " = ";
  if (!n.domain.empty()) s += cat(n.domain, ".");
  s += n.op;
  if (n.opset) s += cat("-", n.opset);
  s += "(";
  for (size_t i = 0; i < n.inputs.size(); ++i) s += cat(i ? ", " : "", value_text(g, n.inputs[i]));
  s += ")";
  for (size_t i = 0; i < n.attributes.size(); ++i)
    s += cat(i ? ", " : " {", n.attributes[i].name, "=", attr_text(n.attributes[i]));
  if (!n.attributes.empty()) s += "}";
  if (!n.name.empty()) s += cat("  # ", n.name);
  if (!n.device.empty()) s += cat(" @", n.device);
  s += "\n";
  for (const Attribute& a : n.attributes) {
    if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&a.value)) {
      s += cat(in, "  ", a.name, ":\n");
      print_into(**sub, s, in + "    ");
    }
  }
}

void print_into(const Graph& g, std::string& s, const std::string& indent) {
  s += cat(indent, "graph ", g.name.empty() ? "(unnamed)" : g.name, " {\n");
  std::string in = indent + "  ";
  for (ValueId v : g.inputs())
    s += cat(in, "input ", value_text(g, v), ": ", g.value(v).type.to_string(), "\n");
  for (const Graph::Capture& c : g.captures())
    s += cat(in, "capture ", value_text(g, c.inner), " = outer #", c.index, "\n");
  for (size_t i = 0; i < g.value_slots(); ++i) {
    const Value& v = g.value(static_cast<ValueId>(i));
    if (!v.dead && v.constant.defined() && (!v.uses.empty() || v.is_output))
      s += cat(in, "constant ", v.name, ": ", describe(v.constant), v.overridable ? " (overridable)" : "",
               "\n");
  }
  for (NodeId id : g.order()) print_node(g, g.node(id), s, in);
  for (ValueId v : g.outputs())
    s += cat(in, "output ", value_text(g, v), ": ", g.value(v).type.to_string(), "\n");
  s += indent + "}\n";
}

}  // namespace

std::string print(const Graph& g) {
  std::string s;
  print_into(g, s, "");
  return s;
}

}  // namespace skiff
