// Reads JSON text into a tree (RFC 8259).
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace skiff {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;  // in the order written
  // Errors: kInvalidArgument naming `what` and the position; nesting is limited to 64 levels.
  static Json parse(std::string_view text, std::string_view what);

  bool is_null() const { return std::holds_alternative<std::monostate>(v_); }
  const bool* boolean() const { return std::get_if<bool>(&v_); }
  const double* number() const { return std::get_if<double>(&v_); }
  const std::string* string() const { return std::get_if<std::string>(&v_); }
  const Array* array() const { return std::get_if<Array>(&v_); }
  const Object* object() const { return std::get_if<Object>(&v_); }
  // Member of an object; null when absent or no object.
  const Json* find(std::string_view key) const;

 private:
  friend class JsonParser;
  std::variant<std::monostate, bool, double, std::string, Array, Object> v_;
};

}  // namespace skiff
