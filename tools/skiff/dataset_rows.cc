// Samples that are rows: of arrays, of tables, of files of fixed-size records.
#include <algorithm>
#include <cstring>
#include <map>

#include "csv.h"
#include "dataset.h"
#include "fail.h"
#include "files.h"
#include "npy.h"
#include "values.h"

namespace skiff::tool {

namespace {

constexpr const char* kTruthNames[] = {"index", "label", "labels", "class", "y", "target", "targets"};

// Rows of one input: the elements of each lie behind each other.
struct Rows {
  size_t input = 0;
  Array array;  // first axis: samples
};

struct Rowwise {
  std::vector<Rows> inputs;
  std::vector<Truth> truths;  // empty, or one a row
};

size_t row_count(const Array& a) { return a.dims.empty() ? 0 : static_cast<size_t>(a.dims[0]); }

// Integers are classes, other numbers are values.
std::vector<Truth> truths_of(const Array& a) {
  std::vector<double> v = doubles_of(cast_to(to_value(a), SKIFF_DOUBLE));
  size_t n = row_count(a), width = n ? v.size() / n : 0;
  bool whole = width == 1 && a.dtype != SKIFF_FLOAT && a.dtype != SKIFF_DOUBLE && a.dtype != SKIFF_FLOAT16;
  std::vector<Truth> t(n);
  for (size_t r = 0; r < n; ++r) {
    if (whole)
      t[r].index = static_cast<int64_t>(v[r]);
    else
      t[r].numbers.assign(v.begin() + static_cast<std::ptrdiff_t>(r * width),
                          v.begin() + static_cast<std::ptrdiff_t>((r + 1) * width));
  }
  return t;
}

Rowwise read_npz(const api::Session& session, const DataOptions& o, const std::string& path) {
  Rowwise r;
  for (auto& [name, array] : decode_npz(read_file(path), path)) {
    size_t i = 0;
    while (i < session.input_count() && name != session.input(i).name) ++i;
    bool truth = o.target.empty() ? std::find(std::begin(kTruthNames), std::end(kTruthNames), name) !=
                                        std::end(kTruthNames)
                                  : name == o.target;
    if (i < session.input_count())
      r.inputs.push_back({i, std::move(array)});
    else if (truth)
      r.truths = truths_of(array);
    else
      fail(path, ": array \"", name, "\" is neither an input (", input_names(session),
           ") nor the truth; name the truth with --truth");
  }
  if (r.inputs.empty()) fail(path, ": holds none of the inputs ", input_names(session));
  return r;
}

Rowwise read_table(const DataOptions& o, const std::string& path, size_t input,
                   const std::vector<std::string>& names) {
  std::string text = read_file(path, uint64_t{1} << 30);
  if (text.rfind("\xEF\xBB\xBF", 0) == 0) text.erase(0, 3);
  std::string first = text.substr(0, text.find('\n'));
  Table t = decode_csv(text, first.find('\t') != std::string::npos ? '\t' : ',', path);
  if (t.empty()) fail(path, ": holds no rows");
  if (!t[0].empty() && !t[0][0].empty() && t[0][0][0] == '#') t[0][0].erase(0, 1);
  int target = -1;
  if (!o.target.empty()) {
    target = column_of(t, o.target);
    if (target < 0 && o.target.find_first_not_of("0123456789") == std::string::npos)
      target = static_cast<int>(parse_integer(o.target, "--truth"));
    if (target < 0 || static_cast<size_t>(target) >= t[0].size())
      fail(path, ": has no column \"", o.target, "\" (--truth)");
  } else {
    for (const char* name : kTruthNames)
      if (target < 0) target = column_of(t, name);
  }
  auto numeric = [&](const std::vector<std::string>& row) {
    for (size_t c = 0; c < row.size(); ++c) try {
        if (static_cast<int>(c) != target) parse_number(row[c], "");
      } catch (const ToolError&) {
        return false;
      }
    return true;
  };
  if (!numeric(t[0])) t.erase(t.begin());
  if (t.empty()) fail(path, ": holds no rows of numbers");
  Rowwise r;
  std::vector<double> v;
  size_t width = t[0].size();
  bool classes =
      target >= 0 && std::all_of(t.begin(), t.end(), [&](const auto& row) {
        return row.size() > static_cast<size_t>(target) &&
               (row[static_cast<size_t>(target)].find_first_of(".eE") == std::string::npos || !names.empty());
      });
  for (size_t i = 0; i < t.size(); ++i) {
    std::string where = cat(path, ", data row ", i + 1);
    if (t[i].size() != width) fail(where, " has ", t[i].size(), " fields, the first has ", width);
    Truth truth;
    for (size_t c = 0; c < width; ++c) {
      if (static_cast<int>(c) != target)
        v.push_back(parse_number(t[i][c], cat(where, ", column ", c)));
      else if (classes)
        truth.index = class_index(t[i][c], names, where);
      else
        truth.numbers = {parse_number(t[i][c], where)};
    }
    if (target >= 0) r.truths.push_back(std::move(truth));
  }
  auto n = static_cast<int64_t>(t.size());
  r.inputs.push_back({input, Array::of(SKIFF_DOUBLE, {n, static_cast<int64_t>(v.size()) / n}, v)});
  return r;
}

Rowwise read_records(const DataOptions& o, const std::string& path, size_t input) {
  size_t comma = o.record.find(',');
  if (comma == std::string::npos) fail(path, ": say how a record is laid out: --record u8,3x32x32");
  std::string label = o.record.substr(0, comma);
  size_t label_bytes = label == "u8" ? 1 : label == "u16" ? 2 : label == "none" ? 0 : 9;
  if (label_bytes == 9) fail_usage("--record: the label is u8, u16 or none, not \"", label, '"');
  Array a{SKIFF_UINT8, parse_dims(o.record.substr(comma + 1), "--record"), {}, {}};
  std::string bytes = read_file(path);
  size_t data = a.count(), step = label_bytes + data;
  if (data == 0 || bytes.size() % step != 0 || bytes.empty())
    fail(path, ": ", bytes.size(), " bytes are no whole number of records of ", step, " bytes (--record ",
         o.record, ")");
  size_t n = bytes.size() / step;
  Rowwise r;
  a.dims.insert(a.dims.begin(), static_cast<int64_t>(n));
  a.bytes.resize(n * data);
  for (size_t i = 0; i < n; ++i) {
    const auto* p = reinterpret_cast<const unsigned char*>(bytes.data()) + i * step;
    Truth truth;
    if (label_bytes) truth.index = label_bytes == 1 ? p[0] : p[0] | p[1] << 8;
    if (label_bytes) r.truths.push_back(truth);
    std::memcpy(a.bytes.data() + i * data, p + label_bytes, data);
  }
  r.inputs.push_back({input, std::move(a)});
  return r;
}

class RowSource : public SampleSource {
 public:
  RowSource(const api::Session& session, const DataOptions& o, const Sidecar& sidecar, size_t input,
            const std::string& path)
      : session_(session), specs_(session.input_count()) {
    std::string e = extension(path);
    if (e == "npz")
      rows_ = read_npz(session, o, path);
    else if (e == "npy")
      rows_.inputs.push_back({input, decode_npy(read_file(path), path)});
    else if (e == "bin")
      rows_ = read_records(o, path, input);
    else
      rows_ = read_table(o, path, input, class_names(o, sidecar));
    if (!o.labels.empty() && extension(o.labels) == "npy")
      rows_.truths = truths_of(decode_npy(read_file(o.labels), o.labels));
    count_ = row_count(rows_.inputs[0].array);
    for (const Rows& r : rows_.inputs)
      if (row_count(r.array) != count_)
        fail(path, ": its arrays have ", count_, " and ", row_count(r.array), " rows");
    if (!rows_.truths.empty() && rows_.truths.size() != count_)
      fail(path, ": ", count_, " samples but ", rows_.truths.size(), " labels");
    for (const auto& [name, spec] : sidecar.inputs)
      for (size_t i = 0; i < session.input_count(); ++i)
        if (name == session.input(i).name) specs_[i] = spec;
    for (ImageSpec& s : specs_) s = merge(s, image_spec(o.input));
    // The other inputs: as for a single run.
    InputOptions io = o.input;
    if (io.fill.empty() && session.input_count() == rows_.inputs.size()) io.fill = "zeros";
    bool rest = false;
    for (size_t i = 0; i < session.input_count(); ++i) rest = rest || !is_row(i);
    if (!rest) return;
    std::string missing;
    for (size_t i = 0; i < session.input_count(); ++i) {
      std::string given = std::string(session.input(i).name) + "=";
      bool there = is_row(i) || session.input(i).optional || !io.fill.empty() ||
                   std::any_of(io.inputs.begin(), io.inputs.end(),
                               [&](const std::string& s) { return s.rfind(given, 0) == 0; });
      if (!there)
        fail("input \"", session.input(i).name, "\" is in no --data; give --input ", given,
             "FILE, or --fill zeros, ones or random");
    }
    if (io.fill.empty()) io.fill = "zeros";
    others_ = std::make_unique<Inputs>(session, io, sidecar);
  }

