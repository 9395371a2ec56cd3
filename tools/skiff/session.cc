#include "session.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "fail.h"
#include "files.h"

namespace skiff::tool {

void add_json_option(CLI::App& app, CommonOptions& o) {
  app.add_flag("--json", o.json, "Print one JSON document on stdout and nothing else");
}

void add_common_options(CLI::App& app, CommonOptions& o) {
  add_json_option(app, o);
  auto* group = "Library";
  app.add_option("--threads", o.threads, "Threads a run may use [all cores]")
      ->check(CLI::Range(1, 4096))
      ->group(group);
  app.add_option("--isa", o.isa, "Instruction set: generic, sse4, avx2, avx512 ... [the best]")->group(group);
  app.add_option("--device", o.device, "Device for every node: cpu, reference [cpu]")->group(group);
  app.add_option("--place", o.place,
                 "Place nodes: NODE=DEVICE, op:TYPE=DEVICE or share:0.5=DEVICE; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--skip-passes", o.skip_passes,
                 "Graph passes to skip, separated by commas; all: every optional one")
      ->group(group);
  app.add_option("--memory-limit", o.memory_limit, "Most bytes a session may hold, e.g. 512M [four fifths of the memory]")
      ->group(group);
  app.add_option("--custom-ops", o.custom_ops, "Shared library of custom operators; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--option", o.extra, "Any other option of the library as KEY=VALUE; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
}

namespace {

// "512M" in bytes.
std::string byte_count(const std::string& text) {
  std::string s = text;
  uint64_t factor = 1;
  if (!s.empty() && (s.back() == 'B' || s.back() == 'b')) s.pop_back();
  if (!s.empty() && (s.back() == 'i')) s.pop_back();
  if (!s.empty()) {
    size_t at = std::string("kmgt").find(static_cast<char>(s.back() | 32));
    if (at != std::string::npos) {
      factor = uint64_t{1} << (10 * (at + 1));
      s.pop_back();
    }
  }
  if (s.empty() || s.size() > 12 || s.find_first_not_of("0123456789") != std::string::npos)
    fail_usage("--memory-limit: \"", text, "\" is no size; write for example 512M or 2G");
  return std::to_string(static_cast<uint64_t>(parse_integer(s, "--memory-limit")) * factor);
}

}  // namespace

api::Options make_options(const CommonOptions& o, bool profile) {
  api::Options options;
  if (o.threads > 0) options.set("threads", std::to_string(o.threads));
  if (!o.isa.empty()) options.set("isa", o.isa);
  if (!o.device.empty()) options.set("device", o.device);
  if (!o.skip_passes.empty()) options.set("skip_passes", o.skip_passes);
  if (!o.memory_limit.empty()) options.set("memory_limit", byte_count(o.memory_limit));
  std::string place;
  for (const std::string& p : o.place) place += (place.empty() ? "" : ";") + p;
  if (!place.empty()) options.set("place", place);
  std::string libraries;
  for (const std::string& l : o.custom_ops) libraries += (libraries.empty() ? "" : ";") + l;
  if (!libraries.empty()) options.set("custom_ops", libraries);
  for (const std::string& kv : o.extra) {
    size_t eq = kv.find('=');
    if (eq == std::string::npos || eq == 0) fail_usage("--option: \"", kv, "\" is not KEY=VALUE");
    options.set(kv.substr(0, eq), kv.substr(eq + 1));
  }
  if (profile) options.set("profile", "1");
  return options;
}

api::Session open_session(const std::string& model, const CommonOptions& o, bool profile) {
  return api::Session(model, make_options(o, profile));
}

namespace {
volatile std::sig_atomic_t was_interrupted = 0;
}

bool interrupted() { return was_interrupted != 0; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) != 0; }

api::Cancel& interrupt() {
  static skiff_cancel* handle = nullptr;
  static api::Cancel cancel;
  if (!handle) {
    handle = cancel.get();
    struct sigaction action {};
    action.sa_handler = [](int) {
      was_interrupted = 1;
      skiff_cancel_request(handle);
    };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, nullptr);
  }
  return cancel;
}

std::string input_names(const api::Session& s) {
  std::string names;
  for (size_t i = 0; i < s.input_count(); ++i) names += cat(i ? ", " : "", '"', s.input(i).name, '"');
  return names.empty() ? "none" : names;
}

std::vector<int64_t> port_dims(const skiff_port& p) {
  return p.rank > 0 ? std::vector<int64_t>(p.dims, p.dims + p.rank) : std::vector<int64_t>();
}

double memory_bytes(const char* key) {
  std::FILE* f = std::fopen("/proc/self/status", "r");
  if (!f) return 0;
  char line[256];
  double kib = 0;
  size_t n = std::strlen(key);
  while (std::fgets(line, sizeof line, f))
    if (std::strncmp(line, key, n) == 0 && line[n] == ':') kib = std::atof(line + n + 1);
  std::fclose(f);
  return kib * 1024;
}

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double quantile(std::vector<double> v, double q) {
  std::sort(v.begin(), v.end());
  double at = q * static_cast<double>(v.size() - 1);
  auto i = static_cast<size_t>(at);
  return i + 1 < v.size() ? v[i] + (at - static_cast<double>(i)) * (v[i + 1] - v[i]) : v[i];
}

}  // namespace skiff::tool
