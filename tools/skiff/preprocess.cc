#include "preprocess.h"

#include <algorithm>
#include <cmath>

#include "fail.h"
#include "files.h"

namespace skiff::tool {

bool ImageSpec::empty() const {
  return !resize && !crop && !mode && !channels && !layout && !scale && !mean && !std;
}

ImageSpec merge(const ImageSpec& base, const ImageSpec& over) {
  ImageSpec s = base;
  if (over.resize) s.resize = over.resize;
  if (over.crop) s.crop = over.crop;
  if (over.mode) s.mode = over.mode;
  if (over.channels) s.channels = over.channels;
  if (over.layout) s.layout = over.layout;
  if (over.scale) s.scale = over.scale;
  if (over.mean) s.mean = over.mean;
  if (over.std) s.std = over.std;
  return s;
}

ImageSpec complete(ImageSpec s, const std::vector<int64_t>& dims) {
  auto channels = [](int64_t d) { return d == 1 || d == 3; };
  size_t n = dims.size();
  if (!s.layout) {
    bool first = n < 3 || channels(dims[n - 3]), last = n >= 3 && channels(dims[n - 1]);
    s.layout = !first && last ? Layout::kNhwc : Layout::kNchw;
  }
  bool nchw = s.layout == Layout::kNchw;
  if (!s.channels) {
    int64_t c = n < 3 ? 3 : nchw ? dims[n - 3] : dims[n - 1];
    s.channels = c == 1 ? Channels::kGrey : Channels::kRgb;
  }
  if (!s.resize && !s.crop && n >= 3) {
    int64_t h = nchw ? dims[n - 2] : dims[n - 3], w = nchw ? dims[n - 1] : dims[n - 2];
    if (h > 0 && w > 0 && h <= kMaxSide && w <= kMaxSide)
      s.resize = Size{static_cast<int>(w), static_cast<int>(h)};
  }
  return s;
}

Size parse_size(const std::string& text, const std::string& what) {
  std::vector<int64_t> d = parse_dims(text, what);
  if (d.size() == 1) d.push_back(d[0]);
  if (d.size() != 2) fail(what, ": \"", text, "\" is no size; write WIDTH,HEIGHT");
  for (int64_t v : d)
    if (v < 1 || v > kMaxSide) fail(what, ": \"", text, "\": sides go from 1 to ", kMaxSide);
  return {static_cast<int>(d[0]), static_cast<int>(d[1])};
}

ResizeMode parse_resize_mode(const std::string& t, const std::string& what) {
  if (t == "exact") return ResizeMode::kExact;
  if (t == "shorter") return ResizeMode::kShorter;
  if (t == "letterbox") return ResizeMode::kLetterbox;
  fail(what, ": \"", t, "\" is not one of exact, shorter, letterbox");
}
Channels parse_channels(const std::string& t, const std::string& what) {
  if (t == "rgb") return Channels::kRgb;
  if (t == "bgr") return Channels::kBgr;
  if (t == "gray" || t == "grey") return Channels::kGrey;
  fail(what, ": \"", t, "\" is not one of rgb, bgr, gray");
}
Layout parse_layout(const std::string& t, const std::string& what) {
  if (t == "nchw") return Layout::kNchw;
  if (t == "nhwc") return Layout::kNhwc;
  fail(what, ": \"", t, "\" is not one of nchw, nhwc");
}

Image fit_image(const Image& image, const ImageSpec& spec) {
  Image out = image;
  if (spec.resize) {
    Size to = *spec.resize;
    ResizeMode mode = spec.mode.value_or(ResizeMode::kExact);
    if (mode == ResizeMode::kExact) {
      out = resize_bilinear(image, to.width, to.height);
    } else {
      double kx = static_cast<double>(to.width) / image.width,
             ky = static_cast<double>(to.height) / image.height;
      bool cover = mode == ResizeMode::kShorter, by_x = cover ? kx > ky : kx < ky;
      // The side that decides is exact, the other is rounded down, as torchvision does.
      double w = by_x ? to.width : std::floor(static_cast<double>(image.width) * to.height / image.height);
      double h = by_x ? std::floor(static_cast<double>(image.height) * to.width / image.width) : to.height;
      if (w > kMaxSide || h > kMaxSide || w * h > static_cast<double>(kMaxPixels))
        fail("resizing ", image.width, "x", image.height, " to ", w, "x", h, " exceeds the limit");
      out = resize_bilinear(image, std::max(1, static_cast<int>(w)), std::max(1, static_cast<int>(h)));
      if (!cover) {
        Image box(to.width, to.height, out.channels, 114);
        int left = (to.width - out.width) / 2, top = (to.height - out.height) / 2;
        for (int y = 0; y < out.height; ++y)
          std::copy_n(out.at(0, y), out.width * out.channels, box.at(left, top + y));
        out = std::move(box);
      }
    }
  }
  return spec.crop ? crop_centre(out, spec.crop->width, spec.crop->height) : out;
}

Array image_tensor(const Image& image, const ImageSpec& spec, size_t rank) {
  Channels order = spec.channels.value_or(Channels::kRgb);
  Image grey;
  if (order == Channels::kGrey) grey = to_grey(image);
  const Image& in = order == Channels::kGrey ? grey : image;
  auto c_count = static_cast<size_t>(in.channels), pixels = in.pixels.size() / c_count;
  auto per_channel = [&](const std::optional<std::vector<double>>& v, double other, const char* what) {
    std::vector<double> r = v.value_or(std::vector<double>{other});
    if (r.size() == 1) r.assign(c_count, r[0]);
    if (r.size() != c_count) fail(what, " has ", r.size(), " entries for ", c_count, " channels");
    return r;
  };
  std::vector<double> mean = per_channel(spec.mean, 0, "--mean"), std = per_channel(spec.std, 1, "--std");
  double scale = spec.scale.value_or(1);
  bool nchw = spec.layout.value_or(Layout::kNchw) == Layout::kNchw;
  std::vector<float> out(in.pixels.size());
  for (size_t c = 0; c < c_count; ++c) {
    if (std[c] == 0) fail("--std is 0 for channel ", c);
    float value[256];  // each of the 256 pixel values only once, in double, rounded once
    for (int v = 0; v < 256; ++v) value[v] = static_cast<float>((v * scale - mean[c]) / std[c]);
    size_t from = order == Channels::kBgr ? 2 - c : c;
    for (size_t i = 0; i < pixels; ++i)
      out[nchw ? c * pixels + i : i * c_count + c] = value[in.pixels[i * c_count + from]];
  }
  int64_t h = in.height, w = in.width, c = in.channels;
  std::vector<int64_t> dims = nchw ? std::vector<int64_t>{c, h, w} : std::vector<int64_t>{h, w, c};
  if (rank == 2 && c == 1) dims = {h, w};
  if (rank != 2 && rank != 3) dims.insert(dims.begin(), 1);
  return Array::of(SKIFF_FLOAT, dims, out);
}

}  // namespace skiff::tool
