// --output NAME=FILE: where outputs of a run go.
#pragma once
#include <string>
#include <vector>

#include "skiff/skiff.hpp"

namespace skiff::tool {

struct OutputFile {
  size_t output = 0;
  std::string path;  // "{}" stands for the name of the input file without its ending
};

// NAME= may be left out when the model has one output. Errors: ToolError for unknown names and endings,
// UsageError when several cases would write the same file.
std::vector<OutputFile> parse_outputs(const api::Session& session, const std::vector<std::string>& options,
                                      size_t cases);
// `pattern` with "{}" replaced by the stem of `input`.
std::string fill_pattern(const std::string& pattern, const std::string& input);
void save_outputs(const api::Session& session, const std::vector<OutputFile>& files,
                  const std::vector<api::Value>& outputs, const std::string& input);

}  // namespace skiff::tool
