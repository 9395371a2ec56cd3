// Tensor payloads in files beside the model (ONNX, "External Data"): found, checked and mapped, never copied;
// and the writing of models too large for one protobuf file.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "onnx/proto.h"
#include "onnx/wire_write.h"

namespace skiff {
class MappedFile;
}

namespace skiff::onnx {

// The files beside one model. Each is mapped once, however many tensors lie in it. What a model may name is
// confined to its folder: absolute paths, "..", drive letters, and links (symbolic ones that lead out, hard
// ones altogether) are refused, because the model file may be hostile.
class ExternalFiles {
 public:
  // folder: where the model lies ("" is the working folder). allow_links: the caller vouches for the links in
  // it, as in a download cache that keeps files under other names.
  explicit ExternalFiles(std::string folder, bool allow_links = false);
  ~ExternalFiles();

  // The payload of a tensor with data_location EXTERNAL: exactly as long as its dims and type say. Errors
  // kInvalidModel (bad location, offset or length) and kNotFound (no such file), naming the tensor.
  Bytes payload(const TensorProto& t);

 private:
  std::shared_ptr<const MappedFile> file(const std::string& location);
  std::string folder_;
  bool allow_links_;
  std::vector<std::pair<std::string, std::shared_ptr<const MappedFile>>> files_;
};

// The folder part of a path: "" for "model.onnx", "a/b" for "a/b/model.onnx".
std::string folder_of(std::string_view path);

// Whether any tensor of the model has its data outside.
bool has_external_data(const ModelProto& m);
// Gives every external tensor of the model its payload as raw_data and removes the reference.
void load_external_data(ModelProto& m, ExternalFiles& files);

enum class External {
  kAuto,    // inline, unless the model does not fit in one protobuf file
  kNever,   // inline; a model that does not fit is refused
  kAlways,  // every large initializer goes to the data file
};

struct WriteOptions {
  External external = External::kAuto;
  uint64_t external_threshold = 16 << 10;  // bytes from which an initializer is large
  std::string external_name;               // "": the model file's name + ".data"; a plain name, same folder
  uint64_t external_alignment = 4096;      // of each payload in the data file; a power of two
  uint64_t max_proto_bytes = kMaxProtoBytes;
};

// Writes a model (and its data file) atomically: after a failure both are what they were. Never writes
// through a symbolic link. Pass the model by std::move to spare the copy of its structs; payloads are not
// copied either way.
void write_model_file(ModelProto m, const std::string& path, const WriteOptions& options = {});

}  // namespace skiff::onnx
