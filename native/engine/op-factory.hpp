#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/op.hpp"

namespace tokenlearner {

/// An operator's configuration as it crosses the boundary: the names of lib/native-interface.ts.
class OpConfig {
 public:
  using Value = std::variant<double, bool, std::string>;

  void set(std::string name, Value value) { values_.insert_or_assign(std::move(name), std::move(value)); }
  // Each throws ERR_INVALID_ARG_TYPE where the entry is missing or of another type.
  int64_t integer(const char* name) const { return static_cast<int64_t>(get<double>(name)); }
  double number(const char* name) const { return get<double>(name); }
  bool boolean(const char* name) const { return get<bool>(name); }
  const std::string& string(const char* name) const { return get<std::string>(name); }

 private:
  template <typename T>
  const T& get(const char* name) const;

  std::map<std::string, Value> values_;
};

/// Makes the operator `kind` ("token-learner", "linear", ...). Parameters are copied to `placement`.
std::shared_ptr<const Op> make_op(const std::string& kind, const OpConfig& config, Placement placement,
                                  const std::vector<Tensor>& parameters);

}  // namespace tokenlearner
