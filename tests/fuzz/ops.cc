// Every operator of the catalogue with hostile attributes, shapes and values: its shape rule, its reference
// alone, and a session on the CPU device. Where reference and session both answer, kinds, element types and
// shapes agree, and integers do exactly.
#include "fuzz/hostile_node.h"
#include "ops/infer.h"
#include "ops/interpret.h"
#include "runtime/session.h"

using namespace skiff;
using namespace skiff::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return -1;
  Choices c(data, size);
  cases::OpCase node;
  if (!succeeds([&] {
        node = base_case(c);
        for (int n = 0; n < 12 && !c.done(); ++n) bend(c, node);
      }))
    return 0;
  std::vector<Datum> in = cases::inputs_of(node);
  std::vector<Datum> want, got;
  bool ran = succeeds([&] {
    Limits limits;
    Model m = cases::model_of(node);
    InterpretLimits l;
    l.max_loop_trips = 200;
    want = interpret(m.graph, in, {}, l);
  });
  succeeds([&] {
    Limits limits;
    Model m = cases::model_of(node);
    infer_types(m.graph);
  });
  // No file holds the operators that passes make, so none can bend them.
  bool again = node.domain != "skiff" && succeeds([&] {
    runtime::SessionOptions o = tight_options();
    if (node.name.size() % 2) o.isa = "avx2";
    got = runtime::Session::from_model(cases::model_of(node), o)->run(in);
  });
  const OpDef* d = find_op(node.domain, node.op);
  if (!ran || !again || !d || d->is(kNondeterministic)) return 0;
  FUZZ_CHECK(got.size() == want.size(), node.op);
  for (size_t i = 0; i < got.size(); ++i) {
    FUZZ_CHECK(got[i].kind() == want[i].kind(), node.op, " output ", i);
    if (!got[i].is_tensor()) continue;
    const Tensor &g = got[i].tensor(), &w = want[i].tensor();
    FUZZ_CHECK(g.dtype() == w.dtype() && g.dims() == w.dims(), node.op, " opset ", node.opset, " output ", i,
               ": ", describe(g), " instead of ", describe(w));
  }
  return 0;
}
