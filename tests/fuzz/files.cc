// The readers of the command's file formats: pictures, npy, npz, wav, csv and plain numbers. Each gives a
// value or a ToolError that names the file.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "csv.h"
#include "fail.h"
#include "image.h"
#include "npy.h"
#include "wav.h"
#include "zip.h"

extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }  // NOLINT

using namespace skiff::tool;

namespace {

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "finding: %s\n", what);
  std::abort();
}

// Declared pixels cost time, not memory alone: pictures beyond a megapixel are left to the limits' own tests.
bool small_picture(std::string_view b) {
  auto u16 = [&](size_t i) { return static_cast<uint8_t>(b[i]) << 8 | static_cast<uint8_t>(b[i + 1]); };
  if (b.size() > 24 && b.substr(1, 3) == "PNG") {
    auto side = [&](size_t i) {
      return static_cast<uint64_t>(u16(i)) << 16 | static_cast<uint64_t>(u16(i + 2));
    };
    return side(16) * side(20) <= 1'000'000;
  }
  for (size_t i = 0; i + 9 < b.size(); ++i) {
    auto marker = static_cast<uint8_t>(b[i + 1]);
    if (static_cast<uint8_t>(b[i]) == 0xff && marker >= 0xc0 && marker <= 0xcf &&
        int64_t{u16(i + 5)} * u16(i + 7) > 1'000'000)
      return false;
  }
  return true;
}

void read_one(uint8_t kind, std::string_view b) {
  switch (kind % 8) {
    case 0:
    case 1: {
      if (!small_picture(b)) return;
      Image im = decode_image(b, "f");
      check(im.pixels.size() == static_cast<size_t>(im.width) * static_cast<size_t>(im.height) *
                                    static_cast<size_t>(im.channels),
            "a picture of the wrong size");
      if (im.width < 300 && im.height < 300) (void)resize_bilinear(im, 7, 5);
      return;
    }
    case 2: {
      Array a = decode_npy(b, "f");
      if (a.dtype != SKIFF_STRING) check(a.bytes.size() * 8 >= a.count(), "an array with too few bytes");
      return;
    }
    case 3: (void)decode_npz(b, "f"); return;
    case 4: (void)read_zip(b, "f"); return;
    case 5: {
      Wav w = decode_wav(b, "f");
      check(w.channels >= 1 && w.samples.size() % static_cast<size_t>(w.channels) == 0,
            "half a frame of sound");
      return;
    }
    case 6: {
      Table t = decode_csv(b, b.size() % 2 ? ',' : '\t', "f");
      std::string text = encode_csv(t);
      check(decode_csv(text, ',', "f") == t, "a table that does not come back");
      (void)numbers_of_csv(b, "f");
      return;
    }
    default: (void)numbers_of_text(b, "f");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    read_one(data[0], {reinterpret_cast<const char*>(data + 1), size - 1});
  } catch (const ToolError& e) {
    check(std::string_view(e.what()).find("f") != std::string_view::npos,
          "an error that does not name the file");
  }
  return 0;
}
