#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/run/join-trial.hpp"
#include "engine/run/op.hpp"

namespace tokenlearner {

/// Operators connected to each other, run as one. Values are in slots: the graph's inputs are slots 0 to n -
/// 1, and each node's outputs take the next slots, in order.
struct Graph {
  struct Node {
    std::shared_ptr<const Op> op;
    /// Slots of the graph's inputs or of earlier nodes.
    std::vector<uint32_t> inputs;
    uint32_t outputs = 1;
  };

  uint32_t inputs = 1;
  std::vector<Node> nodes;
  /// The slots that the graph returns.
  std::vector<uint32_t> outputs;
};

/// Each node moves its inputs to its own device if they are on another one. A value is dropped after its last
/// use. The placement is that of the first node with parameters. The options of a call are for a layer that
/// is called directly, so the nodes run with their defaults.
class GraphOp final : public Op {
 public:
  /// Throws ERR_INVALID_ARG_VALUE if a slot is used before it is filled, or if there is no node or no output.
  explicit GraphOp(Graph graph);
  Outputs run(Inputs inputs, const CallOptions& options) const override;
  bool runs_anywhere() const override;
  bool can_move_to(Device device) const override;
  int lanes() const override;
  std::optional<int64_t> joined_rank(int64_t rank) const override;
  bool takes_any_size() const override;
  std::optional<Dims> batch_key(const Dims& shape) const override;
  int64_t most_joined() const override;
  JoinTrial* join_trial() const override { return trial_.get(); }
  std::vector<Outputs> run_list(RequestList list) const override;
  std::shared_ptr<const Op> with(Placement placement, std::vector<Tensor> parameters) const override;

 private:
  struct ListedValue;
  std::vector<ListedValue> run_node(const Graph::Node& node, Device device,
                                    std::vector<ListedValue>& slots) const;
  friend std::shared_ptr<const Op> relocated(const std::shared_ptr<const Op>& op, Device device);

  Graph graph_;
  /// For each slot, the last node that uses it. For the graph's outputs, the number of nodes.
  std::vector<std::size_t> last_use_;
  /// Null if no node has one.
  std::unique_ptr<JoinTrial> trial_;
};

/// The same operator on another device, with copies of its parameters there. `op` itself if it runs there as it
/// is. Throws ERR_OUT_OF_MEMORY.
std::shared_ptr<const Op> relocated(const std::shared_ptr<const Op>& op, Device device);

}  // namespace tokenlearner
