#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/memory/generator.hpp"
#include "engine/run/op.hpp"

namespace tokenlearner {

/// Random numbers of any floating dtype as a contiguous tensor. It has no inputs. 16-bit numbers are drawn in float32.
class RandomOp final : public Op {
 public:
  enum class Method { uniform, normal };

  struct Settings {
    Method method = Method::normal;
    Dims shape;

    int64_t numel() const;
    std::size_t byte_length(DType dtype) const {
      return static_cast<std::size_t>(numel()) * item_size(dtype);
    }
  };

  /// `generator` is copied: each run draws the same numbers.
  RandomOp(Generator generator, Settings settings, Placement target)
      : Op(target, {}), generator_(std::move(generator)), settings_(std::move(settings)) {}

  Outputs run(Inputs, const CallOptions& options) const override;
  bool runs_anywhere() const override { return false; }
  bool places_outputs() const override { return true; }
  std::shared_ptr<const Op> with(Placement, std::vector<Tensor>) const override;

  /// Moves `generator` on as a run does its copy.
  static void skip(Generator& generator, const Settings& settings, DType dtype);

 private:
  Generator generator_;
  Settings settings_;
};

}  // namespace tokenlearner
