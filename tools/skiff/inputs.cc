#include "inputs.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <random>

#include "csv.h"
#include "fail.h"
#include "files.h"
#include "npy.h"
#include "values.h"
#include "wav.h"

namespace skiff::tool {

void add_shape_options(CLI::App& app, InputOptions& o) {
  app.add_option("--shape", o.shapes, "Shape of an input: NAME=1x3x224x224; may be repeated")
      ->allow_extra_args(false)
      ->group("Shapes");
  app.add_option("--dim", o.dims, "Value of a symbolic extent: N=4; may be repeated [1]")
      ->allow_extra_args(false)
      ->group("Shapes");
}

void add_input_options(CLI::App& app, InputOptions& o, const std::string& fill) {
  o.fill = fill;
  app.add_option(
         "--input,-i", o.inputs,
         "NAME=FILE (NAME= may be left out when the model has one input): .jpg .png .bmp .ppm .tif .webp .jp2 .npy .npz .pb .wav "
         ".txt .csv, or a folder of images; repeat it for more inputs, or for more files of one input")
      ->allow_extra_args(false);
  app.add_option("--data", o.data, "Take the inputs from a folder of input_0.pb, input_1.pb ...");
  app.add_option("--fill", o.fill,
                 "Values of inputs not given: zeros, ones or random (integers 0 and 1)" +
                     (fill.empty() ? "" : " [" + fill + "]"))
      ->check(CLI::IsMember({"zeros", "ones", "random"}));
  app.add_option("--seed", o.seed, "Seed of --fill random [1]");
  app.add_flag("--cast", o.cast, "Convert .npy, .npz and .pb files to the element type the model wants");
  app.add_option("--rate", o.rate, "Sample rate a .wav file must have [any]");
  add_image_options(app, o);
  add_shape_options(app, o);
}

void add_image_options(CLI::App& app, InputOptions& o) {
  auto* group = "Images";
  app.add_option("--resize", o.resize, "W,H or one number for a square [the model's own size]")->group(group);
  app.add_option("--resize-mode", o.resize_mode,
                 "exact; shorter (covers W,H, keeps the aspect); letterbox [exact]")
      ->check(CLI::IsMember({"exact", "shorter", "letterbox"}))
      ->group(group);
  app.add_option("--crop", o.crop, "W,H from the centre, after the resize")->group(group);
  app.add_option("--scale", o.scale, "First x = pixel * S [1]")->group(group);
  app.add_option("--mean", o.mean, "Then x - mean: one number or one a channel [0]")->group(group);
  app.add_option("--std", o.std, "Then x / std: one number or one a channel [1]")->group(group);
  app.add_option("--layout", o.layout, "nchw or nhwc [what the model's shape says]")
      ->check(CLI::IsMember({"nchw", "nhwc"}))
      ->group(group);
  app.add_option("--channels", o.channels, "rgb, bgr or gray [rgb; gray for one channel]")
      ->check(CLI::IsMember({"rgb", "bgr", "gray"}))
      ->group(group);
}

namespace {

std::pair<std::string, std::string> key_value(const std::string& text, const char* option) {
  size_t eq = text.rfind('=');
  if (eq == std::string::npos || eq == 0 || eq + 1 == text.size())
    fail_usage(option, ": \"", text, "\" is not NAME=VALUE");
  return {text.substr(0, eq), text.substr(eq + 1)};
}

std::string type_of(const skiff_port& p) { return p.type_text ? p.type_text : ""; }

// The declared extents with the given elements in them: the dims of the file when they agree, else the
// declared ones with the open extents found from the count.
std::vector<int64_t> fit_dims(const std::vector<int64_t>& have, size_t count,
                              const std::vector<int64_t>& want) {
  bool agree = have.size() == want.size();
  for (size_t k = 0; agree && k < want.size(); ++k) agree = want[k] < 0 || want[k] == have[k];
  if (agree) return have;
  std::vector<int64_t> dims = want;
  int64_t known = 1, open = -1;
  for (size_t k = 0; k < dims.size(); ++k) {
    if (dims[k] < 0) {
      if (open >= 0) dims[static_cast<size_t>(open)] = 1;
      open = static_cast<int64_t>(k);
    } else {
      if (dims[k] == 0 || known > (int64_t{1} << 40)) return have;
      known *= dims[k];
    }
  }
  auto n = static_cast<int64_t>(count);
  if (open >= 0 && n % known == 0) {
    dims[static_cast<size_t>(open)] = n / known;
    return dims;
  }
  return open < 0 && n == known ? dims : have;
}

}  // namespace

ImageSpec image_spec(const InputOptions& o) {
  ImageSpec s;
  try {
    if (!o.resize.empty()) s.resize = parse_size(o.resize, "--resize");
    if (!o.resize_mode.empty()) s.mode = parse_resize_mode(o.resize_mode, "--resize-mode");
    if (!o.crop.empty()) s.crop = parse_size(o.crop, "--crop");
    if (!o.mean.empty()) s.mean = parse_numbers(o.mean, "--mean");
    if (!o.std.empty()) s.std = parse_numbers(o.std, "--std");
    if (!o.layout.empty()) s.layout = parse_layout(o.layout, "--layout");
    if (!o.channels.empty()) s.channels = parse_channels(o.channels, "--channels");
  } catch (const ToolError& e) {
    throw UsageError(e.what());
  }
  s.scale = o.scale;
  return s;
}

std::string shapes_text(const InputOptions& o) {
  std::string s;
  for (const std::string& kv : o.shapes) {
    auto [name, value] = key_value(kv, "--shape");
    std::vector<int64_t> dims = parse_dims(value, "--shape");
    s += (s.empty() ? "" : ";") + name + "=" + dims_text(dims);
  }
  for (const std::string& kv : o.dims) {
    auto [name, value] = key_value(kv, "--dim");
    s += (s.empty() ? "" : ";") + name + "=" + std::to_string(parse_integer(value, "--dim"));
  }
  return s;
}

Inputs::Inputs(const api::Session& session, const InputOptions& options, const Sidecar& sidecar)
    : session_(session), options_(options) {
  size_t n = session.input_count();
  sources_.resize(n);
  shapes_.resize(n);
  specs_.resize(n);
  for (const auto& [name, spec] : sidecar.inputs) specs_[index_of(name, sidecar.path)] = spec;
  ImageSpec given = image_spec(options);
  for (ImageSpec& s : specs_) s = merge(s, given);
  for (const std::string& kv : options.dims) {
    auto [name, value] = key_value(kv, "--dim");
    symbols_[name] = parse_integer(value, "--dim");
  }
  for (const std::string& kv : options.shapes) {
    auto [name, value] = key_value(kv, "--shape");
    shapes_[index_of(name, "--shape")] = parse_dims(value, "--shape");
  }
  if (!options.data.empty()) bind_folder_of_pb(options.data);
  for (const std::string& text : options.inputs) bind(text);

  size_t most = 1;
  for (const Source& s : sources_) most = std::max(most, s.files.size());
  for (size_t i = 0; i < n; ++i) {
    Source& s = sources_[i];
    skiff_port p = session.input(i);
    if (s.kind == Source::Kind::kFiles && s.files.size() != 1 && s.files.size() != most)
      fail("input \"", p.name, "\" has ", s.files.size(), " files, another input has ", most,
           "; give one file for all runs or one for each");
    if (s.kind != Source::Kind::kFill) continue;
    if (p.optional && !shapes_[i]) {
      s.kind = Source::Kind::kDefault;
    } else if (options_.fill.empty()) {
      fail("input \"", p.name, "\" (", type_of(p), ") is missing; give --input ", p.name,
           "=FILE, or --fill zeros, ones or random");
    }
  }
  cases_ = most;
}

size_t Inputs::index_of(const std::string& name, const std::string& what) const {
  for (size_t i = 0; i < session_.input_count(); ++i)
    if (name == session_.input(i).name) return i;
  fail(what, ": the model has no input \"", name, "\"; its inputs are: ", input_names(session_));
}

void Inputs::bind(const std::string& text) {
  for (size_t eq = text.find('='); eq != std::string::npos; eq = text.find('=', eq + 1)) {
    std::string name = text.substr(0, eq);
    for (size_t i = 0; i < session_.input_count(); ++i)
      if (name == session_.input(i).name) return bind_file(i, text.substr(eq + 1));
  }
  bool exists = is_file(text) || is_folder(text);
  if (!exists && text.find('=') != std::string::npos) index_of(text.substr(0, text.find('=')), "--input");
  if (extension(text) == "npz") return bind_npz(text);
  size_t required = 0, only = 0;
  for (size_t i = session_.input_count(); i-- > 0;)
    if (!session_.input(i).optional) ++required, only = i;
  if (required != 1)
    fail("--input ", text, ": say which input it is for: --input NAME=", text,
         "; the inputs are: ", input_names(session_));
  bind_file(only, text);
}

void Inputs::bind_file(size_t input, const std::string& path) {
  Source& s = sources_[input];
  if (s.kind != Source::Kind::kFiles) s = {};
  s.kind = Source::Kind::kFiles;
  if (!is_folder(path)) {
    if (!is_file(path)) fail(path, ": no such file (for input \"", session_.input(input).name, "\")");
    s.files.push_back(path);
    return;
  }
  size_t before = s.files.size();
  for (const std::string& name : list_folder(path))
    if (is_image_name(name)) s.files.push_back(join(path, name));
  if (s.files.size() == before) fail(path, ": the folder holds no image files");
}

void Inputs::bind_npz(const std::string& path) {
  for (auto& [name, array] : decode_npz(read_file(path), path)) {
    Source& s = sources_[index_of(name, path)];
    s = {Source::Kind::kArray, {}, std::move(array), path};
  }
}

void Inputs::bind_folder_of_pb(const std::string& folder) {
  size_t position = 0;
  for (size_t i = 0; i < session_.input_count(); ++i) {
    if (session_.input(i).optional) continue;
    std::string path = join(folder, cat("input_", position++, ".pb"));
    if (!is_file(path)) fail(path, ": no such file (for input \"", session_.input(i).name, "\")");
    bind_file(i, path);
  }
}

std::string Inputs::source(size_t input, size_t i) const {
  const Source& s = sources_[input];
  switch (s.kind) {
    case Source::Kind::kDefault: return "default";
    case Source::Kind::kFill: return options_.fill;
    case Source::Kind::kArray: return s.from;
    case Source::Kind::kFiles: break;
  }
  return s.files[s.files.size() == 1 ? 0 : i];
}

api::Value Inputs::shaped(size_t input, Array a) const {
  skiff_port p = session_.input(input);
  size_t count = a.count();
  if (shapes_[input]) {
    a.dims = fit_dims({}, count, *shapes_[input]);
  } else if (p.rank >= 0) {
    a.dims = fit_dims(a.dims, count, port_dims(p));
  }
  return cast_to(to_value(a), p.dtype);
}

api::Value Inputs::read(size_t input, const std::string& path, std::optional<Image>& image) const {
  skiff_port p = session_.input(input);
  std::string ext = extension(path);
  if (ext == "pb") {
    skiff_value* v = nullptr;
    api::check(skiff_value_read_pb(path.c_str(), p.kind, &v, nullptr));
    return options_.cast ? cast_to(api::Value(v), p.dtype) : api::Value(v);
  }
  if (p.kind != SKIFF_KIND_TENSOR)
    fail("input \"", p.name, "\" is a ", type_of(p), "; only .pb files hold such values");
  if (ext == "npy" || ext == "npz") {
    Array a;
    if (ext == "npy") {
      a = decode_npy(read_file(path), path);
    } else {
      auto arrays = decode_npz(read_file(path), path);
      auto it = std::find_if(arrays.begin(), arrays.end(), [&](const auto& e) { return e.first == p.name; });
      if (it == arrays.end() && arrays.size() != 1)
        fail(path, ": holds ", arrays.size(), " arrays, none of them called \"", p.name, '"');
      a = std::move(it == arrays.end() ? arrays[0].second : it->second);
    }
    api::Value v = to_value(a);
    return options_.cast ? cast_to(std::move(v), p.dtype) : std::move(v);
  }
  if (ext == "txt" || ext == "csv") {
    std::string text = read_file(path, uint64_t{1} << 30);
    if (p.dtype == SKIFF_STRING) {
      if (ext == "csv") return shaped(input, strings_of_csv(text, path));
      Array a{SKIFF_STRING, {}, {}, split_lines(text)};
      a.dims = {static_cast<int64_t>(a.strings.size())};
      return shaped(input, std::move(a));
    }
    return shaped(input, ext == "csv" ? numbers_of_csv(text, path) : numbers_of_text(text, path));
  }
  if (ext == "wav") {
    Wav w = decode_wav(read_file(path), path);
    if (options_.rate && w.rate != options_.rate)
      fail(path, ": ", w.rate, " samples a second, ", options_.rate, " are needed; resample the file first");
    auto channels = static_cast<size_t>(w.channels), frames = w.frames();
    std::vector<float> planar(w.samples.size());
    for (size_t i = 0; i < planar.size(); ++i) planar[i % channels * frames + i / channels] = w.samples[i];
    std::vector<int64_t> dims{static_cast<int64_t>(frames)};
    if (channels > 1) dims.insert(dims.begin(), static_cast<int64_t>(channels));
    return shaped(input, Array::of(SKIFF_FLOAT, dims, planar));
  }
  image = load_image(path);
  size_t rank = p.rank < 0 ? 4 : static_cast<size_t>(p.rank);
  std::vector<int64_t> dims = port_dims(p);
  if (shapes_[input]) dims = *shapes_[input], rank = dims.size();
  ImageSpec spec = complete(specs_[input], dims);
  Array a;
  try {
    a = image_tensor(fit_image(*image, spec), spec, rank);
  } catch (const ToolError& e) {
    fail(path, ": ", e.what());
  }
  if (p.dtype == SKIFF_UINT8) {  // Cast truncates; pixels are rounded and kept in range
    auto v = a.as<float>();
    for (float& x : v) x = std::clamp(std::nearbyint(x), 0.0f, 255.0f);
    a = Array::of(SKIFF_FLOAT, a.dims, v);
  }
  return cast_to(to_value(a), p.dtype);
}

api::Value Inputs::filled(size_t input, const std::map<std::string, int64_t>& symbols) const {
  skiff_port p = session_.input(input);
  if (p.kind != SKIFF_KIND_TENSOR)
    fail("input \"", p.name, "\" is a ", type_of(p), "; give it as a .pb file");
  std::vector<int64_t> dims;
  if (shapes_[input]) {
    dims = *shapes_[input];
  } else {
    if (p.rank < 0) fail("the shape of input \"", p.name, "\" is not known; give --shape ", p.name, "=...");
    for (int k = 0; k < p.rank; ++k) {
      auto it = symbols.find(p.dim_names[k] ? p.dim_names[k] : "");
      dims.push_back(p.dims[k] >= 0 ? p.dims[k] : it != symbols.end() ? it->second : 1);
    }
  }
  double count = 1;
  for (int64_t d : dims) count *= static_cast<double>(d);
  if (count > 4e9) fail("input \"", p.name, "\": shape ", dims_text(dims), " exceeds the limit");
  auto n = static_cast<size_t>(count);
  if (p.dtype == SKIFF_STRING) return to_value({SKIFF_STRING, dims, {}, std::vector<std::string>(n)});
  bool real = p.dtype == SKIFF_FLOAT || p.dtype == SKIFF_DOUBLE || p.dtype == SKIFF_FLOAT16 ||
              p.dtype == SKIFF_BFLOAT16 || (p.dtype >= SKIFF_FLOAT8E4M3FN && p.dtype <= SKIFF_FLOAT8E5M2FNUZ);
  std::vector<float> v(n, options_.fill == "ones" ? 1.0f : 0.0f);
  if (options_.fill == "random") {
    std::mt19937 g(static_cast<uint32_t>(options_.seed + 7919 * input));
    // 24 random bits make a float in [-1, 1) the same way on every platform.
    for (float& x : v)
      x = real ? static_cast<float>(g() >> 8) / 8388608.0f - 1.0f : static_cast<float>(g() >> 31);
  }
  return cast_to(to_value(Array::of(SKIFF_FLOAT, dims, v)), p.dtype);
}

InputCase Inputs::load(size_t i) const {
  InputCase c;
  size_t n = session_.input_count();
  c.values.resize(n);
  std::map<std::string, int64_t> symbols = symbols_;
  for (size_t k = 0; k < n; ++k) {
    const Source& s = sources_[k];
    skiff_port p = session_.input(k);
    if (s.kind == Source::Kind::kArray) {
      c.values[k] = to_value(s.array);
      if (options_.cast) c.values[k] = cast_to(std::move(c.values[k]), p.dtype);
    } else if (s.kind == Source::Kind::kFiles) {
      std::string path = source(k, i);
      std::optional<Image> image;
      c.values[k] = read(k, path, image);
      if (c.name.empty() || s.files.size() > 1) c.name = file_name(path), c.path = path;
      if (image && (!c.image || s.files.size() > 1)) c.image = std::move(image);
    } else {
      continue;
    }
    if (c.values[k].kind() != SKIFF_KIND_TENSOR || p.rank < 0) continue;
    std::vector<int64_t> dims = c.values[k].dims();
    for (size_t d = 0; d < dims.size() && d < static_cast<size_t>(p.rank); ++d)
      if (p.dims[d] < 0 && p.dim_names[d] && *p.dim_names[d]) symbols.try_emplace(p.dim_names[d], dims[d]);
  }
  for (size_t k = 0; k < n; ++k)
    if (sources_[k].kind == Source::Kind::kFill) c.values[k] = filled(k, symbols);
  return c;
}

}  // namespace skiff::tool
