#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/run/graph.hpp"

namespace tokenlearner {

/// The connections between a container's children. Node i is child i. See Graph for the slots.
struct Wiring {
  uint32_t inputs = 1;
  std::vector<std::vector<uint32_t>> nodes;
  std::vector<uint32_t> outputs;
};

/// A layer as its owner holds it: an operator that can be replaced, or a container of layers. One thread
/// only, but its snapshots may run on any thread.
class Layer {
 public:
  /// `live` is the number of layers that are not disposed.
  Layer(std::shared_ptr<const Op> op, std::shared_ptr<int64_t> live);
  /// Throws ERR_INVALID_ARG_VALUE if the wiring does not fit the children.
  Layer(std::vector<std::shared_ptr<Layer>> children, Wiring wiring, std::shared_ptr<int64_t> live);
  ~Layer();
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// The operator that a forward submitted now will run, even if the layer changes later. It is the same
  /// object until the layer or a child changes. Throws ERR_DISPOSED.
  const std::shared_ptr<const Op>& snapshot();

  /// The operator of a layer that is not a container. Throws ERR_DISPOSED, or ERR_INVALID_ARG_VALUE for a
  /// container.
  const std::shared_ptr<const Op>& op() const;

  /// Replaces the operator. Running requests keep the old one.
  void replace(std::shared_ptr<const Op> op);

  /// Frees the parameters when no run uses them any more. Idempotent.
  void dispose();

 private:
  /// Increases with each change of the layer or of a child.
  uint64_t version() const;
  void check_usable() const;

  std::shared_ptr<int64_t> live_;
  std::shared_ptr<const Op> op_;
  std::vector<std::shared_ptr<Layer>> children_;
  Wiring wiring_;
  uint64_t changes_ = 0;
  /// For a container: the version() for which op_ was made.
  uint64_t made_of_ = 0;
  /// Containers around each other: a leaf has 0.
  int depth_ = 0;
  bool is_container_ = false;
  bool disposed_ = false;
};

}  // namespace tokenlearner
