// UTF-8 and the upper and lower case of Unicode, from own tables: no locale of the system is asked.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace skiff::text {

// What decode gives for a byte that begins no well-formed character.
inline constexpr char32_t kNoCharacter = 0xffffffff;

// The character that begins at s[i] (i < s.size()); i moves behind it. A byte that is not UTF-8 gives
// kNoCharacter and i moves by one.
char32_t decode(std::string_view s, size_t& i);
void append(std::string& s, char32_t c);

// Full mappings without context or language: the German sharp s becomes "SS" and a final sigma an inner one.
// Bytes that are not UTF-8 stay as they are.
std::string to_upper(std::string_view s);
std::string to_lower(std::string_view s);

// White space as Python's str.split() has it.
bool is_space(char32_t c);

}  // namespace skiff::text
