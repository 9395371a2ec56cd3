#include "dataset.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>

#include "fail.h"
#include "files.h"
#include "inputs.h"
#include "labels.h"
#include "values.h"

namespace skiff::tool {

void add_data_options(CLI::App& app, DataOptions& o) {
  auto* group = "Data";
  app.add_option(
         "--data", o.data,
         "A folder of images, .wav or .npy files (labels.tsv or class sub-folders beside them), a .npz, "
         ".npy, "
         ".csv, .tsv or .bin file, or a folder of test_data_set_N; NAME= in front for the input; repeatable")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--labels", o.labels,
                 "The truth: a table with the column file and index, label, text or value; or a .npy file "
                 "[labels.tsv, labels.csv beside the data]")
      ->group(group);
  app.add_option("--truth", o.target,
                 "Column of a table (name, or number from 0) or array of a .npz that holds the truth "
                 "[index, label, class, y, labels, target]")
      ->group(group);
  app.add_option("--record", o.record, "Layout of .bin records: LABEL,DIMS, e.g. u8,3x32x32 (CIFAR-10)")
      ->group(group);
  app.add_option("--masks", o.masks, "Folder of true masks, called as the pictures or PICTURE_mask")
      ->group(group);
  app.add_option("--samples", o.samples, "Which samples: BEGIN:END:STEP [all]; 1::2 is every other one")
      ->group(group);
  app.add_option("--class-names", o.class_names, "Names of the classes, one a line [the sidecar's]")
      ->group(group);
  app.add_option("--batch", o.batch, "Samples a run [what the model's shape says, else 1]")
      ->check(CLI::Range(1, 65536))
      ->group(group);
  app.add_option("--input,-i", o.input.inputs, "NAME=FILE of an input that is the same for every sample")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--fill", o.input.fill, "Values of inputs not given: zeros, ones or random")
      ->check(CLI::IsMember({"zeros", "ones", "random"}))
      ->group(group);
  add_image_options(app, o.input);
  add_shape_options(app, o.input);
}

std::vector<std::string> class_names(const DataOptions& o, const Sidecar& sidecar) {
  const std::string& file = o.class_names.empty() ? sidecar.labels : o.class_names;
  return file.empty() ? std::vector<std::string>() : parse_labels(read_file(file, uint64_t{64} << 20), file);
}

int64_t class_index(const std::string& field, const std::vector<std::string>& names,
                    const std::string& what) {
  std::string text(trim(field));
  auto it = std::find(names.begin(), names.end(), text);
  if (it != names.end()) return it - names.begin();
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos)
    return parse_integer(text, what);
  double v = 0;
  try {
    v = parse_number(text, what);
  } catch (const ToolError&) {
    fail(what, ": \"", text, "\" is neither a class number nor one of the ", names.size(),
         " class names (--class-names)");
  }
  if (v < 0 || v != static_cast<double>(static_cast<int64_t>(v)))
    fail(what, ": ", text, " is no class number");
  return static_cast<int64_t>(v);
}

std::vector<size_t> pick_samples(const std::string& text, size_t n) {
  int64_t part[3] = {0, static_cast<int64_t>(n), 1};
  if (!text.empty()) {
    std::vector<std::string> fields = split(text, ':');
    if (fields.size() == 1) fields = {"0", fields[0]};
    if (fields.size() > 3) fail_usage("--samples: \"", text, "\" is not BEGIN:END:STEP");
    try {
      for (size_t k = 0; k < fields.size(); ++k)
        if (!fields[k].empty()) part[k] = parse_integer(fields[k], "--samples");
    } catch (const ToolError& e) {
      throw UsageError(e.what());
    }
    if (part[0] < 0 || part[1] < 0 || part[2] < 1)
      fail_usage("--samples: \"", text, "\": numbers from 0 and a step from 1 are needed");
  }
  std::vector<size_t> list;
  for (int64_t i = part[0]; i < std::min<int64_t>(part[1], static_cast<int64_t>(n)); i += part[2])
    list.push_back(static_cast<size_t>(i));
  return list;
}

namespace {

bool is_rows_file(const std::string& path) {
  std::string e = extension(path);
  return e == "npz" || e == "npy" || e == "csv" || e == "tsv" || e == "txt" || e == "bin";
}

bool holds_sets(const std::string& path) {
  if (!is_folder(path)) return false;
  if (is_file(join(path, "input_0.pb"))) return true;
  for (const std::string& name : list_folder(path))
    if (name.rfind("test_data_set_", 0) == 0) return true;
  return false;
}

// The values of several samples behind each other along the first axis.
api::Value stack(const std::vector<const api::Value*>& parts) {
  Array all = to_array(*parts[0]);
  if (all.dims.empty() || all.dtype == SKIFF_STRING)
    fail("samples of this input cannot be joined into a batch");
  for (size_t k = 1; k < parts.size(); ++k) {
    Array a = to_array(*parts[k]);
    if (a.dtype != all.dtype || a.dims.size() != all.dims.size() ||
        !std::equal(a.dims.begin() + 1, a.dims.end(), all.dims.begin() + 1))
      fail("samples of different shapes (", dims_text(all.dims), " and ", dims_text(a.dims),
           ") cannot share a batch; use --batch 1");
    all.dims[0] += a.dims[0];
    all.bytes.insert(all.bytes.end(), a.bytes.begin(), a.bytes.end());
  }
  return to_value(all);
}

}  // namespace

