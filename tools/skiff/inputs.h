// What goes into a model: files, fills, and the shapes of what nobody gives.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "array.h"
#include "image.h"
#include "preprocess.h"
#include "session.h"
#include "sidecar.h"

namespace skiff::tool {

struct InputOptions {
  std::vector<std::string> inputs;  // NAME=FILE or FILE
  std::string resize, resize_mode, crop, mean, std, layout, channels;
  std::optional<double> scale;
  std::string fill;  // zeros, ones, random; empty: a missing input is an error
  uint64_t seed = 1;
  std::vector<std::string> dims;    // N=4
  std::vector<std::string> shapes;  // NAME=1x3x224x224
  std::string data;                 // a folder test_data_set_N
  bool cast = false;
  int rate = 0;  // of .wav files; 0: any
};

void add_shape_options(CLI::App& app, InputOptions& o);
// With the default for missing inputs ("" or "random").
void add_input_options(CLI::App& app, InputOptions& o, const std::string& fill);
// How pictures become inputs; part of add_input_options.
void add_image_options(CLI::App& app, InputOptions& o);
// What the image options say. Errors: UsageError.
ImageSpec image_spec(const InputOptions& o);

// "image=1x3x224x224;N=4" as skiff_session_info_json wants it. Errors: UsageError for malformed options.
std::string shapes_text(const InputOptions& o);

// The inputs of one run.
struct InputCase {
  std::string name;  // file name of the file that differs from case to case; "" when none
  std::string path;
  std::vector<api::Value> values;  // in the session's order; empty ones for inputs with a default
  std::optional<Image> image;      // the picture it came from, as it was decoded
};

// Which file or fill each input gets; a folder, or several files for one name, make several cases.
class Inputs {
 public:
  // Errors: ToolError naming unknown inputs, missing inputs, unreadable folders.
  Inputs(const api::Session& session, const InputOptions& options, const Sidecar& sidecar);
  size_t cases() const { return cases_; }
  // Reads the files of case i. Errors: ToolError, api::Exception.
  InputCase load(size_t i) const;
  // Where each input comes from: "photo.jpg", "random", "default".
  std::string source(size_t input, size_t i) const;

 private:
  struct Source {
    enum class Kind { kDefault, kFill, kFiles, kArray } kind = Kind::kFill;
    std::vector<std::string> files;
    Array array;
    std::string from;
  };
  void bind(const std::string& text);
  void bind_file(size_t input, const std::string& path);
  void bind_npz(const std::string& path);
  void bind_folder_of_pb(const std::string& folder);
  size_t index_of(const std::string& name, const std::string& what) const;
  api::Value read(size_t input, const std::string& path, std::optional<Image>& image) const;
  api::Value shaped(size_t input, Array array) const;
  api::Value filled(size_t input, const std::map<std::string, int64_t>& symbols) const;

  const api::Session& session_;
  InputOptions options_;
  std::vector<ImageSpec> specs_;
  std::vector<Source> sources_;
  std::map<std::string, int64_t> symbols_;
  std::vector<std::optional<std::vector<int64_t>>> shapes_;
  size_t cases_ = 1;
};

}  // namespace skiff::tool
