// Helpers of the launchers of lists of forwards: the check of a list, the number of threads, the images.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kernels/cpu/fused-kernels.hpp"
#include "kernels/dtype.hpp"
#include "kernels/parallel.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels {

/** Below this number of multiply-adds (about 20 microseconds) a second thread costs more than it saves. */
constexpr std::int64_t kSerialWork = 1 << 20;

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/** A count rounded up to whole cache lines of any type. */
inline std::int64_t round_up(std::int64_t count) { return divide_up(count, 16) * 16; }

/** The threads for a number of multiply-adds. */
inline int threads_for(double work, int max_threads, const Parallel& parallel) {
  return work < static_cast<double>(kSerialWork) ? 1 : std::clamp(max_threads, 1, parallel.threads());
}

/** The status of a list for weights in `compute`: ok if all its forwards are valid and of one dtype. */
template <typename Params, typename Valid>
Status check_list(std::span<const Params> list, DType compute, const Valid& valid) {
  for (const Params& params : list) {
    if (!valid(params) || params.dtype != list.front().dtype) return Status::invalid_argument;
    if (compute_dtype(params.dtype) != compute) return Status::unsupported;
  }
  return Status::ok;
}

/** `images` images of a forward. The first one begins at `x`. */
template <typename Params>
PixelSource pixel_source(const Params& params, const void* x, std::int64_t images) {
  return {x,
          params.height,
          params.width,
          params.x_batch_stride,
          params.x_channel_stride,
          params.x_row_stride,
          params.x_pixel_stride,
          images * params.height * params.width};
}

/** Image `index` of a forward whose elements have `item` bytes. */
template <typename Params>
PixelSource image_source(const Params& params, std::int64_t index, std::int64_t item) {
  return pixel_source(params, static_cast<const char*>(params.x) + index * params.x_batch_stride * item, 1);
}

}  // namespace tokenlearner::kernels
