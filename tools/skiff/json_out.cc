#include "json_out.h"

#include <cstdio>

#include "fail.h"

namespace skiff::tool {

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const Json& json) { print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"); }

Json parse_json(const std::string& text) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& e) {
    fail("the library returned broken JSON, please report it: ", e.what());
  }
}

double number_or(const Json& j, const char* key, double other) {
  auto it = j.is_object() ? j.find(key) : j.end();
  return it != j.end() && it->is_number() ? it->get<double>() : other;
}

std::string text_or(const Json& j, const char* key, const std::string& other) {
  auto it = j.is_object() ? j.find(key) : j.end();
  return it != j.end() && it->is_string() ? it->get<std::string>() : other;
}

}  // namespace skiff::tool
