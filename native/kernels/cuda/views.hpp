// A forward's params as the kernels' arguments. Host only.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels::cuda {

/** The kernels compute these types. */
constexpr bool is_supported(DType dtype) { return is_floating(dtype) && dtype != DType::float64; }

inline void* advance(void* base, DType dtype, std::int64_t elements) {
  return static_cast<char*>(base) + elements * static_cast<std::int64_t>(item_size(dtype));
}

inline const void* advance(const void* base, DType dtype, std::int64_t elements) {
  return static_cast<const char*>(base) + elements * static_cast<std::int64_t>(item_size(dtype));
}

inline bool aligned(const void* pointer, std::uintptr_t alignment) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

/** x of a forward, from an image on. `Params` has the fields of x of ForwardParams. */
template <typename Params>
ImageView image_view(const Params& params, std::int64_t first_image, std::int64_t channels) {
  ImageView view;
  view.data = advance(params.x, params.dtype, first_image * params.x_batch_stride);
  view.dtype = params.dtype;
  view.batch_stride = params.x_batch_stride;
  view.channel_stride = params.x_channel_stride;
  view.row_stride = params.x_row_stride;
  view.pixel_stride = params.x_pixel_stride;
  view.width = params.width;
  view.flat = params.height == 1 || params.x_row_stride == params.width * params.x_pixel_stride;
  find_vector_loads(view, channels, params.height * params.width);
  return view;
}

/** The maps of a forward, from an image on. Precondition: it has maps. */
inline AttentionView attention_view(const ForwardParams& params, std::int64_t first_image) {
  return {static_cast<float*>(params.attention) + first_image * params.attention_batch_stride,
          params.attention_batch_stride, params.attention_token_stride};
}

}  // namespace tokenlearner::kernels::cuda
