#include "engine/run/shared-values.hpp"

#include <iomanip>
#include <random>
#include <sstream>
#include <utility>

#include "engine/error.hpp"

namespace tokenlearner {

namespace {

std::string random_id() {
  std::random_device random;
  std::ostringstream id;
  id << std::hex << std::setfill('0');
  for (int i = 0; i < 4; ++i) id << std::setw(8) << random();
  return id.str();
}

}  // namespace

SharedValues& SharedValues::process() {
  static SharedValues* const values = new SharedValues();
  return *values;
}

std::string SharedValues::add(SharedValue value) {
  std::string id = random_id();
  const std::lock_guard lock(mutex_);
  values_.insert_or_assign(id, std::move(value));
  return id;
}

SharedValue SharedValues::open(const std::string& id, Kind kind) {
  const std::lock_guard lock(mutex_);
  const auto found = values_.find(id);
  if (found == values_.end()) {
    throw Error(
        ErrorCode::ERR_SHARED_NOT_FOUND,
        "This process shares nothing under that token: it was disposed, or was opened after move(), or "
        "the thread that shared it has ended, or the token is of another process");
  }
  if (found->second.tensor.has_value() != (kind == Kind::tensor))
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "The token does not say what it is the token of");
  if (!found->second.once) return found->second;
  return std::move(values_.extract(found).mapped());
}

bool SharedValues::remove(const std::string& id) {
  // Its memory is freed after the lock is.
  std::map<std::string, SharedValue>::node_type removed;
  const std::lock_guard lock(mutex_);
  removed = values_.extract(id);
  return !removed.empty();
}

std::size_t SharedValues::size() const {
  const std::lock_guard lock(mutex_);
  return values_.size();
}

}  // namespace tokenlearner
