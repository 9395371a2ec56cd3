// Runs ONNX backend-test folders (model.onnx, test_data_set_*/input_*.pb, output_*.pb) and compares with the
// standard's tolerances: element types and shapes exactly, numbers to rtol 1e-3 and atol 1e-7.
//   conformance [--only TEXT] [--ignore FILE] [--infer] [--oracle] [--isa LIST] [--threads LIST]
//               [--passes LIST] FOLDER...
// --oracle: node by node through the reference interpreter; what shape inference claims must be what comes
// out.
// --isa generic,sse4,avx2,avx512: sessions on the CPU device with that instruction set ("reference": with
//   the reference kernels), for each of --threads (1,2) and --passes (all,none). One the machine lacks is
//   told and left out; 77 is the exit code when none is left.
// --convert FOLDER: each model is brought to the newest opset, written there, read again and run in its
// place.
// --upgrade: each model is brought to the newest opset, written and read again first.
// --infer: every .onnx file below the folders is read, its operators resolved and its types inferred, no
// more. A folder is a case, or is searched for cases. Exit 0 when every case passes or stands in the ignore
// list (one name a line, '#' begins the reason); a listed case that passes fails the run, so that the list
// stays honest.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "conformance/random_check.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/upgrade_opset.h"
#include "onnx/value_proto.h"
#include "ops/infer.h"
#include "ops/interpret.h"
#include "passes/expand_gradients.h"
#include "runtime/devices.h"
#include "runtime/session.h"
#include "tensor/compare.h"

namespace fs = std::filesystem;
using namespace skiff;

