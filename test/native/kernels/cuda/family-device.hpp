// Forwards of the official layers on a device: the GPU, or the host machine in its place (host-device.cpp).
#pragma once

#include <memory>
#include <vector>

#include "../cpu/v11-problem.hpp"
#include "device-memory.hpp"
#include "kernels/cuda/norm-mlp-cuda.hpp"

namespace tokenlearner::kernels::cuda::test {

/** A device and a stream of it. */
struct FamilyDevice {
  DeviceProperties properties;
  void* stream = nullptr;
  Fill fill = Fill::guarded;

  DeviceMemory upload(const void* data, std::size_t bytes) const {
    const auto* first = static_cast<const std::uint8_t*>(data);
    return {std::vector<std::uint8_t>(first, first + bytes), fill, stream};
  }
  DeviceMemory room(std::size_t bytes) const { return {bytes, fill, stream}; }
  /** The content, after a check of the guards around it. */
  std::vector<unsigned char> content(const DeviceMemory& memory, std::size_t bytes) const;
};

/** Parameters in device memory, while they are packed. */
class Uploads {
 public:
  Uploads(const FamilyDevice& device, DType dtype) : device_(device), dtype_(dtype) {}
  /** A pointer to `count` numbers of the host becomes one to the device's; null stays null. */
  void upload(const void*& pointer, std::int64_t count);
  void upload(NormMlpView& view);

 private:
  const FamilyDevice& device_;
  DType dtype_;
  std::vector<std::unique_ptr<DeviceMemory>> parts_;
};

/** The parameters of a NormMlpView in device memory, packed. */
class FamilyWeights {
 public:
  FamilyWeights(const FamilyDevice& device, NormMlpView view, Precision precision);
  const CudaNormMlp& packed() const { return packed_; }
  CudaShape shape(std::int64_t batch, std::int64_t pixels) const {
    return {batch, packed_.channels, packed_.hidden, packed_.tokens, pixels};
  }

 private:
  DeviceMemory buffer_;
  CudaNormMlp packed_;
};

/** How a forward runs. */
struct FamilyRun {
  bool resident = true;
  std::int64_t images_per_pass = 0;  // 0: the plan's
  bool with_maps = true;
  bool tokens_first = false;
};

/** Tokens as the kernels write them, and float32 maps. */
::test::RawResult run_v11(const FamilyDevice& device, const ::test::V11Problem& problem, Precision precision,
                          const FamilyRun& how = {});

/** Results in double, tokens as (B, C, G). */
::test::Result decoded(const ::test::V11Problem& problem, Precision precision, const ::test::RawResult& raw);

/** PyTorch's LayerNorm of a row; each operator rounds its result. */
std::vector<float> pytorch_norm(const std::vector<float>& row, const void* weight, const void* bias,
                                DType dtype, Precision precision);

/** PyTorch's LayerNorm and perceptron on a pixel. */
std::vector<float> pytorch_logits(const ::test::V11Problem& problem, Precision precision, std::int64_t b,
                                  std::int64_t p);

/** Checks that our errors are at most twice PyTorch's, or one rounding. */
void check_errors(const ::test::Result& ours, const ::test::Result& pytorch, const ::test::Result& exact,
                  Precision precision);

/** The answer of PyTorch's own arithmetic at this precision. */
::test::Result pytorch_v11(const ::test::V11Problem& problem, Precision precision);

/** Runs a case and checks its errors against twice PyTorch's, and that no plan changes a bit. */
void check_v11(const FamilyDevice& device, const ::test::V11Case& config, Precision precision);

}  // namespace tokenlearner::kernels::cuda::test
