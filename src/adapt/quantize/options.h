// What a caller may ask of the quantizer.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "runtime/options.h"

namespace skiff::adapt {

struct QuantizeOptions {
  std::string mode = "static";  // static, dynamic, weights, float16, bfloat16
  std::string format = "qdq";   // qdq, qoperator
  int weight_bits = 8;          // 4, 8
  int activation_bits = 8;      // 8, 16
  bool per_channel = true;      // a scale for each output channel of a weight
  bool symmetric = false;       // activations around zero, int8/int16 instead of uint8/uint16
  bool power_of_two = false;    // scales are 2^n
  std::string calibration = "minmax";
  double percentile = 99.99;
  int64_t block = 32;         // elements of a weight that share a scale, for 4 bits and weight-only
  std::string weight_method;  // rtn, mse, hqq, gptq, awq, adaround; "": see the description
  bool equalize = false;      // cross-layer equalization
  bool bias_correction = true;   // static: of the errors the weights make on the data's mean
  double smooth = 0;                 // SmoothQuant's alpha; 0: off
  double outliers = 0;               // share of input channels split off into a float part
  std::vector<std::string> exclude;  // node names and "op:Type"
  double max_drop = -1;              // of the score, absolute; < 0: no budget
  double min_sqnr = -1e30;           // bounds on fidelity, used when there is no score; dB
  double min_agreement = -1, min_cosine = -1;
  std::vector<std::string> precisions{"int8", "int16", "float"};  // a budget chooses among these
  std::string cache;                // file of sensitivities, so that a search can be taken up again
  std::string speed_check = "off";  // on, off: regions that are not faster than in float go back to float
  std::string target;               // instruction set whose cost table decides instead of a measurement
  int64_t max_samples = 512;        // used for calibration
  int64_t report_samples = 16;      // used for the SQNR of layers and for sensitivities
  runtime::SessionOptions session;
};

// {"mode": "static", "weight_bits": 4, "exclude": ["conv1", "op:Softmax"], "threads": 2, ...}: a member for
// each of the fields above by its name, and any option of a session. Errors: kInvalidArgument naming an
// unknown member, a wrong kind or a value out of range; `json` may be empty.
QuantizeOptions parse_quantize_options(std::string_view json);
// Whether the options set a bound on accuracy at all.
bool has_bound(const QuantizeOptions& o);
// The fields of QuantizeOptions with defaults and meanings, as JSON.
std::string describe_quantize_options();

}  // namespace skiff::adapt
