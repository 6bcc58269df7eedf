#include "engine/run/graph.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include "engine/cuda/stream.hpp"
#include "engine/error.hpp"
#include "engine/run/joined.hpp"
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

GraphOp::GraphOp(Graph graph)
    : Op(placement_of(graph), {}), graph_(std::move(graph)), last_use_(last_uses(graph_)) {
  const bool is_tried = std::any_of(graph_.nodes.begin(), graph_.nodes.end(),
                                    [](const Graph::Node& node) { return node.op->join_trial() != nullptr; });
  if (is_tried) trial_ = std::make_unique<JoinTrial>();
}

bool GraphOp::runs_anywhere() const {
  return std::all_of(graph_.nodes.begin(), graph_.nodes.end(),
                     [](const Graph::Node& node) { return node.op->runs_anywhere(); });
}

bool GraphOp::can_move_to(Device device) const {
  return std::all_of(graph_.nodes.begin(), graph_.nodes.end(),
                     [device](const Graph::Node& node) { return node.op->can_move_to(device); });
}

int GraphOp::lanes() const {
  int most = 1;
  for (const Graph::Node& node : graph_.nodes) most = std::max(most, node.op->lanes());
  return most;
}

namespace {

/// Runs a node. Its failure is that of its device; who runs the graph watches the graph's, `own`.
template <typename F>
auto run_on_node(Device device, Device own, F&& run) -> decltype(run()) {
  return device == own ? run() : guarded_run(device, run);
}

}  // namespace

Outputs GraphOp::run(Inputs inputs, const CallOptions&) const {
  if (inputs.size() != graph_.inputs) {
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected " + std::to_string(graph_.inputs) +
                                                      " inputs but received " +
                                                      std::to_string(inputs.size()));
  }
  const CallOptions defaults;
  const Device own = device_for(*this, inputs.front().device());
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
    Outputs outputs = run_on_node(device, own, [&] { return node.op->run(arguments, defaults); });
    if (outputs.size() < node.outputs)
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A node gave fewer outputs than its graph says");
    std::move(outputs.begin(), outputs.begin() + node.outputs, std::back_inserter(slots));
  }
  Outputs results;
  results.reserve(graph_.outputs.size());
  for (const uint32_t slot : graph_.outputs) results.push_back(slots[slot]);
  return results;
}

std::optional<int64_t> GraphOp::joined_rank(int64_t rank) const {
  if (graph_.inputs != 1 || (trial_ != nullptr && trial_->has_failed())) return std::nullopt;
  std::vector<int64_t> ranks{rank};
  for (const Graph::Node& node : graph_.nodes) {
    const std::optional<int64_t> output = node.op->joined_rank(ranks[node.inputs.front()]);
    if (node.inputs.size() != 1 || !output) return std::nullopt;
    ranks.insert(ranks.end(), node.outputs, *output);
  }
  return ranks[graph_.outputs.front()];
}

bool GraphOp::takes_any_size() const {
  const bool returns_input =
      std::find(graph_.outputs.begin(), graph_.outputs.end(), 0U) != graph_.outputs.end();
  return !returns_input && std::all_of(graph_.nodes.begin(), graph_.nodes.end(), [](const Graph::Node& node) {
    const bool reads_input = std::find(node.inputs.begin(), node.inputs.end(), 0U) != node.inputs.end();
    return !reads_input || node.op->takes_any_size();
  });
}

std::optional<Dims> GraphOp::batch_key(const Dims& shape) const {
  std::optional<Dims> key = Op::batch_key(shape);
  if (key && key->size() >= 2 && takes_any_size()) key->resize(key->size() - 2);
  return key;
}

int64_t GraphOp::most_joined() const {
  int64_t most = std::numeric_limits<int64_t>::max();
  for (const Graph::Node& node : graph_.nodes) most = std::min(most, node.op->most_joined());
  return most;
}

/// A slot's value for each request of a list.
struct GraphOp::ListedValue {
  std::vector<Tensor> each;
  /// All of them in one tensor, if a joined run made them.
  std::optional<Tensor> joined;
};

/// Runs a node for all requests: as a list, or joined. Its values stay joined from node to node.
std::vector<GraphOp::ListedValue> GraphOp::run_node(const Graph::Node& node, Device device,
                                                    std::vector<ListedValue>& slots) const {
  ListedValue& input = slots[node.inputs.front()];
  const TorchDeviceGuard guard(device);
  const CallOptions defaults;
  std::vector<ListedValue> values(node.outputs);
  const auto check = [&](const Outputs& outputs) {
    if (outputs.size() < node.outputs)
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A node gave fewer outputs than its graph says");
  };
  if (node.op->takes_any_size()) {
    std::vector<ListedRequest> list;
    for (const Tensor& tensor : input.each) list.push_back({{&tensor, 1}, &defaults});
    for (Outputs& outputs : node.op->run_list(list)) {
      check(outputs);
      for (std::size_t i = 0; i < values.size(); ++i) values[i].each.push_back(std::move(outputs[i]));
    }
    return values;
  }
  const Tensor joined = input.joined ? moved(*input.joined, device) : join(input.each, device);
  const std::vector<int64_t> sizes = leading_sizes(input.each);
  Outputs outputs = node.op->run({&joined, 1}, defaults);
  check(outputs);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i].each = split(outputs[i], sizes);
    values[i].joined = std::move(outputs[i]);
  }
  return values;
}

std::vector<Outputs> GraphOp::run_list(RequestList list) const {
  std::vector<ListedValue> slots(1);
  slots.reserve(last_use_.size());
  for (const ListedRequest& request : list) slots[0].each.push_back(only(request.inputs));
  const Device own = device_for(*this, slots[0].each.front().device());
  std::vector<Device> others;
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Graph::Node& node = graph_.nodes[i];
    const Device device = device_for(*node.op, slots[node.inputs.front()].each.front().device());
    if (device != own && std::find(others.begin(), others.end(), device) == others.end())
      others.push_back(device);
    std::vector<ListedValue> values = run_on_node(device, own, [&] { return run_node(node, device, slots); });
    for (const uint32_t slot : node.inputs) {
      if (last_use_[slot] == i) slots[slot] = {};
    }
    std::move(values.begin(), values.end(), std::back_inserter(slots));
  }
  // Copies to them may still read memory of the host.
  for (const Device device : others) guarded_run(device, [&] { synchronize(device); });
  std::vector<Outputs> results(list.size());
  for (const uint32_t slot : graph_.outputs) {
    for (std::size_t i = 0; i < results.size(); ++i) results[i].push_back(slots[slot].each[i]);
  }
  return results;
}

std::shared_ptr<const Op> GraphOp::with(Placement, std::vector<Tensor>) const {
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A graph has no parameters of its own");
}

std::shared_ptr<const Op> relocated(const std::shared_ptr<const Op>& op, Device device) {
  if (const auto* graph_op = dynamic_cast<const GraphOp*>(op.get()); graph_op != nullptr) {
    Graph graph = graph_op->graph_;
    for (Graph::Node& node : graph.nodes) node.op = relocated(node.op, device);
    return std::make_shared<GraphOp>(std::move(graph));
  }
  if (op->runs_anywhere() || op->placement().device == device) return op;
  const Placement placement{op->placement().dtype, device};
  return op->with(placement, place(op->parameters(), placement));
}

}  // namespace tokenlearner
