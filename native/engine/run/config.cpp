#include "engine/run/config.hpp"

#include "engine/error.hpp"

namespace tokenlearner {

const Config::Value* Config::find(const char* name) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return &value;
  }
  return nullptr;
}

template <typename T>
const T& Config::get(const char* name) const {
  const Value* const value = find(name);
  if (value == nullptr || !std::holds_alternative<T>(*value))
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, std::string("The configuration lacks `") + name + "`");
  return std::get<T>(*value);
}

template const double& Config::get<double>(const char*) const;
template const bool& Config::get<bool>(const char*) const;
template const std::string& Config::get<std::string>(const char*) const;
template const Dims& Config::get<Dims>(const char*) const;

}  // namespace tokenlearner
