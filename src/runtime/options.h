// A session's options as text, checked when they are set.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ops/registry.h"

namespace skiff::runtime {

struct SessionOptions {
  int threads = 0;  // 0: SKIFF_THREADS, else the machine's cores
  std::string isa, device, place;  // device empty: the first of device_names()
  size_t memory_limit = automatic_memory_limit();  // bytes; 0: none
  size_t max_model_size = size_t{2} << 30;         // bytes of the file; 0: no limit
  std::vector<std::string> skip_passes;
  bool profile = false;
  int64_t max_nodes = 1'000'000, max_loop_trips = 1'000'000'000;
  int max_nesting = 32;      // of subgraphs
  double time_limit = 3600;  // seconds of a load or a run; 0: none
  int64_t fold_limit = 16 << 20;
  std::string external_data_dir;
  OpRegistry custom_ops;  // beside those of the process

  // Four fifths of what the machine has.
  static size_t automatic_memory_limit();

  // Throws kInvalidArgument for an unknown key (naming those there are) or a value out of range.
  void set(const std::string& key, const std::string& value);
};

struct OptionInfo {
  const char *name, *default_value, *description;
};
std::span<const OptionInfo> option_list();

std::vector<std::string> split_list(const std::string& text, char separator);

}  // namespace skiff::runtime
