// What an adaptation did, for people and programs.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace skiff::adapt {

struct LayerReport {
  std::string name, op;
  std::string precision;              // "int8", "float", ...
  std::string reason;                 // why it stayed in float, or what was done to it
  std::optional<double> weight_sqnr;  // dB, of its weights
  std::optional<double> output_sqnr;  // dB, of its output against the float model's on the same samples
  std::optional<double> saturated;    // share of its output's elements outside the integers' range
  std::optional<double> sensitivity;  // what quantizing it alone costs
  double lo = 0, hi = 0;              // range seen
  double scale = 0;
  int64_t zero = 0;
  std::vector<uint64_t> histogram;  // of [lo, hi]
};

struct RegionReport {
  std::string first, last;  // nodes
  size_t nodes = 0;
  double float_ns = 0, quantized_ns = 0;
  bool reverted = false;
  std::string how;  // "measured on this machine", "cost table avx2"
};

struct Report {
  std::string mode, source, result;
  size_t samples = 0;
  double seconds = 0;
  uint64_t size_before = 0, size_after = 0;
  std::vector<LayerReport> layers;
  std::vector<RegionReport> regions;
  std::vector<std::pair<std::string, double>> sensitivities;  // by layer, goes into its LayerReport
  std::vector<std::string> notes;  // one line each: methods applied, fallbacks and why
  std::optional<double> score_before, score_after;
  std::optional<double> sqnr, cosine, agreement;  // of the outputs on the report's samples
  std::optional<double> ns_before, ns_after;      // median run time
  std::vector<std::pair<std::string, std::string>> options;

  std::string json() const;
  // One self-contained page, plots as inline SVG.
  std::string html() const;
};

}  // namespace skiff::adapt
