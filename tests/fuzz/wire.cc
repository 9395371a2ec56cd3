// Protocol buffer bytes: parsing never breaks, what parses is written and read back the same, and whatever
// the importer accepts the exporter writes.
#include "fuzz/fuzz.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/tensor_proto.h"
#include "onnx/value_proto.h"
#include "onnx/wire_read.h"
#include "onnx/wire_write.h"

using namespace skiff;
using namespace skiff::fuzz;

namespace {

onnx::ReadLimits limits() {
  onnx::ReadLimits l;
  l.max_memory = 64 << 20;
  return l;
}

template <class T>
bool round_trip(T& m, std::string_view bytes) {
  return succeeds([&] {
    onnx::parse(m, bytes, nullptr, limits());
    std::string once = onnx::serialize(m);
    T again;
    onnx::parse(again, once, nullptr, limits());
    FUZZ_CHECK(onnx::serialize(again) == once, "written, read and written again it differs");
    FUZZ_CHECK(onnx::wire_size(m) == once.size(), "wire_size is wrong");
  });
}

template <class T, class Convert>
void value(std::string_view bytes, Convert convert) {
  T m;
  if (round_trip(m, bytes)) succeeds([&] { convert(m); });
}

void model(std::string_view bytes) {
  onnx::ModelProto m;
  if (!round_trip(m, bytes)) return;
  onnx::ReadOptions o;
  o.limits = limits();
  o.max_nodes = 3000;
  succeeds([&] {
    Model read = onnx::read_model_bytes(bytes, {}, o);
    verify(read.graph);
    std::string text = print(read.graph);
    std::string once = onnx::write_model_bytes(read);
    std::string twice = onnx::write_model_bytes(onnx::read_model_bytes(once, {}, o));
    FUZZ_CHECK(once == twice, "exported, imported and exported again it differs");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Limits bounds;
  Choices c(data, size);
  switch (c.byte() % 6) {
    case 0:
    case 1: model(c.rest()); break;
    case 2: value<onnx::TensorProto>(c.rest(), [](auto& m) { (void)onnx::to_tensor(m, nullptr); }); break;
    case 3: value<onnx::SequenceProto>(c.rest(), [](auto& m) { (void)onnx::to_datum(m); }); break;
    case 4: value<onnx::MapProto>(c.rest(), [](auto& m) { (void)onnx::to_datum(m); }); break;
    default: value<onnx::OptionalProto>(c.rest(), [](auto& m) { (void)onnx::to_datum(m); }); break;
  }
  return 0;
}
