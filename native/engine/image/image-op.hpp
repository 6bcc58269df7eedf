#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/run/op.hpp"
#include "kernels/cpu/image.hpp"

namespace tokenlearner {

/// The size that one picture is resized to, and the corner of the part that becomes the tensor.
struct ImageGeometry {
  int64_t resized_height = 0;
  int64_t resized_width = 0;
  int64_t top = 0;
  int64_t left = 0;
};

struct ImageSettings {
  /// The tensor's dtype, and the size of its pictures.
  DType dtype = DType::float32;
  int64_t height = 0;
  int64_t width = 0;
  bool channels_last = false;
  kernels::Interpolation interpolation = kernels::Interpolation::bilinear;
  /// The mean of each colour, then the standard deviation of each. Empty for no normalisation.
  std::vector<float> normalization;
  /// One for each input.
  std::vector<ImageGeometry> geometries;
};

/// Turns pictures, uint8 tensors of shape (height, width, channels), into one tensor with a leading dimension
/// for the pictures. It runs on the CPU, without libtorch.
class ImageOp final : public ConfiguredOp<ImageOp, ImageSettings> {
 public:
  using ConfiguredOp::ConfiguredOp;
  explicit ImageOp(ImageSettings settings);

  Outputs run(Inputs pictures, const CallOptions& options) const override;
  std::vector<std::size_t> result_bytes(std::span<const Dims> shapes,
                                        const CallOptions& options) const override;
  bool runs_inline(Inputs pictures) const override;

 private:
  Dims output_shape(int64_t pictures, int64_t colors) const;

  // Asked for on JavaScript's thread, which may change the environment.
  kernels::Isa isa_ = kernels::chosen_isa();
};

/// Writes one contiguous picture's bytes, (height, width, colours), from a tensor of shape
/// (colours, height, width) in host memory. Throws ERR_OUT_OF_RANGE if an element is NaN.
void write_image(const Tensor& tensor, const std::vector<float>& normalization, const Storage& bytes);

}  // namespace tokenlearner
