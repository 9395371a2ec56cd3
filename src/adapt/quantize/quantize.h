// The quantizer: an ONNX model in, a smaller ONNX model and a report out.
#pragma once
#include "adapt/adapt.h"
#include "adapt/quantize/options.h"
#include "adapt/report/report.h"

namespace skiff::adapt {

struct Quantized {
  Model model;
  Report report;
};

// `m` as it was read; it is not changed. Errors: kInvalidArgument (options, samples, a model quantized
// already), kUnsupported, and whatever running the model may throw.
Quantized quantize(const Model& m, const QuantizeOptions& o, const Callbacks& call);

// Reads, quantizes, writes; the result replaces `out` atomically and only after everything went well. `out`
// may be `in` under no circumstances: the original stays. Returns the report.
Report quantize_file(const std::string& in, const std::string& out, const QuantizeOptions& o,
                     const Callbacks& call);

}  // namespace skiff::adapt
