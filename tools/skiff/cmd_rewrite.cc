// skiff rewrite: a model written again, at a newer opset, with its weights inside the file or beside it.
#include <CLI/CLI.hpp>
#include <memory>

#include "command.h"
#include "session.h"

namespace skiff::tool {

namespace {

struct RewriteOptions {
  std::string model, out;
  int opset = 0;
  bool upgrade = false;
  uint64_t external = 0;
};

int run_rewrite(const RewriteOptions& o) {
  auto external = static_cast<size_t>(o.external);
  if (o.upgrade || o.opset)
    api::check(skiff_model_upgrade(o.model.c_str(), o.out.c_str(), o.opset, external));
  else
    api::check(skiff_model_rewrite(o.model.c_str(), o.out.c_str(), external));
  return 0;
}

}  // namespace

void add_rewrite(CLI::App& root, Action& action) {
  auto o = std::make_shared<RewriteOptions>();
  CLI::App* app =
      root.add_subcommand("rewrite", "Write a model again, at a newer opset or with external weights");
  app->add_option("MODEL", o->model, "The .onnx file")->required();
  app->add_option("OUT", o->out, "The file to write; it may be the same")->required();
  app->add_option("--opset", o->opset, "Bring the nodes to this opset of the default domain")
      ->check(CLI::Range(1, 1000));
  app->add_flag("--newest-opset", o->upgrade, "Bring the nodes to the newest opset this build knows");
  app->add_option("--external", o->external,
                  "Weights of at least this many bytes go to OUT.data; 0: all stay inside [0]");
  app->footer("Example: skiff rewrite old.onnx new.onnx --newest-opset");
  app->callback([o, &action] { action = [o] { return run_rewrite(*o); }; });
}

}  // namespace skiff::tool