Dataset::Dataset(const api::Session& session, const DataOptions& options, const Sidecar& sidecar)
    : session_(session), options_(options) {
  for (size_t i = 0; i < session.input_count(); ++i) names_.push_back(session.input(i).name);
  if (options.data.empty()) fail_usage("--data is missing: name a folder or file of samples");
  // The input that samples go to unless they name one: the only required one, else the first without a value.
  size_t main = session.input_count();
  for (size_t i = session.input_count(); i-- > 0;) {
    std::string given = std::string(session.input(i).name) + "=";
    bool taken = session.input(i).optional ||
                 std::any_of(options.input.inputs.begin(), options.input.inputs.end(),
                             [&](const std::string& s) { return s.rfind(given, 0) == 0; });
    if (!taken) main = i;
  }
  size_t total = 0;
  for (const std::string& text : options.data) {
    std::string path = text;
    size_t input = main;
    for (size_t i = 0; i < session.input_count(); ++i) {
      std::string prefix = std::string(session.input(i).name) + "=";
      if (text.rfind(prefix, 0) == 0) input = i, path = text.substr(prefix.size());
    }
    if (!is_folder(path) && !is_file(path)) fail(path, ": no such file or folder (--data)");
    if (holds_sets(path)) {
      sources_.push_back(open_sets(session, options_, sidecar, path));
    } else {
      if (input >= session.input_count()) fail(path, ": the model takes no input that samples could go to");
      sources_.push_back(is_folder(path) || !is_rows_file(path)
                             ? open_files(session, options_, sidecar, input, path)
                             : open_rows(session, options_, sidecar, input, path));
    }
    total += sources_.back()->size();
  }
  picked_ = pick_samples(options.samples, total);
  if (picked_.empty())
    fail(options.data[0], ": no samples",
         total > 0 ? cat(" (--samples picks none of ", total, ")") : std::string());
  batch_ = static_cast<size_t>(std::max<int64_t>(options.batch, 1));
  for (size_t i = 0; i < session.input_count(); ++i) {
    skiff_port p = session.input(i);
    if (p.kind != SKIFF_KIND_TENSOR || p.rank < 1 || p.dims[0] <= 1 || p.optional || i != main) continue;
    // A fixed batch: samples of batch 1 are joined.
    if (sources_[0]->load(picked_[0] < sources_[0]->size() ? picked_[0] : 0).inputs[i].dims()[0] != 1)
      continue;
    batch_ = static_cast<size_t>(p.dims[0]);
  }
  Batch first = load(0);
  labelled_ = !first.truths.empty() && first.truths[0].known();
}

Batch Dataset::load(size_t b) const {
  Batch r;
  std::vector<Sample> samples;
  for (size_t k = 0; k < batch_; ++k) {
    size_t at = std::min(b * batch_ + k, picked_.size() - 1), i = picked_[at];
    if (b * batch_ + k >= picked_.size() && samples.empty()) fail("there is no batch ", b);
    if (b * batch_ + k >= picked_.size()) break;
    size_t s = 0;
    while (i >= sources_[s]->size()) i -= sources_[s++]->size();
    samples.push_back(sources_[s]->load(i));
    r.truths.push_back(samples.back().truth);
    r.names.push_back(samples.back().name);
  }
  if (batch_ == 1) {
    r.inputs = std::move(samples[0].inputs);
    return r;
  }
  r.rows = batch_;
  for (size_t i = 0; i < session_.input_count(); ++i) {
    skiff_port p = session_.input(i);
    const api::Value& one = samples[0].inputs[i];
    bool joined = one.kind() == SKIFF_KIND_TENSOR && p.rank > 0 && !one.dims().empty() &&
                  one.dims()[0] == 1 && (p.dims[0] < 0 || p.dims[0] == static_cast<int64_t>(batch_));
    if (!joined) {
      r.inputs.push_back(std::move(samples[0].inputs[i]));
      continue;
    }
    std::vector<const api::Value*> parts;
    for (size_t k = 0; k < batch_; ++k) parts.push_back(&samples[std::min(k, samples.size() - 1)].inputs[i]);
    r.inputs.push_back(stack(parts));
  }
  return r;
}

}  // namespace skiff::tool
