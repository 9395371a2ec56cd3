// skiff verify: runs the test sets beside models and compares.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "command.h"
#include "fail.h"
#include "files.h"
#include "inputs.h"
#include "json_out.h"
#include "progress.h"
#include "session.h"
#include "text_table.h"
#include "tolerance.h"
#include "values.h"

namespace fs = std::filesystem;

namespace skiff::tool {

namespace {

struct VerifyOptions {
  CommonOptions common;
  std::vector<std::string> folders;
  std::string filter;
  std::optional<double> rtol, atol;
  int jobs = 1;
  bool verbose = false;
};

struct Model {
  std::string folder, name;       // name: the folder as messages show it
  std::vector<std::string> sets;  // names of the test_data_set_* folders, in numeric order
  std::shared_ptr<const ToleranceIndex> index;
  std::string listed;  // its name in the index
};

struct SetResult {
  enum class Status { kPassed, kFailed, kRan } status = Status::kPassed;
  std::string model, set;
  std::vector<std::string> failures;
  double ns = 0;
};

// Numbers inside names count as numbers: set_2 before set_10.
bool numeric_less(const std::string& a, const std::string& b) {
  auto key = [](const std::string& s) {
    size_t at = s.find_last_not_of("0123456789") + 1;
    std::string digits = s.substr(at);
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    return std::tuple(s.substr(0, at), digits.size(), digits);
  };
  return key(a) < key(b);
}

class Finder {
 public:
  explicit Finder(const std::string& filter) : filter_(filter) {}
  std::vector<Model> models;

  // Errors: ToolError when `folder` is none or cannot be read.
  void search(const std::string& folder, int depth = 0) {
    if (!is_folder(folder)) fail(folder, ": no such folder");
    if (depth > 64) return;
    std::vector<std::string> names = list_folder(folder), sets;
    bool model = false;
    for (const std::string& n : names) {
      model = model || (n == "model.onnx" && is_file(join(folder, n)));
      if (n.starts_with("test_data_set_") && is_folder(join(folder, n))) sets.push_back(n);
    }
    if (model) add(folder, std::move(sets));
    for (const std::string& n : names) {
      std::string path = join(folder, n);
      std::error_code ec;
      if (!n.starts_with("test_data_set_") && is_folder(path) && !fs::is_symlink(path, ec))
        search(path, depth + 1);
    }
  }

