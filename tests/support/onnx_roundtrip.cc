// onnx_roundtrip wire|graph IN OUT: reads a model and writes it again, at the level of messages or of the
// graph. The helper of tests/onnx_roundtrip.py.
#include <cstdio>
#include <string>

#include "base/error.h"
#include "graph/graph.h"
#include "onnx/export.h"
#include "onnx/external_data.h"
#include "onnx/import.h"
#include "onnx/wire_read.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string level = argv[1], in = argv[2], out = argv[3];
  try {
    if (level == "wire") {
      auto m = skiff::onnx::parse_file<skiff::onnx::ModelProto>(in);
      skiff::onnx::ExternalFiles files(skiff::onnx::folder_of(in));
      skiff::onnx::load_external_data(m, files);
      skiff::onnx::write_model_file(std::move(m), out);
    } else {
      skiff::Model m = skiff::onnx::read_model(in);
      skiff::verify(m.graph);
      skiff::onnx::write_model(m, out);
    }
  } catch (const skiff::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
