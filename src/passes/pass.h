// What a pass is. A pass rewrites one graph (not its subgraphs: run_passes visits those) through Patch and
// keeps what the graph computes, its inputs and its outputs. Until use_integers has run it never moves or
// fuses anything across QuantizeLinear / DequantizeLinear.
#pragma once
#include <string>
#include <vector>

#include "graph/patch.h"
#include "ops/registry.h"
#include "ops/target.h"

namespace skiff::passes {

struct PassOptions {
  std::vector<std::string> skip;          // names of passes that are not run
  int64_t max_folded_bytes = 16 << 20;    // of one constant made by folding
  int64_t max_folded_total = 256 << 20;   // of all constants made by folding, beyond what they replace
  double max_fold_work = 2e8;             // operations of one folded node: it runs on the slow reference
  int64_t max_inlined_nodes = 1'000'000;  // after expanding functions
  int max_rounds = 8;                     // of the whole list, on the way to a fixed point
  bool fold_dequantized_weights = true;   // constant weights behind a DequantizeLinear become float constants
};

struct PassRecord {
  std::string pass;
  int changes = 0;
  double seconds = 0;
};

struct PassContext {
  PassOptions options;
  const std::vector<Function>* functions = nullptr;  // model-local functions, for inline_functions
  const OpRegistry* custom_ops = nullptr;            // operators from outside the catalogue
  const TargetTraits* target = nullptr;              // null: device-independent passes only
  std::vector<PassRecord> log;                       // one entry per pass that ran, rounds added up
  int64_t folded_bytes = 0;                          // spent of max_folded_total
  int changes = 0;                                   // patches the running pass has applied
};

struct Pass {
  const char* name;
  const char* what;                         // one line for people
  bool (*run)(Graph& g, PassContext& ctx);  // true when it changed the graph
};

}  // namespace skiff::passes
