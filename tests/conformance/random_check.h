// Cases whose results are random: their numbers cannot be compared, their distribution can.
#pragma once
#include <span>
#include <string>

#include "graph/graph.h"

namespace skiff::conformance {

// True when a node of the graph draws random numbers.
bool is_random(const Graph& g);
// Empty when the outputs may have come from the graph's distribution (Bernoulli, also in its expanded form;
// Dropout), else what speaks against it. Shapes and types are the caller's to compare.
std::string check_random(const Graph& g, std::span<const Datum> inputs, std::span<const Datum> outputs);

}  // namespace skiff::conformance