  size_t size() const override { return count_; }

  Sample load(size_t i) const override {
    Sample s;
    s.name = std::to_string(i);
    s.inputs.resize(session_.input_count());
    if (others_) s.inputs = others_->load(0).values;
    for (const Rows& r : rows_.inputs) s.inputs[r.input] = row(r, i);
    if (!rows_.truths.empty()) s.truth = rows_.truths[i];
    return s;
  }

 private:
  bool is_row(size_t input) const {
    return std::any_of(rows_.inputs.begin(), rows_.inputs.end(),
                       [&](const Rows& r) { return r.input == input; });
  }

  api::Value row(const Rows& r, size_t i) const {
    skiff_port p = session_.input(r.input);
    Array a{r.array.dtype, r.array.dims, {}, {}};
    a.dims[0] = 1;
    size_t count = a.count();
    if (a.dtype == SKIFF_STRING) {
      a.strings.assign(r.array.strings.begin() + static_cast<std::ptrdiff_t>(i * count),
                       r.array.strings.begin() + static_cast<std::ptrdiff_t>((i + 1) * count));
    } else {
      size_t bytes = r.array.bytes.size() / count_;
      a.bytes.assign(r.array.bytes.begin() + static_cast<std::ptrdiff_t>(i * bytes),
                     r.array.bytes.begin() + static_cast<std::ptrdiff_t>((i + 1) * bytes));
    }
    if (p.rank >= 0) a.dims = fit(a.dims, count, p);
    const ImageSpec& spec = specs_[r.input];
    if (spec.scale || spec.mean || spec.std) a = normalized(std::move(a), spec);
    return cast_to(to_value(a), p.dtype);
  }

