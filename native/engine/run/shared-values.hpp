#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/memory/tensor.hpp"
#include "engine/run/op.hpp"

namespace tokenlearner {

// Note: [Sharing between environments]
// An environment offers a module or a tensor under a random id, and any environment of the process opens it.
// Operators are immutable and memory is counted, so both sides hold the same ones and nothing is copied. A
// tensor's memory is frozen first: from then on nobody writes into it, and JavaScript sees copies of it only
// (see StorageRegistry::freeze). Memory that V8 owns, or that JavaScript has seen, belongs to one environment.
// It is copied when it is offered.

/// A module or a tensor that any environment may open.
struct SharedValue {
  /// Of a module: the text that lib/modules/share.ts wrote, and the operators that it names by index.
  std::string description;
  std::vector<std::shared_ptr<const Op>> ops;
  /// Of a tensor.
  std::optional<Tensor> tensor;
  /// True if others may hold the tensor's memory, so that nobody may write into it.
  bool frozen = false;
  /// True if the first who opens it takes it away.
  bool once = false;
};

/// The process's shared values by id. Any thread.
class SharedValues {
 public:
  /// It is never destroyed: its values may belong to libtorch or to CUDA, which end before static objects.
  static SharedValues& process();

  /// Returns the value's new id: 128 random bits in hexadecimal digits.
  std::string add(SharedValue value);

  enum class Kind { module, tensor };

  /// The value, which a later remove() does not touch. Throws ERR_SHARED_NOT_FOUND, or ERR_INVALID_ARG_VALUE for a
  /// value of the other kind.
  SharedValue open(const std::string& id, Kind kind);

  /// Removes the value. What was opened stays. False if there is none.
  bool remove(const std::string& id);

  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, SharedValue> values_;
};

}  // namespace tokenlearner
