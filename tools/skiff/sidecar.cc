#include "sidecar.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "fail.h"
#include "files.h"

namespace skiff::tool {

namespace {

using Json = nlohmann::json;

std::string text_of(const Json& j, const std::string& what) {
  if (!j.is_string()) fail(what, ": a text in quotes is needed");
  return j.get<std::string>();
}

std::string size_of(const Json& j, const std::string& what) {
  if (j.is_number_integer()) return std::to_string(j.get<int64_t>());
  if (j.is_array() && j.size() == 2 && j[0].is_number_integer() && j[1].is_number_integer())
    return std::to_string(j[0].get<int64_t>()) + "," + std::to_string(j[1].get<int64_t>());
  return text_of(j, what);
}

double number_of(const Json& j, const std::string& what) {
  if (!j.is_number()) fail(what, ": a number is needed");
  return j.get<double>();
}

int integer_of(const Json& j, const std::string& what) {
  if (!j.is_number_integer() || j.get<int64_t>() < -1'000'000 || j.get<int64_t>() > 1'000'000)
    fail(what, ": a whole number is needed");
  return j.get<int>();
}

std::vector<double> numbers_of(const Json& j, const std::string& what) {
  if (j.is_number()) return {j.get<double>()};
  if (!j.is_array() || j.empty()) fail(what, ": a list of numbers is needed");
  std::vector<double> v;
  for (const Json& e : j) v.push_back(number_of(e, what));
  return v;
}

ImageSpec spec_of(const Json& j, const std::string& where) {
  if (!j.is_object()) fail(where, ": an object { ... } is needed");
  ImageSpec s;
  for (const auto& [key, v] : j.items()) {
    std::string what = where + "." + key;
    if (key == "resize") {
      s.resize = parse_size(size_of(v, what), what);
    } else if (key == "resize_mode") {
      s.mode = parse_resize_mode(text_of(v, what), what);
    } else if (key == "crop") {
      s.crop = parse_size(size_of(v, what), what);
    } else if (key == "channels") {
      s.channels = parse_channels(text_of(v, what), what);
    } else if (key == "layout") {
      s.layout = parse_layout(text_of(v, what), what);
    } else if (key == "scale") {
      s.scale = number_of(v, what);
    } else if (key == "mean") {
      s.mean = numbers_of(v, what);
    } else if (key == "std") {
      s.std = numbers_of(v, what);
    } else {
      fail(where, ": unknown key \"", key,
           "\"; known are resize, resize_mode, crop, channels, scale, mean, std, layout");
    }
  }
  return s;
}

}  // namespace

Sidecar parse_sidecar(std::string_view json, const std::string& path) {
  Json j;
  try {
    j = Json::parse(json);
  } catch (const Json::exception& e) {
    fail(path, ": not valid JSON: ", e.what());
  }
  if (!j.is_object()) fail(path, ": an object { ... } is needed");
  Sidecar s;
  s.path = path;
  for (const auto& [key, v] : j.items()) {
    std::string what = path + ": " + key;
    if (key == "input") {
      if (!v.is_object()) fail(what, ": an object from input names to their pictures is needed");
      for (const auto& [name, spec] : v.items())
        s.inputs.emplace_back(name, spec_of(spec, what + "." + name));
    } else if (key == "labels") {
      s.labels = join(parent(path), text_of(v, what));
    } else if (key == "label_offset") {
      s.label_offset = integer_of(v, what);
    } else if (key == "top") {
      s.top = integer_of(v, what);
    } else {
      fail(path, ": unknown key \"", key, "\"; known are input, labels, label_offset, top");
    }
  }
  return s;
}

Sidecar find_sidecar(const std::string& model_path) {
  std::string path = std::filesystem::path(model_path).replace_extension(".json").string();
  return path != model_path && is_file(path) ? parse_sidecar(read_file(path, 1 << 20), path) : Sidecar{};
}

}  // namespace skiff::tool
