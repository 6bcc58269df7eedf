#include "engine/run/layer.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/error.hpp"

namespace tokenlearner {

namespace {
constexpr int kDeepest = 256;
}

Layer::Layer(std::shared_ptr<const Op> op, std::shared_ptr<int64_t> live)
    : live_(std::move(live)), op_(std::move(op)) {
  ++*live_;
}

Layer::Layer(std::vector<std::shared_ptr<Layer>> children, Wiring wiring, std::shared_ptr<int64_t> live)
    : live_(std::move(live)),
      children_(std::move(children)),
      wiring_(std::move(wiring)),
      is_container_(true) {
  // Deeper ones are mistakes, and recursion over them would overflow a thread's stack.
  for (const std::shared_ptr<Layer>& child : children_) depth_ = std::max(depth_, child->depth_ + 1);
  if (depth_ > kDeepest)
    throw Error(ErrorCode::ERR_OUT_OF_RANGE,
                "Expected containers at most " + std::to_string(kDeepest) + " deep");
  ++*live_;
  try {
    if (wiring_.nodes.size() != children_.size())
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected inputs for each layer of a container");
    static_cast<void>(snapshot());
  } catch (...) {
    --*live_;
    throw;
  }
}

Layer::~Layer() {
  if (!disposed_) --*live_;
}

void Layer::check_usable() const {
  if (disposed_) throw Error(ErrorCode::ERR_DISPOSED, "The module was disposed");
}

uint64_t Layer::version() const {
  uint64_t sum = changes_;
  for (const std::shared_ptr<Layer>& child : children_) sum += child->version();
  return sum;
}

const std::shared_ptr<const Op>& Layer::snapshot() {
  check_usable();
  if (!is_container_) return op_;
  const uint64_t now = version();
  if (op_ != nullptr && now == made_of_) return op_;
  Graph graph;
  graph.inputs = wiring_.inputs;
  graph.outputs = wiring_.outputs;
  for (std::size_t i = 0; i < children_.size(); ++i)
    graph.nodes.push_back({children_[i]->snapshot(), wiring_.nodes[i], 1});
  op_ = std::make_shared<GraphOp>(std::move(graph));
  made_of_ = now;
  return op_;
}

const std::shared_ptr<const Op>& Layer::op() const {
  check_usable();
  if (is_container_)
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A container has no parameters of its own");
  return op_;
}

void Layer::replace(std::shared_ptr<const Op> op) {
  op_ = std::move(op);
  ++changes_;
}

void Layer::dispose() {
  if (disposed_) return;
  disposed_ = true;
  --*live_;
  // A container of this layer must not use its cached operator any more.
  ++changes_;
  op_.reset();
  children_.clear();
}

}  // namespace tokenlearner
