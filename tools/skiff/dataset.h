// Labelled data: folders of pictures, sounds and arrays, tables, raw records, and ONNX test sets.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inputs.h"

namespace skiff::tool {

struct DataOptions {
  std::vector<std::string> data;  // folders or files, each with NAME= in front when several inputs are open
  std::string labels;             // a table or array of the truth; "" looks for labels.tsv, labels.csv
  std::string target;             // column (name, or number from 0) or array of the truth inside a table
  std::string record;             // layout of .bin files: "u8,3x32x32" is a label byte and 3072 bytes of data
  std::string masks;              // folder of masks called as the pictures, or as PICTURE_mask
  std::string samples;            // BEGIN:END:STEP, each may be left out
  std::string class_names;        // names of the classes; "" takes the sidecar's
  int64_t batch = 0;              // samples a run; 0: what the model's shape says
  InputOptions input;
};

void add_data_options(CLI::App& app, DataOptions& o);

// What is true of a sample; empty where nothing is known.
struct Truth {
  std::optional<int64_t> index;
  std::vector<double> numbers;
  std::optional<std::string> text;
  std::string mask;  // path of a picture
  bool known() const { return index || text || !numbers.empty() || !mask.empty(); }
};

struct Sample {
  std::string name;
  std::vector<api::Value> inputs;  // of batch 1, in the session's order
  Truth truth;
};

// Where samples come from. Implementations hold references to the session and options they were made from.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual size_t size() const = 0;
  virtual Sample load(size_t i) const = 0;
};

// Files, one a sample. Errors: ToolError.
std::unique_ptr<SampleSource> open_files(const api::Session& session, const DataOptions& o,
                                         const Sidecar& sidecar, size_t input, const std::string& path);
// Rows of an array, a table or a file of records; `input` takes a row.
std::unique_ptr<SampleSource> open_rows(const api::Session& session, const DataOptions& o,
                                        const Sidecar& sidecar, size_t input, const std::string& path);
// test_data_set_N folders of input_N.pb.
std::unique_ptr<SampleSource> open_sets(const api::Session& session, const DataOptions& o,
                                        const Sidecar& sidecar, const std::string& path);

struct Batch {
  std::vector<api::Value> inputs;
  std::vector<Truth> truths;  // of the samples that count; a last batch is filled up by repetition
  std::vector<std::string> names;
  size_t rows = 1;  // extent of the outputs' first axis that belongs to samples
};

class Dataset {
 public:
  // Errors: ToolError naming files, columns, inputs.
  Dataset(const api::Session& session, const DataOptions& options, const Sidecar& sidecar);
  size_t samples() const { return picked_.size(); }
  size_t batches() const { return (picked_.size() + batch_ - 1) / batch_; }
  Batch load(size_t batch) const;
  // Names of the inputs of the session it was opened for, in the order of Batch::inputs.
  const std::vector<std::string>& inputs() const { return names_; }
  // The truth of the first sample is known.
  bool labelled() const { return labelled_; }

 private:
  const api::Session& session_;
  DataOptions options_;
  std::vector<std::unique_ptr<SampleSource>> sources_;
  std::vector<size_t> picked_;
  std::vector<std::string> names_;
  size_t batch_ = 1;
  bool labelled_ = false;
};

// Class names as the options or the sidecar give them; may be empty.
std::vector<std::string> class_names(const DataOptions& o, const Sidecar& sidecar);
// A class by number or by name. Errors: ToolError naming `what`.
int64_t class_index(const std::string& field, const std::vector<std::string>& names, const std::string& what);
// "10:200:2" of `n` samples as their numbers. Errors: UsageError.
std::vector<size_t> pick_samples(const std::string& text, size_t n);

}  // namespace skiff::tool