 private:
  void add(const std::string& folder, std::vector<std::string> sets) {
    Model m;
    m.folder = folder;
    std::error_code ec;
    fs::path whole = fs::canonical(folder, ec);
    for (fs::path at = whole.parent_path(); !whole.empty(); at = at.parent_path()) {
      if ((m.index = index_in(at))) {
        m.listed = whole.lexically_relative(at).generic_string();
        break;
      }
      if (at == at.parent_path()) break;
    }
    m.name = m.listed.empty() ? folder : m.listed;
    if (!filter_.empty() && m.name.find(filter_) == std::string::npos) return;
    if (sets.empty() && !(m.index && m.index->skipped(m.listed))) return;
    std::sort(sets.begin(), sets.end(), numeric_less);
    m.sets = std::move(sets);
    models.push_back(std::move(m));
  }
  // Read once a folder; nullptr where there is none.
  std::shared_ptr<const ToleranceIndex> index_in(const fs::path& folder) {
    auto [it, fresh] = indices_.try_emplace(folder.string());
    std::string path = (folder / "INDEX.tsv").string();
    if (fresh && is_file(path))
      it->second = std::make_shared<ToleranceIndex>(read_file(path, uint64_t{64} << 20), path);
    return it->second;
  }
  std::string filter_;
  std::map<std::string, std::shared_ptr<const ToleranceIndex>> indices_;
};

struct PbFile {
  std::string path, name;
  api::Value value;
};

std::vector<std::string> numbered(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> paths;
  for (const std::string& n : list_folder(folder))
    if (n.starts_with(prefix) && n.ends_with(".pb")) paths.push_back(join(folder, n.substr(0, n.size() - 3)));
  std::sort(paths.begin(), paths.end(), numeric_less);
  for (std::string& p : paths) p += ".pb";
  return paths;
}

// A file as a value of input or output i; behind the last one as the tensor it should be.
PbFile read_pb(const api::Session& session, bool output, size_t i, const std::string& path) {
  skiff_value* v = nullptr;
  char* name = nullptr;
  if (i < (output ? session.output_count() : session.input_count()))
    api::check(skiff_session_read_pb(session.get(), output, i, path.c_str(), &v, &name));
  else
    api::check(skiff_value_read_pb(path.c_str(), SKIFF_KIND_NONE, &v, &name));
  PbFile f{path, "", api::Value(v)};
  f.name = api::take(name);
  return f;
}

// Files to inputs: by the tensor's name where it is an input's, the others in order to what is left of the
// inputs (those without default first).
std::vector<api::Value> read_inputs(const api::Session& session, const std::string& folder) {
  std::vector<std::string> paths = numbered(folder, "input_");
  size_t n = session.input_count();
  std::vector<size_t> order;
  for (int optional = 0; optional < 2; ++optional)
    for (size_t i = 0; i < n; ++i)
      if ((session.input(i).optional != 0) == (optional != 0)) order.push_back(i);
  std::vector<api::Value> values(n);
  std::vector<PbFile> unnamed;
  for (size_t k = 0; k < paths.size(); ++k) {
    PbFile f = read_pb(session, false, k < n ? order[k] : n, paths[k]);
    size_t to = n;
    for (size_t i = 0; i < n; ++i)
      if (!f.name.empty() && f.name == session.input(i).name && !values[i]) to = i;
    if (to < n) {
      values[to] = std::move(f.value);
    } else {
      unnamed.push_back(std::move(f));
    }
  }
  size_t at = 0;
  for (PbFile& f : unnamed) {
    while (at < n && values[order[at]]) ++at;
    if (at == n) fail(f.path, ": the model has no input left for it (inputs: ", input_names(session), ")");
    values[order[at++]] = std::move(f.value);
  }
  for (size_t i = 0; i < n; ++i)
    if (!values[i] && !session.input(i).optional)
      fail(folder, ": no file for input \"", session.input(i).name, "\"");
  return values;
}

Check check_of(const VerifyOptions& o, const Model& m, const std::string& set, size_t output) {
  Check c;
  const std::vector<Check>* listed = m.index ? m.index->find(m.listed, set) : nullptr;
  if (listed && !listed->empty()) {
    if (listed->size() != 1 && output >= listed->size())
      fail("INDEX.tsv names ", listed->size(), " outputs for ", m.listed, "/", set, ", the set has more");
    c = (*listed)[listed->size() == 1 ? 0 : output];
  }
  if (o.rtol) c.rtol = *o.rtol;
  if (o.atol) c.atol = *o.atol;
  return c;
}

// Element type and shape agree: all that can be asked of random numbers.
bool same_type(const api::Value& a, const api::Value& b) {
  skiff_dtype type[2];
  int rank[2];
  const int64_t* dims[2];
  const api::Value* v[2] = {&a, &b};
  for (int i = 0; i < 2; ++i)
    if (skiff_tensor_info(v[i]->get(), &type[i], &rank[i], &dims[i]) != SKIFF_OK) return false;
  return type[0] == type[1] && std::equal(dims[0], dims[0] + rank[0], dims[1], dims[1] + rank[1]);
}

// The model holds an operator whose results differ from run to run. Dropout is none of them: it draws in
// training alone, and then as NumPy does.
bool draws_random_numbers(const api::Session& session) {
  char* text = nullptr;
  api::check(skiff_operators_json(&text));
  Json known = parse_json(api::take(text));
  char* info = nullptr;
  api::check(skiff_session_info_json(session.get(), nullptr, &info));
  Json used = parse_json(api::take(info))["operators"];
  for (const Json& o : known)
    if (o["random"] == true && o["name"] != "Dropout" && used.contains(o["name"].get<std::string>()))
      return true;
  return false;
}

void compare_outputs(const VerifyOptions& o, const Model& m, const std::string& set,
                     const api::Session& session, const std::vector<api::Value>& got, SetResult& result) {
  std::vector<std::string> paths = numbered(join(m.folder, set), "output_");
  if (paths.empty()) fail(join(m.folder, set), ": holds no output_*.pb");
  std::vector<bool> used(got.size(), false);
  for (size_t k = 0; k < paths.size(); ++k) {
    PbFile want = read_pb(session, true, k, paths[k]);
    size_t at = k;
    for (size_t i = 0; i < got.size(); ++i)
      if (!want.name.empty() && want.name == session.output(i).name && !used[i]) at = i;
    if (at >= got.size()) fail(paths[k], ": the model has only ", got.size(), " outputs");
    used[at] = true;
    std::string text = compare(got[at], want.value, check_of(o, m, set, k));
    if (!text.empty() && same_type(got[at], want.value) && draws_random_numbers(session)) continue;
    if (!text.empty()) result.failures.push_back(cat("output \"", session.output(at).name, "\": ", text));
  }
}

std::vector<SetResult> verify_model(const VerifyOptions& o, const Model& m) {
  std::vector<SetResult> results;
  std::vector<std::string> sets = m.sets.empty() ? std::vector<std::string>{"SKIPPED"} : m.sets;
  std::unique_ptr<api::Session> session;
  std::string broken;
  try {
    session = std::make_unique<api::Session>(join(m.folder, "model.onnx"), make_options(o.common));
  } catch (const std::exception& e) {
    broken = e.what();
  }
  std::vector<api::Value> outputs;
  for (const std::string& set : sets) {
    SetResult r;
    r.model = m.name;
    r.set = set;
    try {
      if (!session) fail(broken);
      std::vector<api::Value> inputs;
      if (m.sets.empty()) {
        InputOptions random;
        random.fill = "random";
        inputs = Inputs(*session, random, Sidecar{}).load(0).values;
        r.status = SetResult::Status::kRan;
      } else {
        inputs = read_inputs(*session, join(m.folder, set));
      }
      int64_t start = now_ns();
      session->run(inputs, outputs, &interrupt());
      r.ns = static_cast<double>(now_ns() - start);
      if (!m.sets.empty()) compare_outputs(o, m, set, *session, outputs, r);
    } catch (const api::Exception& e) {
      if (e.status() == SKIFF_CANCELLED) throw;
      r.failures.push_back(e.what());
    } catch (const std::exception& e) {
      r.failures.push_back(e.what());
    }
    if (!r.failures.empty()) r.status = SetResult::Status::kFailed;
    results.push_back(std::move(r));
  }
  return results;
}

int run_verify(const VerifyOptions& o) {
  make_options(o.common);  // wrong options are told once, not for every model
  Finder finder(o.filter);
  for (const std::string& f : o.folders) finder.search(f);
  const std::vector<Model>& models = finder.models;
  if (models.empty())
    fail("no folder with model.onnx and test_data_set_* below ", o.folders[0],
         o.folders.size() > 1 ? " and the others" : "", o.filter.empty() ? "" : " matches --filter");

  std::vector<std::vector<SetResult>> results(models.size());
  std::exception_ptr stopped;
  std::mutex mutex;
  size_t shown = 0;
  std::vector<bool> done(models.size(), false);
  {
    Progress progress(models.size(), "", o.common.json);
    std::atomic<size_t> next{0};
    interrupt();
    auto work = [&] {
      for (size_t i = next++; i < models.size(); i = next++) {
        try {
          results[i] = verify_model(o, models[i]);
        } catch (...) {
          std::lock_guard lock(mutex);
          stopped = std::current_exception();
          next = models.size();
          return;
        }
        std::lock_guard lock(mutex);
        done[i] = true;
        // Lines come in the order of the models, whatever the order in which jobs end.
        for (; shown < models.size() && done[shown]; ++shown)
          for (const SetResult& r : results[shown]) {
            if (o.common.json) continue;
            for (const std::string& f : r.failures) print(cat("FAIL ", r.model, "/", r.set, ": ", f, "\n"));
            if (o.verbose && r.failures.empty())
              print(cat(r.status == SetResult::Status::kRan ? "ran  " : "ok   ", r.model, "/", r.set, "  ",
                        human_time(r.ns), "\n"));
          }
        progress.step(models[i].name);
      }
    };
    std::vector<std::thread> threads;
    for (int t = 1; t < o.jobs; ++t) threads.emplace_back(work);
    work();
    for (std::thread& t : threads) t.join();
  }
  if (stopped) std::rethrow_exception(stopped);

  size_t passed = 0, failed = 0, ran = 0;
  Json sets = Json::array();
  for (const auto& list : results)
    for (const SetResult& r : list) {
      bool bad = r.status == SetResult::Status::kFailed, only_ran = r.status == SetResult::Status::kRan;
      ++(bad ? failed : only_ran ? ran : passed);
      sets.push_back({{"model", r.model},
                      {"set", r.set},
                      {"status", bad        ? "failed"
                                 : only_ran ? "ran"
                                            : "passed"},
                      {"ns", r.ns},
                      {"failures", r.failures}});
    }
  if (o.common.json) {
    print_json({{"passed", passed}, {"failed", failed}, {"ran", ran}, {"sets", sets}});
  } else {
    print(cat(passed, " passed, ", failed, " failed",
              ran ? cat(", ", ran, " ran (no data to compare with)") : "", "\n"));
  }
  return failed ? 1 : 0;
}

}  // namespace

void add_verify(CLI::App& root, Action& action) {
  auto o = std::make_shared<VerifyOptions>();
  CLI::App* app = root.add_subcommand("verify", "Run the test sets beside models and compare the outputs");
  app->add_option("DIR", o->folders, "Folders; every model.onnx with test_data_set_* below them is checked")
      ->required();
  app->add_option("--rtol", o->rtol, "Relative tolerance [that of an INDEX.tsv above the model, else 1e-3]")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--atol", o->atol, "Absolute tolerance [that of an INDEX.tsv above the model, else 1e-5]")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--filter", o->filter, "Only models whose name contains this text");
  app->add_option("--jobs,-j", o->jobs, "Models checked at the same time [1]")->check(CLI::Range(1, 256));
  app->add_flag("--verbose,-v", o->verbose, "One line for every set, not only for failures");
  add_common_options(*app, o->common);
  app->footer("Example: skiff verify models --jobs 2 --threads 1");
  app->callback([o, &action] { action = [o] { return run_verify(*o); }; });
}

}  // namespace skiff::tool
