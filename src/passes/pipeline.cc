#include "passes/pipeline.h"

#include <algorithm>
#include <chrono>

#include "base/interrupt.h"
#include "ops/infer.h"
#include "passes/expand_gradients.h"
#include "passes/fold_constants.h"
#include "passes/fold_dequantized_weights.h"
#include "passes/fuse_batch_norms.h"
#include "passes/fuse_conv_epilogues.h"
#include "passes/fuse_elementwise_chains.h"
#include "passes/fuse_matmul_bias.h"
#include "passes/fuse_pads.h"
#include "passes/inline_branches.h"
#include "passes/inline_functions.h"
#include "passes/merge_common_subexpressions.h"
#include "passes/recognize_gelu.h"
#include "passes/recognize_layer_norm.h"
#include "passes/recognize_silu.h"
#include "passes/remove_dead_nodes.h"
#include "passes/remove_identities.h"
#include "passes/simplify_reshapes.h"
#include "passes/simplify_transposes.h"
#include "passes/use_channels_last.h"
#include "passes/use_integers.h"

namespace skiff::passes {
namespace {

#define SKIFF_PASS(name, what) \
  Pass { #name, what, name }
constexpr Pass kGeneral[] = {
    SKIFF_PASS(inline_functions, "model-local functions become plain nodes"),
    SKIFF_PASS(expand_gradients, "Gradient becomes the nodes that compute it"),
    SKIFF_PASS(inline_branches, "If with a constant condition becomes its taken branch"),
    SKIFF_PASS(fold_constants, "nodes whose result is known become constants"),
    SKIFF_PASS(remove_dead_nodes, "nodes nothing depends on go"),
    SKIFF_PASS(merge_common_subexpressions, "equal nodes on equal operands are computed once"),
    SKIFF_PASS(remove_identities, "nodes that change nothing go"),
    SKIFF_PASS(simplify_reshapes, "chains of reshaping nodes become one with a constant target"),
    SKIFF_PASS(simplify_transposes, "transposes are joined, cancelled and moved to smaller tensors"),
    SKIFF_PASS(fuse_batch_norms, "normalizations and scales by constants go into the weights before them"),
    SKIFF_PASS(fuse_pads, "padding goes into the convolution or pool after it"),
    SKIFF_PASS(recognize_gelu, "decomposed GELU becomes Gelu"),
    SKIFF_PASS(recognize_silu, "decomposed SiLU, hard swish and mish become Swish, HardSwish and Mish"),
    SKIFF_PASS(recognize_layer_norm, "decomposed layer and RMS normalization become one node"),
};
constexpr Pass kTarget[] = {
    SKIFF_PASS(use_integers, "quantized regions work on integers"),
    SKIFF_PASS(fuse_matmul_bias, "matrix products take bias, residual, scale and activation"),
    SKIFF_PASS(fuse_conv_epilogues, "convolutions take bias, residual and activation"),
    SKIFF_PASS(use_channels_last, "convolutional parts work on channels-last tensors"),
    SKIFF_PASS(simplify_transposes, "transposes are joined, cancelled and moved to smaller tensors"),
    SKIFF_PASS(simplify_reshapes, "chains of reshaping nodes become one with a constant target"),
    SKIFF_PASS(remove_identities, "nodes that change nothing go"),
    SKIFF_PASS(fold_constants, "nodes whose result is known become constants"),
    SKIFF_PASS(merge_common_subexpressions, "equal nodes on equal operands are computed once"),
    SKIFF_PASS(fuse_elementwise_chains, "runs of elementwise nodes become one"),
    SKIFF_PASS(fold_dequantized_weights, "constant weights of float operators are dequantized once"),
    SKIFF_PASS(remove_dead_nodes, "nodes nothing depends on go"),
};
#undef SKIFF_PASS

constexpr int kMaxDepth = 64;  // the largest max_nesting

bool run_deep(const Pass& p, Graph& g, PassContext& ctx, int depth) {
  check(depth <= kMaxDepth, Code::kLimit, "subgraphs nest deeper than ", kMaxDepth, " levels");
  poll_interrupt();
  bool changed = p.run(g, ctx);
  for (NodeId id : std::vector<NodeId>(g.order())) {
    for (const Attribute& a : g.node(id).attributes) {
      if (const auto* s = std::get_if<std::shared_ptr<Graph>>(&a.value))
        changed = run_deep(p, **s, ctx, depth + 1) || changed;
      if (const auto* l = std::get_if<std::vector<std::shared_ptr<Graph>>>(&a.value))
        for (const auto& s : *l) changed = run_deep(p, *s, ctx, depth + 1) || changed;
    }
  }
  return changed;
}

bool skipped(const PassContext& ctx, const char* name) {
  const auto& s = ctx.options.skip;
  return std::find(s.begin(), s.end(), name) != s.end();
}

void check_skip_names(const PassContext& ctx) {
  auto known = [](const std::string& n) {
    auto named = [&n](const Pass& p) { return n == p.name; };
    return std::any_of(std::begin(kGeneral), std::end(kGeneral), named) ||
           std::any_of(std::begin(kTarget), std::end(kTarget), named);
  };
  for (const std::string& n : ctx.options.skip)
    check(known(n), Code::kInvalidArgument, "there is no pass '", n,
          "' to skip; `skiff knobs` lists the passes");
}

PassRecord& record_of(PassContext& ctx, const char* name) {
  for (PassRecord& r : ctx.log)
    if (r.pass == name) return r;
  ctx.log.push_back({name, 0, 0});
  return ctx.log.back();
}

}  // namespace

std::span<const Pass> general_passes() { return kGeneral; }
std::span<const Pass> target_passes() { return kTarget; }

bool run_passes(Graph& g, PassContext& ctx, std::span<const Pass> list) {
  using Clock = std::chrono::steady_clock;
  check_skip_names(ctx);
  infer_types(g);
  bool any = false;
  for (int round = 0; round < ctx.options.max_rounds; ++round) {
    bool changed = false;
    for (const Pass& p : list) {
      if (skipped(ctx, p.name)) continue;
      auto start = Clock::now();
      ctx.changes = 0;
      try {
        if (run_deep(p, g, ctx, 0)) {
          infer_types(g);
          verify(g);
          changed = true;
          ctx.changes = std::max(ctx.changes, 1);
        }
      } catch (Error& e) {
        e.add_where(cat("pass ", p.name));
        throw;
      }
      PassRecord& r = record_of(ctx, p.name);
      r.changes += ctx.changes;
      r.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    }
    if (!changed) break;
    any = true;
  }
  return any;
}

}  // namespace skiff::passes
