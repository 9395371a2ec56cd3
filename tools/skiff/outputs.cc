#include "outputs.h"

#include "fail.h"
#include "files.h"
#include "values.h"

namespace skiff::tool {

std::string fill_pattern(const std::string& pattern, const std::string& input) {
  size_t at = pattern.find("{}");
  return at == std::string::npos ? pattern : pattern.substr(0, at) + stem(input) + pattern.substr(at + 2);
}

std::vector<OutputFile> parse_outputs(const api::Session& session, const std::vector<std::string>& options,
                                      size_t cases) {
  std::vector<OutputFile> files;
  for (const std::string& text : options) {
    OutputFile f;
    bool found = false;
    std::string names;
    for (size_t i = 0; i < session.output_count(); ++i) {
      std::string name = session.output(i).name;
      names += (i ? ", \"" : "\"") + name + '"';
      if (!found && text.starts_with(name + "=")) {
        f = {i, text.substr(name.size() + 1)};
        found = true;
      }
    }
    if (!found) {
      if (session.output_count() != 1 || text.find('=') != std::string::npos)
        fail("--output ", text, ": write NAME=FILE with one of the outputs: ", names);
      f = {0, text};
    }
    std::string ext = extension(f.path);
    if (ext != "npy" && ext != "npz" && ext != "pb" && ext != "txt" && ext != "csv")
      fail_usage("--output ", text, ": a file ending in .npy, .npz, .pb, .txt or .csv is needed");
    if (cases > 1 && f.path.find("{}") == std::string::npos)
      fail_usage("--output ", text, ": ", cases,
                 " runs would write the same file; put {} where the input's name goes");
    files.push_back(std::move(f));
  }
  return files;
}

void save_outputs(const api::Session& session, const std::vector<OutputFile>& files,
                  const std::vector<api::Value>& outputs, const std::string& input) {
  for (const OutputFile& f : files)
    save_value(outputs[f.output], session.output(f.output).name, fill_pattern(f.path, input));
}

}  // namespace skiff::tool
