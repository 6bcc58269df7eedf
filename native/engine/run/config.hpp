#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/memory/tensor.hpp"

namespace tokenlearner {

/// Named values from JavaScript: a layer's configuration, or the options of one call. An empty one costs
/// nothing.
class Config {
 public:
  using Value = std::variant<double, bool, std::string, Dims>;

  /// Precondition: there is no value with that name yet.
  void add(std::string name, Value value) { values_.emplace_back(std::move(name), std::move(value)); }

  // Each of these throws ERR_INVALID_ARG_TYPE if the value is missing or has another type.
  int64_t integer(const char* name) const { return static_cast<int64_t>(get<double>(name)); }
  double number(const char* name) const { return get<double>(name); }
  bool boolean(const char* name) const { return get<bool>(name); }
  const std::string& string(const char* name) const { return get<std::string>(name); }
  const Dims& integers(const char* name) const { return get<Dims>(name); }

  /// Returns `otherwise` if there is no such value.
  bool boolean(const char* name, bool otherwise) const { return has(name) ? boolean(name) : otherwise; }

  /// Equal names and values in the same order.
  bool operator==(const Config&) const = default;

  bool has(const char* name) const { return find(name) != nullptr; }

 private:
  const Value* find(const char* name) const;
  template <typename T>
  const T& get(const char* name) const;

  std::vector<std::pair<std::string, Value>> values_;
};

}  // namespace tokenlearner
