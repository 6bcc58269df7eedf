#include "engine/run/graph.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "engine/error.hpp"
#include "engine/torch/abi.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

Placement placement_of(const Graph& graph) {
  for (const Graph::Node& node : graph.nodes) {
    if (!node.op->runs_anywhere()) return node.op->placement();
  }
  return graph.nodes.empty() ? Placement{} : graph.nodes.front().op->placement();
}

void check_slot(uint32_t slot, std::size_t filled) {
  if (slot < filled) return;
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
              "A graph uses slot " + std::to_string(slot) + " before it is filled");
}

/// Checks a graph. Returns the last node that uses each slot.
std::vector<std::size_t> last_uses(const Graph& graph) {
  if (graph.nodes.empty() || graph.outputs.empty() || graph.inputs == 0)
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A graph needs an input, a node and an output");
  std::vector<std::size_t> last(graph.inputs, 0);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Graph::Node& node = graph.nodes[i];
    if (node.inputs.empty()) throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A node needs an input");
    for (const uint32_t slot : node.inputs) {
      check_slot(slot, last.size());
      last[slot] = i;
    }
    last.insert(last.end(), node.outputs, i);
  }
  for (const uint32_t slot : graph.outputs) {
    check_slot(slot, last.size());
    last[slot] = graph.nodes.size();
  }
  return last;
}

}  // namespace

Graph Graph::chain(std::vector<std::shared_ptr<const Op>> ops) {
  Graph graph;
  for (uint32_t i = 0; i < ops.size(); ++i) graph.nodes.push_back({std::move(ops[i]), {i}, 1});
  graph.outputs = {static_cast<uint32_t>(graph.nodes.size())};
  return graph;
}

GraphOp::GraphOp(Graph graph)
    : Op(placement_of(graph), {}), graph_(std::move(graph)), last_use_(last_uses(graph_)) {}

bool GraphOp::runs_anywhere() const {
  return std::all_of(graph_.nodes.begin(), graph_.nodes.end(),
                     [](const Graph::Node& node) { return node.op->runs_anywhere(); });
}

Outputs GraphOp::run(Inputs inputs, const CallOptions&) const {
  if (inputs.size() != graph_.inputs) {
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected " + std::to_string(graph_.inputs) +
                                                      " inputs but received " +
                                                      std::to_string(inputs.size()));
  }
  const CallOptions defaults;
  std::vector<Tensor> slots(inputs.begin(), inputs.end());
  slots.reserve(last_use_.size());
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Graph::Node& node = graph_.nodes[i];
    const Device device = device_for(*node.op, slots[node.inputs.front()].device());
    const TorchDeviceGuard guard(device);
    std::vector<Tensor> arguments;
    arguments.reserve(node.inputs.size());
    for (const uint32_t slot : node.inputs) {
      Tensor value = slots[slot];
      if (value.device() != device) value = aten::to_copy(value, value.dtype, device);
      arguments.push_back(std::move(value));
    }
    for (const uint32_t slot : node.inputs) {
      if (last_use_[slot] == i) slots[slot] = Tensor();
    }
    Outputs outputs = node.op->run(arguments, defaults);
    if (outputs.size() < node.outputs)
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A node gave fewer outputs than its graph says");
    std::move(outputs.begin(), outputs.begin() + node.outputs, std::back_inserter(slots));
  }
  Outputs results;
  results.reserve(graph_.outputs.size());
  for (const uint32_t slot : graph_.outputs) results.push_back(slots[slot]);
  return results;
}

std::shared_ptr<const Op> GraphOp::with(Placement, std::vector<Tensor>) const {
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A graph has no parameters of its own");
}

}  // namespace tokenlearner
