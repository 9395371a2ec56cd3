#include "adapt/adapt.h"

#include "ops/infer.h"
#include "ops/op.h"

namespace skiff::adapt {

Model copy_model(const Model& m) {
  Model c;
  c.ir_version = m.ir_version;
  c.opsets = m.opsets;
  c.producer_name = m.producer_name;
  c.producer_version = m.producer_version;
  c.domain = m.domain;
  c.doc_string = m.doc_string;
  c.model_version = m.model_version;
  c.metadata = m.metadata;
  c.graph = m.graph.clone();
  c.functions = m.functions;
  c.extra = m.extra;
  c.path = m.path;
  return c;
}

void refresh(Model& m) {
  resolve_ops(m.graph, m.functions);
  infer_types(m.graph);
}

std::unique_ptr<runtime::Session> open(const Model& m, const runtime::SessionOptions& options) {
  return runtime::Session::from_model(copy_model(m), options);
}

std::vector<float> floats_of(const Graph& g, ValueId v) { return to_floats(g.value(v).constant); }

}  // namespace skiff::adapt
