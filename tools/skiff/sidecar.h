// MODEL.json beside MODEL.onnx: how pictures become inputs, and what the classes are called.
//   {"input": {"NAME": {"resize": "W,H", "resize_mode": "exact|shorter|letterbox", "crop": "W,H",
//                       "channels": "rgb|bgr|gray", "scale": 0.0039, "mean": [..], "std": [..], "layout":
//                       "nchw|nhwc"}},
//    "labels": "labels.txt", "label_offset": 0, "top": 3}
// Every part may be absent; "labels" is relative to the sidecar's folder.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "preprocess.h"

namespace skiff::tool {

struct Sidecar {
  std::string path;  // empty: there is none
  std::vector<std::pair<std::string, ImageSpec>> inputs;
  std::string labels;
  std::optional<int> label_offset, top;
};

// Errors: ToolError naming the file and the key, also for keys it does not know.
Sidecar parse_sidecar(std::string_view json, const std::string& path);
// The sidecar of a model file; an empty one when there is no such file.
Sidecar find_sidecar(const std::string& model_path);

}  // namespace skiff::tool
