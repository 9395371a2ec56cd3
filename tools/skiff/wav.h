// RIFF WAVE: PCM of 8, 16, 24 and 32 bits and IEEE float of 32 and 64, any number of channels.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace skiff::tool {

struct Wav {
  int rate = 0;                // samples a second
  int channels = 0;            // 1 to 64
  std::vector<float> samples;  // interleaved, PCM scaled to [-1, 1)
  size_t frames() const { return channels ? samples.size() / static_cast<size_t>(channels) : 0; }
};

// Errors: ToolError naming `name`.
Wav decode_wav(std::string_view contents, const std::string& name);
// PCM of 16 bits, values outside [-1, 1] clamped.
std::string encode_wav(const Wav& wav);

}  // namespace skiff::tool
