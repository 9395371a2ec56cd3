// From QDQ to QOperator form.
#pragma once
#include "graph/graph.h"

namespace skiff::adapt {

// Products between DequantizeLinear and QuantizeLinear become QLinearConv, QLinearMatMul and com.microsoft
// QGemm, Add and Mul com.microsoft QLinearAdd and QLinearMul; what has no such form keeps its QDQ. Same
// numbers up to rounding.
void use_qoperators(Model& m);

}  // namespace skiff::adapt
