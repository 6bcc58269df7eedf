#include "engine/image/image-op.hpp"

#include <algorithm>
#include <utility>

#include "engine/error.hpp"
#include "kernels/cpu/compute-pool.hpp"

namespace tokenlearner {

namespace {

using kernels::Normalization;
using kernels::Status;

/// The most elements of an inline run: about ten microseconds. See Note [Inline runs] in run/executor.hpp.
constexpr int64_t kInlineElements = 1 << 14;

[[noreturn]] void refuse(const char* message) { throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, message); }

/// Precondition: `values` is empty or has two values for each colour.
Normalization view(const std::vector<float>& values) {
  if (values.empty()) return {};
  return {values.data(), values.data() + values.size() / 2};
}

kernels::Picture view(const Tensor& picture) {
  if (picture.dtype != DType::uint8 || picture.dim() != 3 || !picture.is_contiguous() ||
      !picture.device().is_cpu() || picture.shape[2] < 1 || picture.shape[2] > 4)
    refuse("Expected contiguous uint8 pictures on the CPU with 1 to 4 channels");
  return {reinterpret_cast<const uint8_t*>(picture.data()), picture.shape[0], picture.shape[1],
          static_cast<int>(picture.shape[2])};
}

void check_normalization(const std::vector<float>& values, int64_t colors) {
  if (!values.empty() && static_cast<int64_t>(values.size()) != 2 * colors)
    refuse("Expected a mean and a standard deviation for each colour");
}

int64_t colors_of(int64_t channels) { return channels < 3 ? 1 : 3; }

}  // namespace

ImageOp::ImageOp(ImageSettings settings) : ConfiguredOp(std::move(settings), {}, {}) {}

Dims ImageOp::output_shape(int64_t pictures, int64_t colors) const {
  const auto& [dtype, height, width, channels_last, interpolation, normalization, geometries] = settings();
  return channels_last ? Dims{pictures, height, width, colors} : Dims{pictures, colors, height, width};
}

std::vector<std::size_t> ImageOp::result_bytes(std::span<const Dims> shapes, const CallOptions&) const {
  if (shapes.empty() || shapes.front().size() != 3) return {};
  std::size_t bytes = item_size(settings().dtype);
  for (const int64_t size : output_shape(static_cast<int64_t>(shapes.size()), colors_of(shapes.front()[2])))
    bytes *= static_cast<std::size_t>(size);
  return {bytes};
}

bool ImageOp::runs_inline(Inputs pictures) const {
  int64_t elements = 0;
  for (std::size_t i = 0; i < pictures.size() && i < settings().geometries.size(); ++i) {
    const ImageGeometry& geometry = settings().geometries[i];
    if (pictures[i].dim() != 3 || geometry.resized_height != pictures[i].shape[0] ||
        geometry.resized_width != pictures[i].shape[1])
      return false;
    elements += settings().height * settings().width * colors_of(pictures[i].shape[2]);
  }
  return elements <= kInlineElements;
}

Outputs ImageOp::run(Inputs pictures, const CallOptions& options) const {
  const ImageSettings& set = settings();
  if (pictures.empty() || pictures.size() != set.geometries.size())
    refuse("Expected the size of each picture");
  const int64_t colors = view(pictures.front()).colors();
  check_normalization(set.normalization, colors);
  const auto count = static_cast<int64_t>(pictures.size());
  Tensor result = options.result(0, output_shape(count, colors), set.dtype);
  const std::size_t image_bytes =
      static_cast<std::size_t>(set.height * set.width * colors) * item_size(set.dtype);
  std::vector<kernels::ImageToTensorParams> tasks;
  tasks.reserve(pictures.size());
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const kernels::Picture picture = view(pictures[i]);
    if (picture.colors() != colors) refuse("Expected pictures of equal colours");
    const ImageGeometry& geometry = set.geometries[i];
    tasks.push_back({.picture = picture,
                     .resized_height = geometry.resized_height,
                     .resized_width = geometry.resized_width,
                     .interpolation = set.interpolation,
                     .window = {geometry.top, geometry.left, set.height, set.width},
                     .normalization = view(set.normalization),
                     .dtype = set.dtype,
                     .channels_last = set.channels_last,
                     .isa = isa_,
                     .out = result.data() + i * image_bytes});
  }
  std::vector<Status> statuses(tasks.size());
  const auto task = [&](int64_t i) {
    statuses[static_cast<std::size_t>(i)] = kernels::image_to_tensor(tasks[static_cast<std::size_t>(i)]);
  };
  kernels::Parallel& pool = kernels::pool_for(options.runs_inline);
  pool.run(count, pool.threads(), task);
  for (const Status status : statuses) {
    if (status == Status::out_of_memory)
      throw Error(ErrorCode::ERR_OUT_OF_MEMORY, "Could not allocate the memory of a resize");
    if (status != Status::ok) refuse("Expected a part that lies inside the resized picture");
  }
  return {std::move(result)};
}

void write_image(const Tensor& tensor, const std::vector<float>& normalization, const Storage& bytes) {
  if (tensor.dim() != 3 || !tensor.device().is_cpu() || !is_floating(tensor.dtype))
    refuse("Expected a floating tensor of shape (colours, height, width) on the CPU");
  if (bytes.bytes() != static_cast<std::size_t>(tensor.numel()))
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "Expected one byte for each element");
  check_normalization(normalization, tensor.shape[0]);
  const Status status =
      kernels::tensor_to_image({.x = tensor.data(),
                                .dtype = tensor.dtype,
                                .colors = static_cast<int>(std::min<int64_t>(tensor.shape[0], 4)),
                                .height = tensor.shape[1],
                                .width = tensor.shape[2],
                                .color_stride = tensor.strides[0],
                                .row_stride = tensor.strides[1],
                                .pixel_stride = tensor.strides[2],
                                .normalization = view(normalization),
                                .pixels = reinterpret_cast<uint8_t*>(bytes.data())});
  if (status == Status::unsupported)
    throw Error(ErrorCode::ERR_OUT_OF_RANGE, "The tensor has a NaN, for which there is no pixel");
  if (status != Status::ok) refuse("Expected 1 or 3 colours, and at least one pixel");
}

}  // namespace tokenlearner