namespace {

constexpr double kRtol = 1e-3, kAtol = 1e-7;

// One way of running a model; isa "" is the oracle.
struct Config {
  std::string isa;
  int threads = 1;
  bool passes = true;
  std::string text() const {
    return isa.empty() ? "oracle"
                       : cat(isa, ", ", threads, threads == 1 ? " thread, " : " threads, ",
                             passes ? "all" : "no", " passes");
  }
};

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

// A case's model as read, for its inputs, types and how it is judged.
struct Case {
  Model model;
  bool random = false;
  std::string bytes;  // of the upgraded model
  Case(const fs::path& file, bool upgrade) : model(onnx::read_model(file.string())) {
    if (upgrade) {
      onnx::upgrade_opset(model, kNewestOpset);
      bytes = onnx::write_model_bytes(model);
      model = onnx::read_model_bytes(bytes, std::shared_ptr<const void>(bytes.data(), [](const void*) {}));
    }
    resolve_ops(model.graph, model.functions);
    infer_types(model.graph);
    random = conformance::is_random(model.graph);
  }
  const Graph& graph() const { return model.graph; }
};

// Files bind in order to all inputs, or to those without defaults.
std::vector<Datum> read_inputs(const Graph& g, const fs::path& set) {
  std::vector<size_t> open;
  for (size_t i = 0; i < g.inputs().size(); ++i)
    if (!g.value(g.inputs()[i]).constant.defined()) open.push_back(i);
  std::vector<Datum> in(g.inputs().size());
  std::vector<fs::path> files = numbered(set, "input");
  check(files.size() == in.size() || files.size() <= open.size(), Code::kInvalidArgument, "has ",
        files.size(), " input files for ", in.size(), " inputs");
  for (size_t i = 0; i < files.size(); ++i) {
    size_t slot = files.size() == in.size() ? i : open[i];
    in[slot] = onnx::read_value(files[i].string(), g.value(g.inputs()[slot]).type).value;
  }
  return in;
}

std::string judge(const Case& c, const fs::path& set, std::span<const Datum> in, std::span<const Datum> out) {
  std::vector<fs::path> want = numbered(set, "output");
  if (want.size() != out.size()) return cat("gives ", out.size(), " outputs, expected ", want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    Datum w = onnx::read_value(want[i].string(), c.graph().value(c.graph().outputs()[i]).type).value;
    // Of random numbers only type and shape.
    Difference d = compare(out[i], w, kRtol, c.random ? 1e300 : kAtol);
    if (!d.equal) return cat("output ", i, ": ", d.text);
  }
  return c.random ? conformance::check_random(c.graph(), in, out) : "";
}

std::vector<fs::path> sets_of(const fs::path& folder) {
  std::vector<fs::path> r;
  for (const auto& e : fs::directory_iterator(folder))
    if (e.is_directory()) r.push_back(e.path());
  std::sort(r.begin(), r.end());
  return r;
}

std::string run_oracle(Case& c, const fs::path& folder) {
  Graph g = c.graph().clone();
  passes::PassContext ctx;
  if (passes::expand_gradients(g, ctx)) infer_types(g);
  for (const fs::path& set : sets_of(folder)) {
    std::vector<Datum> in = read_inputs(g, set), out = interpret(g, in);
    if (std::string s = judge(c, set, in, out); !s.empty()) return s;
    for (size_t i = 0; i < out.size(); ++i)
      if (std::string s = check_claim(g.value(g.outputs()[i]).type, out[i]); !s.empty())
        return cat("output ", i, " ", s);
  }
  return {};
}

std::string run_session(const Case& c, const fs::path& model, const fs::path& folder, const Config& config) {
  runtime::SessionOptions o;
  o.threads = config.threads;
  if (config.isa == "reference")
    setenv("SKIFF_FORCE", "*:reference", 1);
  else
    unsetenv("SKIFF_FORCE"), o.isa = config.isa;
  if (!config.passes) o.skip_passes = {"all"};
  auto session =
      c.bytes.empty() ? runtime::Session::load(model.string(), o) : runtime::Session::load_memory(c.bytes, o);
  for (const fs::path& set : sets_of(folder)) {
    std::vector<Datum> in = read_inputs(c.graph(), set), out = session->run(in);
    if (std::string s = judge(c, set, in, out); !s.empty()) return s;
  }
  return {};
}

std::string run_case(const fs::path& folder, const Config& config, bool upgrade) {
  try {
    fs::path model = folder / "model.onnx";
    Case c(model, upgrade);
    return config.isa.empty() ? run_oracle(c, folder) : run_session(c, model, folder, config);
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

// Every line must have a reason.
std::set<std::string> read_list(const std::string& path) {
  std::set<std::string> names;
  std::ifstream f(path);
  check(f.good(), Code::kNotFound, path, " cannot be read");
  for (std::string line; std::getline(f, line);) {
    size_t hash = line.find('#');
    std::string name = line.substr(0, hash);
    while (!name.empty() && name.back() == ' ') name.pop_back();
    if (name.empty()) continue;
    check(hash != std::string::npos && hash + 2 < line.size(), Code::kInvalidArgument, path, ": '", name,
          "' has no reason");
    names.insert(name);
  }
  return names;
}

// Instruction sets this machine has, of those asked for.
std::vector<std::string> available(const std::vector<std::string>& wanted) {
  std::vector<std::string> have = runtime::make_device("cpu", {})->info().isas, r;
  for (const std::string& w : wanted) {
    if (w == "reference" || std::find(have.begin(), have.end(), w) != have.end())
      r.push_back(w);
    else
      std::printf("left out: this machine or build has no %s\n", w.c_str());
  }
  return r;
}

// Returns the number of surprises: failures, and ignored cases that pass.
int run_all(const std::vector<fs::path>& cases, const std::set<std::string>& ignored, const Config& config,
            bool infer, bool upgrade) {
  int passed = 0, failed = 0, skipped = 0, stale = 0;
  auto start = std::chrono::steady_clock::now();
  for (const fs::path& p : cases) {
    std::string name = p.filename().string();
    std::string s = infer ? infer_only(p) : run_case(p, config, upgrade);
    bool listed = ignored.count(name) != 0;
    if (s.empty() && listed) {
      ++stale;
      std::printf("LISTED BUT PASSES %s\n", name.c_str());
    }
    if (s.empty())
      ++passed;
    else if (listed)
      ++skipped;
    else {
      ++failed;
      std::printf("FAIL %s [%s]: %s\n", name.c_str(), config.text().c_str(), s.c_str());
    }
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%s: %d passed, %d failed, %d ignored, %.1f s\n", config.text().c_str(), passed, failed,
              skipped, seconds);
  std::fflush(stdout);
  return failed + stale;
}

}  // namespace

int main(int argc, char** argv) try {
  std::string only, isas, threads = "1,2", passes = "all,none";
  bool infer = false, oracle = false, upgrade = false;
  std::set<std::string> ignored;
  std::vector<fs::path> cases;
  for (int i = 1; i < argc; ++i) {
    std::string a = argv[i];
    auto value = [&] {
      check(i + 1 < argc, Code::kInvalidArgument, a, " needs a value");
      return std::string(argv[++i]);
    };
    if (a == "--only") {
      only = value();
    } else if (a == "--ignore") {
      ignored = read_list(value());
    } else if (a == "--upgrade") {
      upgrade = true;
    } else if (a == "--infer") {
      infer = true;
    } else if (a == "--oracle") {
      oracle = true;
    } else if (a == "--isa") {
      isas = value();
    } else if (a == "--threads") {
      threads = value();
    } else if (a == "--passes") {
      passes = value();
    } else if (fs::is_directory(a)) {
      collect(a, cases, infer);
    } else {
      std::fprintf(stderr, "%s is not a folder\n", a.c_str());
      return 77;
    }
  }
  std::erase_if(cases,
                [&](const fs::path& p) { return p.filename().string().find(only) == std::string::npos; });
  std::sort(cases.begin(), cases.end());
  std::vector<Config> configs;
  if (oracle || infer || isas.empty()) configs.emplace_back();
  for (const std::string& isa : available(runtime::split_list(isas, ',')))
    for (const std::string& t : runtime::split_list(threads, ','))
      for (const std::string& p : runtime::split_list(passes, ','))
        configs.push_back({isa, std::stoi(t), p == "all"});
  if (configs.empty()) return 77;
  int surprises = 0;
  for (const Config& c : configs) surprises += run_all(cases, ignored, c, infer, upgrade);
  return surprises ? 1 : 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "conformance: %s\n", e.what());
  return 2;
}
