// A model made ready to run on its devices. Threads may share one.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "passes/pass.h"
#include "runtime/executor.h"
#include "runtime/options.h"

namespace skiff {
class MappedFile;
}

namespace skiff::runtime {

// A model input or output as the file declares it.
struct Port {
  std::string name;
  Type type;
  bool optional = false;      // has a default value
  std::vector<int64_t> dims;  // -1 where symbolic or unknown
  std::vector<std::string> dim_names;
};

class Session {
 public:
  // Errors name the file. See SessionOptions for limits.
  static std::unique_ptr<Session> load(const std::string& path, const SessionOptions& options);
  // `bytes` must outlive the session.
  static std::unique_ptr<Session> load_memory(std::string_view bytes, const SessionOptions& options);
  // Takes a model built in memory; for tests and adaptation.
  static std::unique_ptr<Session> from_model(Model model, const SessionOptions& options);
  ~Session();

  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  const Model& model() const { return model_; }

  // inputs[i]: null or kNone for one with a default. outputs[k] on entry: a tensor to fill in place, or
  // anything else to be replaced; fixed[k] (may be empty) forbids replacing. cancel may be null.
  void run(std::span<const Datum* const> inputs, std::span<Datum> outputs,
           std::span<const uint8_t> fixed = {}, const std::atomic<bool>* cancel = nullptr);
  std::vector<Datum> run(std::span<const Datum> inputs);

  // See skiff.h.
  std::string info_json(const std::string& shapes);
  std::string profile_json();
  std::string print_graph() const { return print(model_.graph); }

 private:
  // Reads a model and makes it ready, under the limits of a load.
  static std::unique_ptr<Session> make(const std::function<Model()>& read, const SessionOptions& options,
                                       std::shared_ptr<const MappedFile> file,
                                       std::shared_ptr<MemoryBudget> budget = nullptr);
  Session(Model model, const SessionOptions& options, std::shared_ptr<const MappedFile> file,
          std::shared_ptr<MemoryBudget> budget);
  void run_model(std::span<const Datum* const> inputs, std::span<Datum> outputs,
                 std::span<const uint8_t> fixed, const std::atomic<bool>* cancel);
  void prepare();
  void assume_defaults();
  bool overrides_default(std::span<const Datum* const> inputs) const;
  Session& overridden();
  void make_devices();
  void record_ports();
  void check_inputs(std::span<const Datum* const> inputs) const;
  void merge_profile(const Recorder& r);
  // The declared input shapes with `shapes` ("NAME=1x3x8x8;N=4") put in; symbols left become 1.
  std::vector<Dims> shapes_for(const std::string& shapes) const;

  SessionOptions options_;
  OpRegistry custom_ops_;  // nodes and kernels below point into it
  Model model_;
  std::shared_ptr<const MappedFile> file_;
  std::vector<plan::DeviceSlot> devices_;
  std::vector<Port> inputs_, outputs_;
  std::vector<std::vector<int>> input_symbols_;  // per input and axis: index of its symbol; -1: none
  int symbol_count_ = 0;
  int64_t parameters_ = 0;
  size_t weight_bytes_ = 0;
  std::vector<std::pair<std::string, int>> operator_counts_;  // of the model as read
  passes::PassContext pass_context_;
  int profile_count_ = 0;
  std::shared_ptr<MemoryBudget> budget_;  // shared with the outputs made by runs
  std::unique_ptr<plan::CompiledGraph> compiled_;
  std::unique_ptr<InstancePool> pool_;
  std::mutex profile_mutex_;
  Recorder profile_;
  int64_t profile_runs_ = 0, profile_wall_ns_ = 0;
  // Inputs with defaults are compiled as the constants they nearly always are. The model as it was read waits
  // here for the first run that gives one of them; that run makes the second session, which takes any value.
  bool assumed_defaults_ = false;
  std::unique_ptr<Model> as_read_;
  std::unique_ptr<Session> overridden_;
  std::mutex overridden_mutex_;
  std::atomic<bool> last_run_overrode_{false};
};

}  // namespace skiff::runtime
