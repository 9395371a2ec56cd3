// Samples that are files of their own, and ONNX test sets.
#include <algorithm>
#include <map>

#include "csv.h"
#include "dataset.h"
#include "fail.h"
#include "files.h"
#include "labels.h"

namespace skiff::tool {

namespace {

bool is_sample_name(const std::string& name) {
  std::string e = extension(name);
  return is_image_name(name) || e == "npy" || e == "wav" || e == "pb";
}

struct File {
  std::string path;
  Truth truth;
};

// file -> truth from a table with the column `file` and others that say what is true.
std::map<std::string, Truth> read_truths(const std::string& path, const DataOptions& o,
                                         const std::vector<std::string>& names) {
  std::string text = read_file(path, uint64_t{256} << 20);
  Table t = decode_csv(text, extension(path) == "csv" ? ',' : '\t', path);
  int file = column_of(t, "file"), index = -1, words = column_of(t, "text"), value = column_of(t, "value");
  for (const char* c : {"index", "label", "class"})
    if (index < 0) index = column_of(t, c);
  if (!o.target.empty()) {
    index = column_of(t, o.target);
    words = value = -1;
    if (index < 0) fail(path, ": has no column \"", o.target, "\" (--truth)");
  }
  if (file < 0 || (index < 0 && words < 0 && value < 0))
    fail(path, ": a table of the truth needs the column file and one of index, label, class, text, value");
  std::map<std::string, Truth> truths;
  for (size_t r = 1; r < t.size(); ++r) {
    if (t[r].size() != t[0].size()) fail(path, ": row ", r + 1, " has ", t[r].size(), " fields");
    std::string where = cat(path, ", row ", r + 1);
    Truth& truth = truths[t[r][static_cast<size_t>(file)]];
    if (index >= 0) truth.index = class_index(t[r][static_cast<size_t>(index)], names, where);
    if (words >= 0) truth.text = t[r][static_cast<size_t>(words)];
    if (value >= 0) truth.numbers = parse_numbers(t[r][static_cast<size_t>(value)], where);
  }
  return truths;
}

std::string mask_of(const std::string& folder, const std::string& picture) {
  for (const std::string& name : {stem(picture) + "_mask.png", stem(picture) + ".png", file_name(picture)}) {
    std::string path = join(folder, name);
    if (path != picture && is_file(path)) return path;
  }
  return {};
}

void list_files(const std::string& path, const DataOptions& o, const std::vector<std::string>& names,
                std::vector<File>& files) {
  std::vector<std::string> folders;
  for (const std::string& name : list_folder(path)) {
    std::string full = join(path, name);
    if (is_folder(full)) folders.push_back(name);
    bool is_mask =
        !o.masks.empty() && stem(name).size() > 5 && stem(name).rfind("_mask") == stem(name).size() - 5;
    if (!is_folder(full) && is_sample_name(name) && !is_mask) files.push_back({full, {}});
  }
  std::string table = o.labels;
  for (const char* name : {"labels.tsv", "labels.csv"})
    if (table.empty() && is_file(join(path, name))) table = join(path, name);
  if (!files.empty()) {
    if (table.empty()) return;
    std::map<std::string, Truth> truths = read_truths(table, o, names);
    size_t found = 0;
    for (File& f : files)
      if (auto it = truths.find(file_name(f.path)); it != truths.end()) f.truth = it->second, ++found;
    if (found == 0) fail(table, ": names none of the ", files.size(), " files of ", path);
    std::erase_if(files, [](const File& f) { return !f.truth.known(); });
    return;
  }
  // Sub-folders are classes: by name or number where all are known, else in their order.
  auto known = [&](const std::string& f) {
    return std::find(names.begin(), names.end(), f) != names.end() ||
           f.find_first_not_of("0123456789") == std::string::npos;
  };
  bool all_known = std::all_of(folders.begin(), folders.end(), known);
  for (size_t k = 0; k < folders.size(); ++k) {
    std::string folder = join(path, folders[k]);
    for (const std::string& name : list_folder(folder)) {
      if (!is_sample_name(name)) continue;
      File f{join(folder, name), {}};
      f.truth.index = all_known ? class_index(folders[k], names, path) : static_cast<int64_t>(k);
      files.push_back(std::move(f));
    }
  }
}

class FileSource : public SampleSource {
 public:
  FileSource(const api::Session& session, const DataOptions& o, const Sidecar& sidecar, size_t input,
             const std::string& path) {
    std::vector<std::string> names = class_names(o, sidecar);
    if (is_folder(path))
      list_files(path, o, names, files_);
    else
      files_.push_back({path, {}});
    if (files_.empty()) fail(path, ": holds no images, .wav, .npy or .pb files");
    if (!o.masks.empty())
      for (File& f : files_) {
        f.truth.mask = mask_of(o.masks, f.path);
        if (f.truth.mask.empty()) fail(f.path, ": no mask in ", o.masks, " (", stem(f.path), "_mask.png)");
      }
    InputOptions io = o.input;
    for (const File& f : files_) io.inputs.push_back(std::string(session.input(input).name) + "=" + f.path);
    inputs_ = std::make_unique<Inputs>(session, io, sidecar);
  }
  size_t size() const override { return files_.size(); }
  Sample load(size_t i) const override {
    return {file_name(files_[i].path), inputs_->load(i).values, files_[i].truth};
  }

 private:
  std::vector<File> files_;
  std::unique_ptr<Inputs> inputs_;
};

class SetSource : public SampleSource {
 public:
  SetSource(const api::Session& session, const DataOptions& o, const Sidecar& sidecar,
            const std::string& path)
      : session_(session), options_(o.input), sidecar_(sidecar) {
    if (is_file(join(path, "input_0.pb"))) folders_.push_back(path);
    for (const std::string& name : list_folder(path))
      if (name.rfind("test_data_set_", 0) == 0) folders_.push_back(join(path, name));
  }
  size_t size() const override { return folders_.size(); }
  Sample load(size_t i) const override {
    InputOptions o = options_;
    o.data = folders_[i];
    return {file_name(folders_[i]), Inputs(session_, o, sidecar_).load(0).values, {}};
  }

 private:
  const api::Session& session_;
  InputOptions options_;
  Sidecar sidecar_;
  std::vector<std::string> folders_;
};

}  // namespace

std::unique_ptr<SampleSource> open_files(const api::Session& session, const DataOptions& o,
                                         const Sidecar& sidecar, size_t input, const std::string& path) {
  return std::make_unique<FileSource>(session, o, sidecar, input, path);
}

std::unique_ptr<SampleSource> open_sets(const api::Session& session, const DataOptions& o,
                                        const Sidecar& sidecar, const std::string& path) {
  return std::make_unique<SetSource>(session, o, sidecar, path);
}

}  // namespace skiff::tool
