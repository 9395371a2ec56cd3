// skiff devices and skiff knobs: what this machine and this build offer.
#include <CLI/CLI.hpp>
#include <memory>

#include "command.h"
#include "json_out.h"
#include "session.h"
#include "text_table.h"

namespace skiff::tool {

namespace {

std::string shown(const Json& v) {
  return v.is_string() ? v.get<std::string>() : v.is_null() ? "" : v.dump();
}

int run_devices(const CommonOptions& o) {
  char* text = nullptr;
  api::check(skiff_devices_json(&text));
  Json j = parse_json(api::take(text));
  if (o.json) {
    print_json(j);
    return 0;
  }
  TextTable t({"device", "available", ">cores", ">memory", "isa", "description"});
  for (const Json& d : j) {
    std::string isas;
    if (d.contains("isas") && d["isas"].is_array())
      for (const Json& i : d["isas"]) isas += (isas.empty() ? "" : " ") + shown(i);
    bool there = !d.contains("available") || d["available"] == true;
    double memory = number_or(d, "memory_bytes", 0), cores = number_or(d, "cores", 0);
    t.add({text_or(d, "name", ""), there ? "yes" : "no", cores > 0 ? fixed(cores, 0) : "-",
           memory > 0 ? human_bytes(memory) : "-",
           text_or(d, "isa", "") + (isas.empty() ? "" : " of " + isas), text_or(d, "description", "")});
  }
  print(t.str());
  return 0;
}

int run_knobs(const CommonOptions& o) {
  char* text = nullptr;
  api::check(skiff_knobs_json(&text));
  Json j = parse_json(api::take(text));
  if (o.json) {
    print_json(j);
    return 0;
  }
  TextTable t({"variable", "value", "default", "description"});
  for (const Json& k : j)
    t.add({text_or(k, "name", ""), k.contains("value") ? shown(k["value"]) : "",
           k.contains("default") ? shown(k["default"]) : "", text_or(k, "description", "")});
  print(t.str());
  return 0;
}

}  // namespace

void add_devices(CLI::App& root, Action& action) {
  auto o = std::make_shared<CommonOptions>();
  CLI::App* app = root.add_subcommand("devices", "List the devices of this machine");
  add_json_option(*app, *o);
  app->footer("Example: skiff devices");
  app->callback([o, &action] { action = [o] { return run_devices(*o); }; });
}

void add_knobs(CLI::App& root, Action& action) {
  auto o = std::make_shared<CommonOptions>();
  CLI::App* app = root.add_subcommand("knobs", "List the environment variables the library reads");
  add_json_option(*app, *o);
  app->footer("Example: skiff knobs --json");
  app->callback([o, &action] { action = [o] { return run_knobs(*o); }; });
}

}  // namespace skiff::tool
