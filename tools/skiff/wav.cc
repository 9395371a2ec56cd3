#include "wav.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "fail.h"

namespace skiff::tool {

namespace {

uint32_t number(std::string_view s, size_t at, size_t n) {
  uint32_t v = 0;
  for (size_t k = 0; k < n; ++k) v |= static_cast<uint32_t>(static_cast<unsigned char>(s[at + k])) << 8 * k;
  return v;
}

float sample(const char* p, unsigned format, unsigned bits) {
  auto byte = [&](unsigned k) { return static_cast<uint32_t>(static_cast<unsigned char>(p[k])); };
  if (format == 3 && bits == 32) {
    float f = 0;
    std::memcpy(&f, p, 4);
    return f;
  }
  if (format == 3) {
    double d = 0;
    std::memcpy(&d, p, 8);
    return static_cast<float>(d);
  }
  if (bits == 8)
    return static_cast<float>(static_cast<int>(byte(0)) - 128) / 128.0f;  // unsigned by definition
  uint32_t v = 0;  // left-justified, so that the sign lands in bit 31
  for (unsigned k = 0; k < bits / 8; ++k) v |= byte(k) << (32 - bits + 8 * k);
  return static_cast<float>(static_cast<double>(static_cast<int32_t>(v)) / 2147483648.0);
}

}  // namespace

Wav decode_wav(std::string_view s, const std::string& name) {
  if (s.size() < 12 || s.substr(0, 4) != "RIFF" || s.substr(8, 4) != "WAVE")
    fail(name, ": not a WAV file (no RIFF/WAVE header)");
  Wav w;
  unsigned format = 0, bits = 0;
  for (size_t at = 12; at + 8 <= s.size();) {
    std::string_view id = s.substr(at, 4);
    size_t size = number(s, at + 4, 4), body = at + 8, have = std::min(size, s.size() - body);
    if (id == "fmt ") {
      if (have < 16) fail(name, ": the WAV format chunk is cut short");
      format = number(s, body, 2);
      unsigned channels = number(s, body + 2, 2), rate = number(s, body + 4, 4);
      bits = number(s, body + 14, 2);
      if (format == 0xFFFE && have >= 26)
        format = number(s, body + 24, 2);  // WAVE_FORMAT_EXTENSIBLE: the sub-format
      bool pcm = format == 1 && (bits == 8 || bits == 16 || bits == 24 || bits == 32);
      bool real = format == 3 && (bits == 32 || bits == 64);
      if (!pcm && !real)
        fail(name, ": WAV format ", format, " with ", bits, " bits is not known; convert it to 16-bit PCM");
      if (channels < 1 || channels > 64 || rate < 1 || rate > 10'000'000)
        fail(name, ": ", channels, " channels at ", rate, " Hz make no WAV file");
      w.channels = static_cast<int>(channels);
      w.rate = static_cast<int>(rate);
    } else if (id == "data") {
      if (w.channels == 0) fail(name, ": the WAV data come before their format");
      // Streams written without knowing their length say 0 or 0xFFFFFFFF here.
      if (size != have && size != 0xFFFFFFFFu)
        fail(name, ": the WAV file is cut short (", have, " of ", size, " bytes)");
      size_t step = bits / 8, frame = step * static_cast<size_t>(w.channels), frames = have / frame;
      w.samples.resize(frames * static_cast<size_t>(w.channels));
      for (size_t i = 0; i < w.samples.size(); ++i)
        w.samples[i] = sample(s.data() + body + i * step, format, bits);
      return w;
    }
    if (size > s.size() - body) break;
    at = body + size + (size & 1);
  }
  fail(name, ": the WAV file holds no data");
}

std::string encode_wav(const Wav& w) {
  std::string s;
  auto put = [&](uint32_t v, size_t n) {
    for (size_t k = 0; k < n; ++k) s += static_cast<char>(v >> 8 * k & 255);
  };
  auto channels = static_cast<uint32_t>(w.channels), rate = static_cast<uint32_t>(w.rate);
  auto bytes = static_cast<uint32_t>(w.samples.size() * 2);
  s += "RIFF";
  put(36 + bytes, 4);
  s += "WAVEfmt ";
  put(16, 4);
  put(1, 2);
  put(channels, 2);
  put(rate, 4);
  put(rate * channels * 2, 4);
  put(channels * 2, 2);
  put(16, 2);
  s += "data";
  put(bytes, 4);
  for (float v : w.samples)
    put(static_cast<uint32_t>(static_cast<int32_t>(std::clamp(std::lrint(v * 32768.0f), -32768L, 32767L))) &
            0xFFFF,
        2);
  return s;
}

}  // namespace skiff::tool
