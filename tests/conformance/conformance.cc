// Runs ONNX backend-test folders (model.onnx, test_data_set_*/input_*.pb, output_*.pb) through the reference
// interpreter and compares with the standard's tolerances. Shape inference runs too, and what it claims must
// be what comes out.
//   conformance [--only TEXT] [--skip-list FILE] [--infer] FOLDER...
// --infer: every .onnx file below the folders is read, its operators resolved and its types inferred, no
// more. A folder is a case, or is searched for cases. Exit 0 when every case passes or stands in the skip
// list (one name a line, '#' begins a reason); a listed case that passes is reported, so that the list stays
// honest.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "onnx/import.h"
#include "onnx/value_proto.h"
#include "ops/infer.h"
#include "ops/interpret.h"

namespace fs = std::filesystem;
using namespace skiff;

namespace {

constexpr double kRtol = 1e-3, kAtol = 1e-7;

// `exact` false: only type and shape are compared, as of random numbers.
std::string compare_tensors(const Tensor& got, const Tensor& want, bool exact = true) {
  if (got.dtype() != want.dtype() || !(got.dims() == want.dims()))
    return cat("is ", describe(got), ", expected ", describe(want));
  if (!exact) return {};
  for (int64_t i = 0; i < want.size(); ++i) {
    if (want.dtype() == DType::kString) {
      const std::string &g = got.data<std::string>()[i], &w = want.data<std::string>()[i];
      if (g != w) return cat("element ", i, " is '", g, "', expected '", w, "'");
      continue;
    }
    if (want.dtype() == DType::kComplex64 || want.dtype() == DType::kComplex128) {
      size_t n = want.dtype() == DType::kComplex64 ? 8 : 16;
      if (std::memcmp(got.data<char>() + static_cast<size_t>(i) * n,
                      want.data<char>() + static_cast<size_t>(i) * n, n) != 0)
        return cat("element ", i, " differs");
      continue;
    }
    if (dtype_is_float(want.dtype())) {
      double g = get_double(got, i), w = get_double(want, i);
      if (g == w || (g != g && w != w)) continue;
      if (std::abs(g - w) <= kAtol + kRtol * std::abs(w)) continue;
      return cat("element ", i, " is ", g, ", expected ", w);
    }
    int64_t g = get_int(got, i), w = get_int(want, i);
    if (g != w)
      return cat("element ", i, " is ", static_cast<long long>(g), ", expected ", static_cast<long long>(w));
  }
  return {};
}

// Empty when equal, else what differs.
std::string compare(const Datum& got, const Datum& want, bool exact = true) {
  if (got.kind() != want.kind()) return "is another kind of value";
  switch (want.kind()) {
    case Datum::Kind::kTensor: return compare_tensors(got.tensor(), want.tensor(), exact);
    case Datum::Kind::kSequence: {
      const auto &g = got.items(), &w = want.items();
      if (g.size() != w.size()) return cat("has ", g.size(), " items, expected ", w.size());
      for (size_t i = 0; i < w.size(); ++i)
        if (std::string s = compare(g[i], w[i]); !s.empty()) return cat("item ", i, " ", s);
      return {};
    }
    case Datum::Kind::kMap: {
      if (std::string s = compare_tensors(got.map().keys, want.map().keys); !s.empty()) return "keys: " + s;
      for (size_t i = 0; i < want.map().values.size(); ++i)
        if (std::string s = compare(got.map().values[i], want.map().values[i]); !s.empty())
          return "values: " + s;
      return {};
    }
    case Datum::Kind::kSparse: return compare_tensors(got.sparse().values, want.sparse().values);
    default: return {};
  }
}

// What inference claims against what came out.
std::string check_claim(const Type& claim, const Datum& got) {
  if (claim.kind == Type::Kind::kUnknown || claim.kind == Type::Kind::kOptional) return {};
  if (claim.kind == Type::Kind::kSequence)
    return got.kind() == Datum::Kind::kSequence ? "" : "inferred a sequence";
  if (!got.is_tensor() || claim.kind != Type::Kind::kTensor) return {};
  const Tensor& t = got.tensor();
  bool ok = claim.dtype == DType::kUndefined || claim.dtype == t.dtype();
  if (ok && claim.shape.has_rank()) {
    ok = claim.shape.rank() == t.dims().size();
    for (size_t i = 0; ok && i < claim.shape.rank(); ++i)
      ok = !claim.shape[i].is_const() || claim.shape[i].value() == t.dims()[i];
  }
  return ok ? "" : cat("inferred ", claim.to_string(), ", is ", describe(t));
}

std::vector<fs::path> numbered(const fs::path& folder, const char* kind) {
  std::vector<fs::path> v;
  for (int i = 0;; ++i) {
    fs::path p = folder / cat(kind, "_", i, ".pb");
    if (!fs::exists(p)) return v;
    v.push_back(p);
  }
}

// Values bind by name where the file names a graph input, else in the order of the inputs without defaults.
std::string run_set(const Graph& g, const fs::path& set) {
  bool exact = true;
  for (NodeId id : g.order()) exact = exact && !(g.node(id).def && g.node(id).def->is(kNondeterministic));
  std::vector<ValueId> open;
  for (ValueId v : g.inputs())
    if (!g.value(v).constant.defined()) open.push_back(v);
  std::vector<Datum> in(g.inputs().size());
  std::vector<fs::path> files = numbered(set, "input");
  for (size_t i = 0; i < files.size(); ++i) {
    size_t slot = SIZE_MAX;
    if (files.size() == g.inputs().size())
      slot = i;
    else if (i < open.size())
      slot =
          static_cast<size_t>(std::find(g.inputs().begin(), g.inputs().end(), open[i]) - g.inputs().begin());
    if (slot == SIZE_MAX) return cat("has more inputs than the graph");
    in[slot] = onnx::read_value(files[i].string(), g.value(g.inputs()[slot]).type).value;
  }
  std::vector<Datum> out = interpret(g, in);
  std::vector<fs::path> want = numbered(set, "output");
  if (want.size() != out.size()) return cat("gives ", out.size(), " outputs, expected ", want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    const Value& v = g.value(g.outputs()[i]);
    Datum w = onnx::read_value(want[i].string(), v.type).value;
    if (std::string s = compare(out[i], w, exact); !s.empty()) return cat("output ", i, " ", s);
    if (std::string s = check_claim(v.type, out[i]); !s.empty()) return cat("output ", i, " ", s);
  }
  return {};
}

std::string run_case(const fs::path& folder) {
  try {
    Model m = onnx::read_model((folder / "model.onnx").string());
    resolve_ops(m.graph, m.functions);
    infer_types(m.graph);
    for (const auto& e : fs::directory_iterator(folder))
      if (e.is_directory())
        if (std::string s = run_set(m.graph, e.path()); !s.empty()) return s;
    return {};
  } catch (const std::exception& e) {
    return e.what();
  }
}

std::string infer_only(const fs::path& file) {
  try {
    Model m = onnx::read_model(file.string());
    resolve_ops(m.graph, m.functions);
    infer_types(m.graph);
    int64_t values = 0, ranked = 0, own = 0;  // own: extents that only name themselves
    for (size_t i = 0; i < m.graph.value_slots(); ++i) {
      const Value& v = m.graph.value(static_cast<ValueId>(i));
      if (v.dead || v.producer == kNoNode) continue;
      ++values;
      ranked += v.type.kind != Type::Kind::kUnknown &&
                (v.type.kind != Type::Kind::kTensor || v.type.shape.has_rank());
      for (size_t k = 0; k < v.type.shape.rank(); ++k)
        own += v.type.shape[k].to_string() == cat(v.name, ".", k);
    }
    std::printf("%s: %lld of %lld computed values have a known rank, %lld extents are new symbols\n",
                file.c_str(), static_cast<long long>(ranked), static_cast<long long>(values),
                static_cast<long long>(own));
    return {};
  } catch (const std::exception& e) {
    return e.what();
  }
}

void collect(const fs::path& p, std::vector<fs::path>& cases, bool files) {
  if (files) {
    for (const auto& e : fs::recursive_directory_iterator(p))
      if (e.path().extension() == ".onnx") cases.push_back(e.path());
    return;
  }
  if (fs::exists(p / "model.onnx")) {
    cases.push_back(p);
    return;
  }
  for (const auto& e : fs::directory_iterator(p))
    if (e.is_directory()) collect(e.path(), cases, false);
}

std::set<std::string> read_list(const std::string& path) {
  std::set<std::string> names;
  std::ifstream f(path);
  for (std::string line; std::getline(f, line);) {
    line = line.substr(0, line.find('#'));
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (!line.empty()) names.insert(line);
  }
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  std::string only;
  bool infer = false;
  std::set<std::string> skip;
  std::vector<fs::path> cases;
  for (int i = 1; i < argc; ++i) {
    std::string a = argv[i];
    if (a == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else if (a == "--skip-list" && i + 1 < argc) {
      skip = read_list(argv[++i]);
    } else if (a == "--infer") {
      infer = true;
    } else if (fs::is_directory(a)) {
      collect(a, cases, infer);
    } else {
      std::fprintf(stderr, "%s is not a folder\n", a.c_str());
      return 77;
    }
  }
  std::sort(cases.begin(), cases.end());
  int passed = 0, failed = 0, skipped = 0;
  for (const fs::path& p : cases) {
    std::string name = p.filename().string();
    if (name.find(only) == std::string::npos) continue;
    std::string s = infer ? infer_only(p) : run_case(p);
    bool listed = skip.count(name) != 0;
    if (s.empty()) {
      ++passed;
      if (listed) std::printf("LISTED BUT PASSES %s\n", name.c_str());
    } else if (listed) {
      ++skipped;
    } else {
      ++failed;
      std::printf("FAIL %s: %s\n", name.c_str(), s.c_str());
    }
  }
  std::printf("%d passed, %d failed, %d expected failures\n", passed, failed, skipped);
  return failed ? 1 : 0;
}