  // The declared extents of one sample, when they hold as many elements.
  static std::vector<int64_t> fit(const std::vector<int64_t>& have, size_t count, const skiff_port& p) {
    std::vector<int64_t> want = port_dims(p);
    bool agree = want.size() == have.size();
    for (size_t k = 1; agree && k < want.size(); ++k) agree = want[k] < 0 || want[k] == have[k];
    if (agree) return have;
    int64_t known = 1;
    size_t open = want.size();
    for (size_t k = 0; k < want.size(); ++k) {
      if (k == 0 && want.size() > 1) want[k] = 1;
      if (want[k] < 0 && open == want.size())
        open = k;
      else if (want[k] < 0)
        want[k] = 1;
      if (k != open) known *= want[k];
    }
    auto n = static_cast<int64_t>(count);
    if (open < want.size() && known > 0) want[open] = n / known, known *= want[open];
    if (known != n)
      fail("input \"", p.name, "\" (", p.type_text, "): a sample of shape ", dims_text(have),
           " does not fit");
    return want;
  }

  static Array normalized(Array a, const ImageSpec& spec) {
    std::vector<double> v = doubles_of(cast_to(to_value(a), SKIFF_DOUBLE));
    size_t channels = a.dims.size() >= 3 ? static_cast<size_t>(a.dims[a.dims.size() - 3]) : 1;
    size_t plane = channels ? v.size() / channels : 0;
    auto at = [&](const std::optional<std::vector<double>>& list, size_t c, double other, const char* what) {
      if (!list) return other;
      if (list->size() != 1 && list->size() != channels)
        fail(what, " has ", list->size(), " entries for ", channels, " channels");
      return list->size() == 1 ? (*list)[0] : (*list)[c];
    };
    for (size_t c = 0; c < channels; ++c) {
      double mean = at(spec.mean, c, 0, "--mean"), std = at(spec.std, c, 1, "--std");
      if (std == 0) fail("--std is 0");
      for (size_t k = c * plane; k < (c + 1) * plane; ++k)
        v[k] = (v[k] * spec.scale.value_or(1) - mean) / std;
    }
    return Array::of(SKIFF_DOUBLE, a.dims, v);
  }

  const api::Session& session_;
  Rowwise rows_;
  std::vector<ImageSpec> specs_;
  std::unique_ptr<Inputs> others_;
  size_t count_ = 0;
};

}  // namespace

std::unique_ptr<SampleSource> open_rows(const api::Session& session, const DataOptions& o,
                                        const Sidecar& sidecar, size_t input, const std::string& path) {
  return std::make_unique<RowSource>(session, o, sidecar, input, path);
}

}  // namespace skiff::tool
