// Pictures: decoders, the resize that equals Pillow's, preprocessing, sidecars.
#include <doctest/doctest.h>

#include <cstdio>

#include <jpeglib.h>

#include <cstdlib>
#include <functional>

#include "draw.h"
#include "fail.h"
#include "image.h"
#include "preprocess.h"
#include "sidecar.h"

using namespace skiff::tool;

namespace {

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const ToolError& e) {
    return e.what();
  }
  return {};
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Image gradient(int w, int h) {
  Image i(w, h, 3);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      i.at(x, y)[0] = static_cast<uint8_t>(x * 255 / std::max(1, w - 1));
      i.at(x, y)[1] = static_cast<uint8_t>(y * 255 / std::max(1, h - 1));
      i.at(x, y)[2] = static_cast<uint8_t>((x + y) * 5);
    }
  return i;
}

std::string encode_jpeg(const Image& image, bool progressive) {
  jpeg_compress_struct c{};
  jpeg_error_mgr errors{};
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&c, &out, &size);
  c.image_width = static_cast<JDIMENSION>(image.width);
  c.image_height = static_cast<JDIMENSION>(image.height);
  c.input_components = image.channels;
  c.in_color_space = image.channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(&c);
  jpeg_set_quality(&c, 98, TRUE);
  if (progressive) jpeg_simple_progression(&c);
  jpeg_start_compress(&c, TRUE);
  while (c.next_scanline < c.image_height) {
    auto* row = const_cast<uint8_t*>(image.at(0, static_cast<int>(c.next_scanline)));
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  std::string s(reinterpret_cast<char*>(out), size);
  jpeg_destroy_compress(&c);
  std::free(out);
  return s;
}

int worst(const Image& a, const Image& b) {
  REQUIRE(a.pixels.size() == b.pixels.size());
  int d = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) d = std::max(d, std::abs(a.pixels[i] - b.pixels[i]));
  return d;
}

}  // namespace

TEST_CASE("png comes back bit by bit, grey spread to three channels") {
  Image a = gradient(37, 21);
  CHECK(decode_image(encode_png(a, "x"), "x").pixels == a.pixels);
  Image grey = to_grey(a), back = decode_image(encode_png(grey, "x"), "x");
  REQUIRE(back.channels == 3);
  CHECK(to_grey(back).pixels == grey.pixels);
}

TEST_CASE("jpeg: baseline, progressive and grey are read") {
  Image a = gradient(64, 48);
  for (size_t i = 2; i < a.pixels.size(); i += 3) a.pixels[i] = 90;  // smooth, as JPEG likes it
  CHECK(worst(decode_image(encode_jpeg(a, false), "x"), a) < 12);
  CHECK(worst(decode_image(encode_jpeg(a, true), "x"), a) < 12);
  Image grey = to_grey(a), back = decode_image(encode_jpeg(grey, false), "x");
  CHECK(worst(to_grey(back), grey) < 10);
}

