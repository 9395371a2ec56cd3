// The passes on real models: results stay, and few transposes remain.
#include <cmath>
#include <filesystem>

#include "onnx/import.h"
#include "ops/infer.h"
#include "ops/interpret.h"
#include "unit/passes/support.h"

namespace skiff::passes::test {
namespace {

namespace fs = std::filesystem;

const fs::path kModels = fs::path(SKIFF_SOURCE_DIR) / ".." / "shared" / "models";

struct Summary {
  int nodes = 0, transposes = 0;
};

Summary summary(const Graph& g) { return {static_cast<int>(g.node_count()), count(g, "Transpose")}; }

// Reads, prepares, runs every pass. Returns the summary after.
Summary transform(Model& m, const TargetTraits& t, const std::string& name) {
  resolve_ops(m.graph, m.functions);
  PassContext ctx;
  ctx.functions = &m.functions;
  ctx.target = &t;
  run_passes(m.graph, ctx, general_passes());
  Summary general = summary(m.graph);
  run_passes(m.graph, ctx, target_passes());
  Summary s = summary(m.graph);
  double seconds = 0;
  for (const PassRecord& r : ctx.log) seconds += r.seconds;
  MESSAGE(name, ": ", general.nodes, " nodes and ", general.transposes, " transposes in general, ", s.nodes,
          " and ", s.transposes, " on the target, ", seconds * 1e3, " ms");
  return s;
}

// The largest difference, relative to the largest magnitude of the tensor.
double difference(const Datum& a, const Datum& b) {
  if (!a.is_tensor() || !b.is_tensor()) return a.kind() == b.kind() ? 0 : 1;
  const Tensor& x = a.tensor();
  const Tensor& y = b.tensor();
  if (x.dtype() != y.dtype() || x.size() != y.size()) return 1;
  if (!dtype_is_float(x.dtype())) return identical(x, y) ? 0 : 1;
  double scale = 1e-6, worst = 0;
  for (int64_t i = 0; i < x.size(); ++i) scale = std::max(scale, std::abs(get_double(x, i)));
  for (int64_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, std::abs(get_double(x, i) - get_double(y, i)));
  return worst / scale;
}

TEST_CASE("small real models compute the same after all passes") {
  if (!fs::exists(kModels)) {
    MESSAGE("../shared/models is absent: skipped");
    return;
  }
  TargetTraits t = everything();
  for (const char* name :
       {"classification/mnist_cntk", "classification/cifar10_winml_tutorial", "mlperf_tiny/ic_resnet8_fp32",
        "mlperf_tiny/kws_dscnn_fp32", "mlperf_tiny/ad_autoencoder_fp32", "mlperf_tiny/ic_resnet8_qdq_s8",
        "control/godot_ships", "timeseries/point_history_lstm", "llm/stories260k_kv", "speech/dtln_model_1",
        "tabular/xgb_iris", "mlperf_tiny/vww_mnv1_025_fp32"}) {
    INFO(std::string(name));
    std::string path = (kModels / name / "model.onnx").string();
    REQUIRE(fs::exists(path));
    Model m = onnx::read_model(path);
    resolve_ops(m.graph, m.functions);
    infer_types(m.graph);
    std::vector<Datum> inputs = random_inputs(m.graph, 3, 2);
    std::vector<Datum> before;
    try {
      before = interpret(m.graph, inputs);
    } catch (const Error& e) {
      MESSAGE(name, ": random inputs do not fit (", e.what(), "): only transformed");
      transform(m, t, name);
      continue;
    }
    transform(m, t, name);
    std::vector<Datum> after = interpret(m.graph, inputs);
    REQUIRE(before.size() == after.size());
    for (size_t i = 0; i < before.size(); ++i) CHECK(difference(before[i], after[i]) < 2e-3);
  }
}

TEST_CASE("real models keep few transposes on a channels-last target") {
  if (!fs::exists(kModels)) {
    MESSAGE("../shared/models is absent: skipped");
    return;
  }
  TargetTraits t = everything();
  struct Bound {
    const char* name;
    int transposes;
  };
  for (const Bound& b : {Bound{"classification/mobilenet_v2_1.0_224_fp32deq", 0},
                         {"detection/yolox_nano", 9},
                         {"detection/nanodet_m", 24},
                         {"face/ultraface_rfb_320", 9},
                         {"segmentation/mediapipe_selfie_256", 2},
                         {"ocr/ppocrv3_det", 2},
                         {"style/fns_candy", 2},
                         {"superres/subpixel_cnn_x3", 9},
                         {"pose/movenet_lightning_qdq", 999},
                         {"lane/lstr_360x640", 99},
                         {"speech/silero_vad_v5", 99},
                         {"detection/fastestdet", 9},
                         {"face/yunet_n_dynamic", 20},
                         {"speech/gtcrn_loop", 999}}) {
    INFO(std::string(b.name));
    Model m = onnx::read_model((kModels / b.name / "model.onnx").string());
    CHECK(transform(m, t, b.name).transposes <= b.transposes);
  }
}

}  // namespace
}  // namespace skiff::passes::test
