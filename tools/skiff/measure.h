// What bench and profile share: the machine's peaks and the roofline over them.
#pragma once
#include <string>
#include <vector>

#include "json_out.h"
#include "session.h"

namespace skiff::tool {

struct Peaks {
  double gflops = 0, gbps = 0;  // fp32 multiply-adds counted as 2; reads of memory
  int threads = 0;
  std::string isa;
};

// Measures this machine with the options' threads and instruction set (a few hundred milliseconds).
Peaks measure_peaks(const CommonOptions& o);

// Time no program could undercut, by the roofline: what takes longer, arithmetic or memory traffic, in
// nanoseconds. Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009.
double roofline_ns(const Peaks& p, double flops, double bytes);

// "image=1x3x224x224;..." of the tensors a run was given, for skiff_session_info_json.
std::string shapes_of(const api::Session& session, const std::vector<api::Value>& inputs);

}  // namespace skiff::tool
