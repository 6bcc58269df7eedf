// Launchers of pack-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/maps-simt-body.hpp"
#include "kernels/cuda/pack-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

template <Precision kPrecision, bool kChannelsLast>
__global__ void __launch_bounds__(kPackThreads) pack_pixels(PackPixelsArgs args) {
  DeviceMachine machine;
  pack_pixels_body<kPrecision, kChannelsLast>(machine, args);
}

template <Precision kPrecision>
__global__ void __launch_bounds__(kPackThreads) pack_weights(PackWeightsArgs args) {
  DeviceMachine machine;
  pack_weights_body<kPrecision>(machine, args);
}

__global__ void __launch_bounds__(kPackThreads) pack_vectors(PackWeightsArgs args) {
  DeviceMachine machine;
  pack_vectors_body(machine, args);
}

__global__ void __launch_bounds__(kPackThreads) widen(WidenArgs args) {
  DeviceMachine machine;
  widen_body(machine, args);
}

__global__ void __launch_bounds__(kSimtThreads) pack_simt_weights(PackWeightsArgs args) {
  DeviceMachine machine;
  pack_simt_weights_body(machine, args);
}

template <Precision kPrecision>
Status launch_pixels(const PackPixelsArgs& args, void* stream) {
  // Round up to tiles of 128 pixels: the widest tile that any kernel reads.
  const std::int64_t blocks = round_up<std::int64_t>(ceil_div<std::int64_t>(args.pixel_count, kBlockRows), 2);
  const bool channels_last = is_channels_last(args.x.channel_stride, args.x.pixel_stride);
  const std::size_t shared = channels_last ? 0 : kBlockBytes * planes_of(kPrecision);
  return launch_kernel(channels_last ? pack_pixels<kPrecision, true> : pack_pixels<kPrecision, false>, blocks,
                       args.chunks, 1, kPackThreads, shared, args, stream);
}

template <Precision kPrecision>
Status launch_weights(const PackWeightsArgs& args, void* stream) {
  return launch_kernel(pack_weights<kPrecision>, args.hidden_padded / kBlockRows, args.chunks, args.tokens,
                       kPackThreads, 0, args, stream);
}

Status launch_vectors(const PackWeightsArgs& args, void* stream) {
  const std::int64_t pairs = static_cast<std::int64_t>(args.tokens) * args.hidden_padded / 2;
  return launch_kernel(pack_vectors, ceil_div<std::int64_t>(pairs, kPackThreads), 1, 1, kPackThreads, 0, args,
                       stream);
}

}  // namespace

Status launch_pack_pixels(Precision precision, const PackPixelsArgs& args, void* stream) {
  switch (precision) {
    case Precision::float32:
      return launch_pixels<Precision::float32>(args, stream);
    case Precision::tf32:
      return launch_pixels<Precision::tf32>(args, stream);
    case Precision::bfloat16:
      return launch_pixels<Precision::bfloat16>(args, stream);
    case Precision::float16:
      return launch_pixels<Precision::float16>(args, stream);
  }
  return Status::invalid_argument;
}

Status launch_pack_weights(Precision precision, const PackWeightsArgs& args, void* stream) {
  const Status vectors = launch_vectors(args, stream);
  return vectors == Status::ok ? launch_pack_rows(precision, args, stream) : vectors;
}

Status launch_pack_rows(Precision precision, const PackWeightsArgs& args, void* stream) {
  switch (precision) {
    case Precision::float32:
      return launch_weights<Precision::float32>(args, stream);
    case Precision::tf32:
      return launch_weights<Precision::tf32>(args, stream);
    case Precision::bfloat16:
      return launch_weights<Precision::bfloat16>(args, stream);
    case Precision::float16:
      return launch_weights<Precision::float16>(args, stream);
  }
  return Status::invalid_argument;
}

Status launch_widen(const WidenArgs& args, void* stream) {
  return launch_kernel(widen, ceil_div<std::int64_t>(args.rows * args.padded_columns, kPackThreads), 1, 1,
                       kPackThreads, 0, args, stream);
}

Status launch_pack_simt_weights(const PackWeightsArgs& args, void* stream) {
  const Status vectors = launch_vectors(args, stream);
  if (vectors != Status::ok) return vectors;
  const std::int64_t elements = static_cast<std::int64_t>(args.tokens) * args.hidden * kSimtChannels;
  return launch_kernel(pack_simt_weights, ceil_div<std::int64_t>(elements, kSimtThreads), 1, 1, kSimtThreads,
                       0, args, stream);
}

Status cuda_clear_counters(void* counters, std::size_t bytes, void* stream) {
  return status_of(cudaMemsetAsync(counters, 0, bytes, static_cast<cudaStream_t>(stream)));
}

}  // namespace tokenlearner::kernels::cuda
