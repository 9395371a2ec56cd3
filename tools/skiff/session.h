// Options that every subcommand shares, and opening a model with them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "skiff/skiff.hpp"

namespace CLI {
class App;
}

namespace skiff::tool {

struct CommonOptions {
  bool json = false;
  int threads = 0;  // 0: the library's default
  std::string isa, device, skip_passes, memory_limit;
  std::vector<std::string> place, custom_ops, extra;
};

// --json alone, and all of them.
void add_json_option(CLI::App& app, CommonOptions& o);
void add_common_options(CLI::App& app, CommonOptions& o);

// The library's options. Errors: UsageError for malformed KEY=VALUE, api::Exception for values the library
// refuses.
api::Options make_options(const CommonOptions& o, bool profile = false);
api::Session open_session(const std::string& model, const CommonOptions& o, bool profile = false);

// Runs that are under way end with SKIFF_CANCELLED after the first interrupt (Ctrl-C); a second one kills.
api::Cancel& interrupt();
// Whether that interrupt has come.
bool interrupted();
bool stderr_is_terminal();

// "input \"x\"" list for messages: the names of all inputs.
std::string input_names(const api::Session& s);
std::vector<int64_t> port_dims(const skiff_port& p);

// Lines of /proc/self/status in bytes ("VmHWM", "VmRSS"); 0 where there is no such file.
double memory_bytes(const char* key);

// Nanoseconds of a clock that only goes forward.
int64_t now_ns();

// Median and other quantiles of times; `q` in [0, 1]. The vector must not be empty.
double quantile(std::vector<double> v, double q);

}  // namespace skiff::tool
