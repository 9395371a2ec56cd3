// Classifies a picture with the C++ interface of Skiff.
//
//   classify MODEL.onnx PICTURE.ppm [LABELS.txt]
//
// The model's one input must be float[1, 3, H, W]; the picture (binary PPM) is brought to H x W by taking the
// nearest pixels and normalized as torchvision's models expect: (pixel / 255 - mean) / std.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "skiff/skiff.hpp"

namespace {

struct Picture {
  int64_t width = 0, height = 0;
  std::vector<unsigned char> rgb;
};

Picture read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  Picture p;
  int levels = 0;
  if (!(file >> magic >> p.width >> p.height >> levels) || magic != "P6" || levels != 255 || p.width < 1 ||
      p.height < 1 || p.width > 20000 || p.height > 20000)
    throw std::runtime_error(path + ": not a binary PPM file with 255 levels");
  file.get();
  p.rgb.resize(static_cast<size_t>(p.width * p.height * 3));
  if (!file.read(reinterpret_cast<char*>(p.rgb.data()), static_cast<std::streamsize>(p.rgb.size())))
    throw std::runtime_error(path + ": the file is cut short");
  return p;
}

std::vector<float> normalize(const Picture& p, int64_t height, int64_t width) {
  constexpr float kMean[] = {0.485f, 0.456f, 0.406f}, kStd[] = {0.229f, 0.224f, 0.225f};
  std::vector<float> out;
  out.reserve(static_cast<size_t>(3 * height * width));
  for (size_t c = 0; c < 3; ++c)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x) {
        int64_t from = (y * p.height / height) * p.width + x * p.width / width;
        out.push_back((static_cast<float>(p.rgb[static_cast<size_t>(from) * 3 + c]) / 255.0f - kMean[c]) /
                      kStd[c]);
      }
  return out;
}

int classify(const std::string& model, const std::string& picture, const std::string& labels_path) {
  skiff::api::Session session(model);
  if (session.input_count() != 1) throw std::runtime_error(model + ": a model with one input is needed");
  skiff_port port = session.input(0);
  if (port.dtype != SKIFF_FLOAT || port.rank != 4 || port.dims[1] != 3 || port.dims[2] < 1 ||
      port.dims[3] < 1)
    throw std::runtime_error(model + ": an input float[1, 3, H, W] is needed, this one is " + port.type_text);
  std::vector<int64_t> dims{1, 3, port.dims[2], port.dims[3]};

  // The session reads the pixels where they are; nothing is copied.
  std::vector<float> pixels = normalize(read_ppm(picture), dims[2], dims[3]);
  std::vector<skiff::api::Value> inputs;
  inputs.push_back(skiff::api::Value::wrap<float>(pixels, dims));
  std::vector<skiff::api::Value> outputs = session.run(inputs);

  std::vector<std::string> labels;
  std::ifstream file(labels_path);
  for (std::string line; std::getline(file, line);) labels.push_back(line);
  std::span<float> scores = outputs[0].data<float>();
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  size_t top = std::min<size_t>(3, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top), order.end(),
                    [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  for (size_t i = 0; i < top; ++i)
    std::printf("%zu %s %.4f\n", order[i], order[i] < labels.size() ? labels[order[i]].c_str() : "",
                static_cast<double>(scores[order[i]]));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: classify MODEL.onnx PICTURE.ppm [LABELS.txt]\n");
    return 2;
  }
  try {
    return classify(argv[1], argv[2], argc == 4 ? argv[3] : "");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "classify: %s\n", e.what());
    return 1;
  }
}