TEST_CASE("ppm and pgm are read, comments allowed") {
  Image a = decode_image(std::string("P6 # c\n2 1\n255\nabcdef"), "x");
  CHECK(a.width == 2);
  CHECK(a.pixels == std::vector<uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'});
  CHECK(decode_image(std::string("P5 1 2 255\nxy"), "x").pixels ==
        std::vector<uint8_t>{'x', 'x', 'x', 'y', 'y', 'y'});
}

TEST_CASE("images cut short anywhere are refused, never a crash") {
  std::string png = encode_png(gradient(20, 20), "x"), jpeg = encode_jpeg(gradient(20, 20), false);
  std::string progressive = encode_jpeg(gradient(20, 20), true), ppm = "P6 2 1 255\nabcdef";
  for (const std::string& file : {png, jpeg, progressive, ppm})
    for (size_t n = 0; n < file.size(); ++n) {
      // The last two bytes of a JPEG only say that it ends.
      if (file[0] == '\xFF' && n + 2 >= file.size()) continue;
      CHECK_THROWS_AS(decode_image(file.substr(0, n), "x"), ToolError);
    }
}

TEST_CASE("damaged bytes give an image or an error") {
  std::string png = encode_png(gradient(16, 16), "x"), jpeg = encode_jpeg(gradient(16, 16), true);
  int refused = 0;
  for (const std::string& file : {png, jpeg})
    for (size_t n = 0; n < file.size(); ++n) {
      std::string bad = file;
      bad[n] = static_cast<char>(bad[n] ^ 0x55);
      try {
        decode_image(bad, "x");
      } catch (const ToolError&) {
        ++refused;
      }
    }
  CHECK(refused > 50);
}

TEST_CASE("sizes are refused before memory is taken") {
  std::string png = encode_png(gradient(4, 4), "x");
  CHECK(contains(error_of([] { decode_image("P6 65000 65000 255\n", "huge.ppm"); }), "huge.ppm"));
  std::string jpeg = encode_jpeg(gradient(16, 16), false);
  size_t sof = jpeg.find("\xFF\xC0");
  REQUIRE(sof != std::string::npos);
  for (size_t k = 5; k < 9; ++k) jpeg[sof + k] = '\xFE';
  CHECK(contains(error_of([&] { decode_image(jpeg, "huge.jpg"); }), "limit"));
  CHECK(contains(error_of([] { decode_image("hello", "note.jpg"); }), "note.jpg: not an image"));
  CHECK(contains(error_of([] { decode_image("", "e.jpg"); }), "empty"));
}

TEST_CASE("resize equals Pillow") {
  // Image.fromarray of the 4x1 row 0, 100, 200, 50 resized with BILINEAR by Pillow 13.
  Image row(4, 1, 1);
  row.pixels = {0, 100, 200, 50};
  CHECK(resize_bilinear(row, 2, 1).pixels == std::vector<uint8_t>{71, 121});
  CHECK(resize_bilinear(row, 3, 1).pixels == std::vector<uint8_t>{30, 150, 95});
  CHECK(resize_bilinear(row, 8, 1).pixels == std::vector<uint8_t>{0, 25, 75, 125, 175, 163, 88, 50});
  CHECK(resize_bilinear(row, 4, 3).pixels ==
        std::vector<uint8_t>{0, 100, 200, 50, 0, 100, 200, 50, 0, 100, 200, 50});
  // The gradient of 37x21 to 16x9 and to 50x40: sums of the channels.
  auto sums = [](const Image& i) {
    std::vector<int> s(3, 0);
    for (size_t k = 0; k < i.pixels.size(); ++k) s[k % 3] += i.pixels[k];
    return s;
  };
  CHECK(sums(resize_bilinear(gradient(37, 21), 16, 9)) == std::vector<int>{18288, 18288, 19469});
  CHECK(sums(resize_bilinear(gradient(37, 21), 50, 40)) == std::vector<int>{254080, 254250, 270152});
}

TEST_CASE("resize modes, crop, letterbox") {
  ImageSpec s;
  s.resize = Size{10, 10};
  s.mode = ResizeMode::kShorter;
  Image a = fit_image(gradient(40, 20), s);
  CHECK(a.width == 20);
  CHECK(a.height == 10);
  s.crop = Size{10, 10};
  a = fit_image(gradient(40, 20), s);
  CHECK(a.width == 10);
  s = {};
  s.resize = Size{10, 10};
  s.mode = ResizeMode::kLetterbox;
  a = fit_image(gradient(40, 20), s);
  CHECK(a.height == 10);
  CHECK(a.at(0, 0)[0] == 114);
  CHECK(a.at(0, 5)[0] != 114);
  CHECK(contains(error_of([] { crop_centre(gradient(4, 4), 5, 4); }), "--resize"));
}

TEST_CASE("pixels to tensor: order, scale, mean, layout") {
  Image i(2, 1, 3);
  i.pixels = {10, 20, 30, 40, 50, 60};
  ImageSpec s;
  s.scale = 0.5;
  s.mean = {1, 2, 3};
  s.std = {2};
  CHECK(image_tensor(i, s, 4).as<float>() == std::vector<float>{2, 9.5f, 4, 11.5f, 6, 13.5f});
  CHECK(image_tensor(i, s, 4).dims == std::vector<int64_t>{1, 3, 1, 2});
  s = {};
  s.channels = Channels::kBgr;
  s.layout = Layout::kNhwc;
  CHECK(image_tensor(i, s, 3).as<float>() == std::vector<float>{30, 20, 10, 60, 50, 40});
  CHECK(image_tensor(i, s, 3).dims == std::vector<int64_t>{1, 2, 3});
  s.mean = {1, 2};
  CHECK(contains(error_of([&] { image_tensor(i, s, 4); }), "--mean"));
  s.mean.reset();
  s.std = {0};
  CHECK_THROWS_AS(image_tensor(i, s, 4), ToolError);
}

TEST_CASE("what is left open comes from the model's shape") {
  ImageSpec s = complete({}, {1, 3, 24, 32});
  CHECK(s.layout == Layout::kNchw);
  CHECK(s.resize->width == 32);
  CHECK(complete({}, {1, 24, 32, 3}).layout == Layout::kNhwc);
  CHECK(complete({}, {1, 1, 28, 28}).channels == Channels::kGrey);
  CHECK(!complete({}, {-1, 3, -1, -1}).resize);
}

TEST_CASE("sidecar: read, relative labels, unknown keys named") {
  Sidecar s = parse_sidecar(R"({"input": {"image": {"resize": "96,64", "resize_mode": "shorter", "crop": 64,
    "channels": "bgr", "scale": 0.5, "mean": [1, 2, 3], "std": 2, "layout": "nhwc"}}, "labels": "l.txt", "top": 3})",
                            "d/m.json");
  REQUIRE(s.inputs.size() == 1);
  CHECK(s.inputs[0].first == "image");
  CHECK(s.inputs[0].second.resize->width == 96);
  CHECK(s.inputs[0].second.crop->height == 64);
  CHECK(s.inputs[0].second.mean->size() == 3);
  CHECK(s.labels == "d/l.txt");
  CHECK(s.top == 3);
  CHECK(contains(error_of([] { parse_sidecar(R"({"input": {"x": {"reszie": 3}}})", "m.json"); }),
                 "\"reszie\""));
  CHECK(contains(error_of([] { parse_sidecar(R"({"Labels": 3})", "m.json"); }), "\"Labels\""));
  CHECK(contains(error_of([] { parse_sidecar("{", "m.json"); }), "m.json"));
  CHECK(contains(error_of([] { parse_sidecar(R"({"top": "x"})", "m.json"); }), "top"));
}

TEST_CASE("font: every printable character differs from every other; text stays inside") {
  for (char a = 33; a < 127; ++a)
    for (char b = static_cast<char>(a + 1); b < 127; ++b) {
      bool same = true;
      for (int y = 0; y < 8; ++y) same = same && glyph_row(a, y) == glyph_row(b, y);
      CHECK_MESSAGE(!same, a, " and ", b);
    }
  Image i(20, 9, 3);
  draw_text(i, -3, -3, "Wide text that does not fit \xFF", 3, {255, 255, 255});
  Image out = annotate(gradient(64, 64), {{"dent 98.1 %", 0.98}, {std::string(500, 'x'), 2.0}});
  CHECK(out.width == 256);
  CHECK(out.height > 256);
}
