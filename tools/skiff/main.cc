// The command `skiff`. Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong usage.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "command.h"
#include "fail.h"
#include "skiff/skiff.hpp"

namespace {

// Messages may quote names and files that hold anything: control characters become blanks, so that one line
// stays one line and no terminal is steered.
int report(std::string message, int code) {
  std::replace_if(
      message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; },
      ' ');
  message.erase(message.find_last_not_of(' ') + 1);
  std::fprintf(stderr, "skiff: error: %s\n", message.c_str());
  return code;
}

int run(int argc, char** argv) {
  using namespace skiff::tool;
  CLI::App app{"Skiff puts ONNX models on any device.", "skiff"};
  app.set_version_flag("--version", std::string("skiff ") + skiff_version());
  app.require_subcommand(1);
  app.footer(
      "Example: skiff run model.onnx --input photo.jpg --labels labels.txt --top 5\n"
      "skiff SUBCOMMAND --help says more.");
  Action action;
  add_info(app, action);
  add_run(app, action);
  add_verify(app, action);
  add_bench(app, action);
  add_profile(app, action);
  add_eval(app, action);
  add_quantize(app, action);
  add_devices(app, action);
  add_rewrite(app, action);
  add_knobs(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {
      app.exit(e);  // --help, --version
      return std::fflush(stdout) == 0 ? 0 : report("cannot write to stdout", 1);
    }
    std::string help = "skiff";
    for (const CLI::App* sub : app.get_subcommands()) help += " " + sub->get_name();
    return report(std::string(e.what()) + " (see " + help + " --help)", 2);
  }
  int code = action ? action() : 2;
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) return report("cannot write to stdout", 1);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const skiff::tool::UsageError& e) {
    return report(e.what(), 2);
  } catch (const skiff::api::Exception& e) {
    return report(e.what(), 1);
  } catch (const std::bad_alloc&) {
    return report("out of memory", 1);
  } catch (const std::exception& e) {
    return report(e.what(), 1);
  }
}
