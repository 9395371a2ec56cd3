// skiff info: what a model is and what the library makes of it.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "command.h"
#include "fail.h"
#include "inputs.h"
#include "json_out.h"
#include "session.h"
#include "text_table.h"

namespace skiff::tool {

namespace {

struct InfoOptions {
  CommonOptions common;
  InputOptions shapes;
  std::string model;
  bool nodes = false, placement = false, passes = false, print = false, operators = false;
};

// "a, b" of a list of texts.
std::string joined(const Json& list) {
  std::string s;
  for (const Json& e : list) s += (s.empty() ? "" : ", ") + (e.is_string() ? e.get<std::string>() : e.dump());
  return s;
}

const Json& at(const Json& j, const char* key) {
  static const Json none = Json::array();
  auto it = j.find(key);
  return it != j.end() && it->is_structured() ? *it : none;
}

std::string one_line(std::string s, size_t most) {
  for (char& c : s)
    if (static_cast<unsigned char>(c) < 32) c = ' ';
  if (s.size() > most) s = s.substr(0, most - 3) + "...";
  return s;
}

void show_ports(const char* title, const Json& ports) {
  if (ports.empty()) return;
  TextTable t({title, "type", ""});
  for (const Json& p : ports)
    t.add({"  " + text_or(p, "name", ""), text_or(p, "type", ""),
           p.value("optional", false) ? "has a default" : ""});
  print(t.str());
}

void show_summary(const Json& j, const std::string& model) {
  print("model       " + model + "\n");
  std::string producer = text_or(j, "producer", ""), version = text_or(j, "producer_version", "");
  if (!producer.empty())
    print("producer    " + one_line(producer + (version.empty() ? "" : " " + version), 100) + "\n");
  if (std::string doc = text_or(j, "doc", ""); !doc.empty())
    print("about       " + one_line(doc, 100) + "\n");
  std::string opsets;
  for (const auto& [domain, v] : at(j, "opsets").items())
    opsets += (opsets.empty() ? "" : ", ") + domain + " " + v.dump();
  print(cat("format      IR ", number_or(j, "ir_version", 0), ", opset ", opsets, "\n"));
  const Json& totals = at(j, "totals");
  print(cat("size        ", human(number_or(j, "parameters", 0)), " parameters (",
            human_bytes(number_or(j, "weight_bytes", 0)), "), ", number_or(totals, "nodes", 0),
            " nodes after optimization\n"));
  print(cat("one run     ", human(number_or(totals, "flops", 0)), "FLOP, ",
            human_bytes(number_or(totals, "bytes", 0)), " read and written\n"));
  const Json& m = at(j, "memory");
  print(cat("memory      weights ", human_bytes(number_or(m, "packed_weight_bytes", 0)), " packed + ",
            human_bytes(number_or(m, "constant_bytes", 0)), " plain"));
  if (m.contains("arena_total_bytes")) {
    print(cat(", arena ", human_bytes(number_or(m, "arena_total_bytes", 0))));
    if (at(m, "arena_bytes").size() > 1)
      for (const auto& [device, bytes] : at(m, "arena_bytes").items())
        print(cat(" (", device, " ", human_bytes(bytes.get<double>()), ")"));
    if (!m.value("whole_graph", true)) print(" (up to the first shape that depends on data)");
  }
  print("\n");
  show_ports("inputs", at(j, "inputs"));
  show_ports("outputs", at(j, "outputs"));
  if (const Json& meta = at(j, "metadata"); !meta.empty()) {
    TextTable t({"metadata", ""});
    for (const auto& [k, v] : meta.items())
      t.add({"  " + one_line(k, 40), one_line(v.is_string() ? v.get<std::string>() : v.dump(), 90)});
    print(t.str());
  }
  TextTable t({"operators", ">count"});
  std::multimap<double, std::string, std::greater<>> sorted;
  for (const auto& [op, n] : at(j, "operators").items()) sorted.emplace(n.get<double>(), op);
  for (const auto& [n, op] : sorted) t.add({"  " + op, fixed(n, 0)});
  print(t.str());
}

void show_nodes(const Json& j) {
  TextTable t({">#", "op", "name", "output", ">FLOP", ">bytes", "device", "kernel"});
  size_t i = 0;
  for (const Json& n : at(j, "nodes"))
    t.add({std::to_string(i++), text_or(n, "op", ""), one_line(text_or(n, "name", ""), 40),
           joined(at(n, "output_types")), human(number_or(n, "flops", 0)),
           human_bytes(number_or(n, "bytes", 0)), text_or(n, "device", ""), text_or(n, "kernel", "")});
  print("\nnodes\n" + t.str());
}

void show_placement(const Json& j) {
  struct Share {
    size_t nodes = 0;
    double flops = 0;
  };
  std::map<std::string, Share> by_device, by_kernel;
  TextTable t({">#", "device", "kernel", "op", "name"});
  size_t i = 0;
  for (const Json& n : at(j, "nodes")) {
    std::string device = text_or(n, "device", "?"), kernel = text_or(n, "kernel", "?");
    t.add({std::to_string(i++), device, kernel, text_or(n, "op", ""), one_line(text_or(n, "name", ""), 60)});
    Share& d = by_device[device];
    Share& k = by_kernel[device + " " + kernel];
    ++d.nodes, ++k.nodes;
    d.flops += number_or(n, "flops", 0), k.flops += number_or(n, "flops", 0);
  }
  print("\nplacement\n" + t.str() + "\n");
  double total = number_or(at(j, "totals"), "flops", 0);
  TextTable s({"device and kernel", ">nodes", ">FLOP", ">share"});
  for (const auto* map : {&by_device, &by_kernel})
    for (const auto& [name, v] : *map)
      s.add({name, std::to_string(v.nodes), human(v.flops), percent(v.flops, total)});
  print(s.str());
}

void show_passes(const Json& j) {
  TextTable t({"pass", ">changes", ">time"});
  for (const Json& p : at(j, "passes"))
    t.add({text_or(p, "name", ""), fixed(number_or(p, "changes", 0), 0),
           human_time(1e9 * number_or(p, "seconds", 0))});
  print("\npasses\n" + t.str());
}

int run_operators(const InfoOptions& o) {
  char* text = nullptr;
  api::check(skiff_operators_json(&text));
  Json j = parse_json(api::take(text));
  if (o.common.json) {
    print_json(j);
    return 0;
  }
  TextTable t({"operator", "domain", "versions"});
  for (const Json& e : j) {
    std::string domain = text_or(e, "domain", "");
    t.add({text_or(e, "name", ""), domain.empty() ? "ai.onnx" : domain, joined(at(e, "versions"))});
  }
  print(t.str() + std::to_string(j.size()) + " operators\n");
  return 0;
}

int run_info(const InfoOptions& o) {
  if (o.model.empty()) {
    if (o.operators) return run_operators(o);
    fail_usage("MODEL is required (see skiff info --help)");
  }
  if (o.operators) fail_usage("--operators lists what the build knows and takes no MODEL");
  api::Session session = open_session(o.model, o.common);
  Json j = parse_json(session.info_json(shapes_text(o.shapes)));
  std::string graph;
  if (o.print) {
    char* text = nullptr;
    api::check(skiff_session_print(session.get(), &text));
    graph = api::take(text);
  }
  if (o.common.json) {
    if (o.print) j["graph_text"] = graph;
    print_json(j);
    return 0;
  }
  show_summary(j, o.model);
  if (o.nodes) show_nodes(j);
  if (o.placement) show_placement(j);
  if (o.passes) show_passes(j);
  if (o.print) print("\n" + graph + (graph.ends_with('\n') ? "" : "\n"));
  return 0;
}

}  // namespace

void add_info(CLI::App& root, Action& action) {
  auto o = std::make_shared<InfoOptions>();
  CLI::App* app =
      root.add_subcommand("info", "Show inputs, outputs, operators, cost, memory and placement of a model");
  app->add_option("MODEL", o->model, "The .onnx file");
  app->add_flag("--nodes", o->nodes, "Every node with its output, FLOP and bytes");
  app->add_flag("--placement", o->placement, "Where every node runs and by which kernel");
  app->add_flag("--passes", o->passes, "What every graph pass did, and how long it took");
  app->add_flag("--print", o->print, "The optimized graph as text");
  app->add_flag("--operators", o->operators, "All operators this build knows (no MODEL needed)");
  add_shape_options(*app, o->shapes);
  add_common_options(*app, o->common);
  app->footer("Example: skiff info model.onnx --nodes --shape image=1x3x224x224");
  app->callback([o, &action] { action = [o] { return run_info(*o); }; });
}

}  // namespace skiff::tool
