// launch.hpp on the host: the same bodies, grids and shared memory sizes, on HostMachine. Device memory is
// host memory.
#include <cstring>

#include "host-faults.hpp"
#include "host-grid.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/maps-mma-body.hpp"
#include "kernels/cuda/maps-simt-body.hpp"
#include "kernels/cuda/maps-small-body.hpp"
#include "kernels/cuda/maps-wgmma-body.hpp"
#include "kernels/cuda/pack-body.hpp"
#include "kernels/cuda/tokens-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

using test::grid;
using test::host_faults;
using test::HostMachine;
using test::launch;
using test::run_with_precision;
using test::with_dtype;

void pack_vectors(const PackWeightsArgs& args) {
  const std::int64_t pairs = static_cast<std::int64_t>(args.tokens) * args.hidden_padded / 2;
  launch(grid(ceil_div<std::int64_t>(pairs, kPackThreads)), kPackThreads, 0,
         [&](HostMachine& machine) { pack_vectors_body(machine, args); });
}

template <Precision kPrecision, int kHiddenTile>
void run_wgmma(const MapsArgs& args) {
  using Traits = WgmmaTraits<kPrecision, kHiddenTile>;
  launch(grid(ceil_div<std::int64_t>(args.pixel_count, kWgmmaTilePixels), args.splits, args.tokens),
         Traits::kThreads, Traits::kSharedBytes,
         [&](HostMachine& machine) { maps_wgmma_body<Traits>(machine, args); });
}

}  // namespace

Status launch_pack_pixels(Precision precision, const PackPixelsArgs& args, void*) {
  const bool channels_last = is_channels_last(args.x.channel_stride, args.x.pixel_stride);
  const std::int64_t blocks = round_up<std::int64_t>(ceil_div<std::int64_t>(args.pixel_count, kBlockRows), 2);
  return run_with_precision(precision, [&](auto constant) {
    constexpr Precision kPrecision = decltype(constant)::value;
    launch(grid(blocks, args.chunks), kPackThreads, channels_last ? 0 : kBlockBytes * planes_of(kPrecision),
           [&](HostMachine& machine) {
             if (channels_last) {
               pack_pixels_body<kPrecision, true>(machine, args);
             } else {
               pack_pixels_body<kPrecision, false>(machine, args);
             }
           });
  });
}

Status launch_pack_weights(Precision precision, const PackWeightsArgs& args, void*) {
  ++host_faults.weight_packings;
  pack_vectors(args);
  return launch_pack_rows(precision, args, nullptr);
}

Status launch_pack_rows(Precision precision, const PackWeightsArgs& args, void*) {
  return run_with_precision(precision, [&](auto constant) {
    constexpr Precision kPrecision = decltype(constant)::value;
    launch(grid(args.hidden_padded / kBlockRows, args.chunks, args.tokens), kPackThreads, 0,
           [&](HostMachine& machine) { pack_weights_body<kPrecision>(machine, args); });
  });
}

Status launch_widen(const WidenArgs& args, void*) {
  launch(grid(ceil_div<std::int64_t>(args.rows * args.padded_columns, kPackThreads)), kPackThreads, 0,
         [&](HostMachine& machine) { widen_body(machine, args); });
  return Status::ok;
}

Status launch_pack_simt_weights(const PackWeightsArgs& args, void*) {
  pack_vectors(args);
  const std::int64_t elements = static_cast<std::int64_t>(args.tokens) * args.hidden * kSimtChannels;
  launch(grid(ceil_div<std::int64_t>(elements, kSimtThreads)), kSimtThreads, 0,
         [&](HostMachine& machine) { pack_simt_weights_body(machine, args); });
  return Status::ok;
}

Status launch_maps_mma(Precision precision, const MapsArgs& args, void*) {
  ++host_faults.maps_launches;
  if (host_faults.on_maps) host_faults.on_maps();
  if (host_faults.maps_status != Status::ok) return host_faults.maps_status;
  return run_with_precision(precision, [&](auto constant) {
    using Traits = MmaTraits<decltype(constant)::value>;
    launch(grid(ceil_div<std::int64_t>(args.pixel_count, Traits::kPixels), args.splits, args.tokens),
           Traits::kThreads, Traits::kSharedBytes,
           [&](HostMachine& machine) { maps_mma_body<Traits>(machine, args); });
  });
}

Status launch_maps_wgmma(Precision precision, int hidden_tile, const MapsArgs& args, void*) {
  return run_with_precision(precision, [&](auto constant) {
    constexpr Precision kPrecision = decltype(constant)::value;
    if constexpr (kPrecision != Precision::float32) {
      if (hidden_tile == kWideHiddenTile) return run_wgmma<kPrecision, kWideHiddenTile>(args);
    }
    run_wgmma<kPrecision, kHiddenGranule>(args);
  });
}

Status launch_maps_simt(const SimtArgs& args, int tokens, void*) {
  launch(grid(ceil_div<std::int64_t>(args.pixel_count, kSimtPixels), tokens), kSimtThreads, kSimtSharedBytes,
         [&](HostMachine& machine) { maps_simt_body(machine, args); });
  return Status::ok;
}

Status launch_small(Precision precision, const SmallArgs& args, std::int64_t images, void*) {
  return run_with_precision(precision, [&](auto constant) {
    using Traits = SmallTraits<decltype(constant)::value>;
    launch(grid(images * args.pixel_tiles, args.maps.splits, args.maps.tokens), Traits::kThreads,
           small_shared_bytes(Traits::kPrecision, args.maps.chunks),
           [&](HostMachine& machine) { maps_small_body<Traits>(machine, args); });
  });
}

Status launch_tokens(const TokensArgs& args, std::int64_t images, void*) {
  const bool channels_last = is_channels_last(args.x.channel_stride, args.x.pixel_stride);
  with_dtype(args.x.dtype, [&](auto constant) {
    constexpr DType kDType = decltype(constant)::value;
    launch(grid(ceil_div(args.channels, kTokensChannels), args.segments, images), kTokensThreads,
           kTokensSharedBytes, [&](HostMachine& machine) {
             if (channels_last) {
               tokens_body<kDType, true>(machine, args);
             } else {
               tokens_body<kDType, false>(machine, args);
             }
           });
  });
  if (args.segments > 1) {
    const std::int64_t outputs = static_cast<std::int64_t>(args.channels) * args.tokens;
    launch(grid(ceil_div<std::int64_t>(outputs, kTokensThreads), images), kTokensThreads, 0,
           [&](HostMachine& machine) { add_segments_body(machine, args); });
  }
  if (host_faults.map_error != 0.0f && (args.tiles > 0 || !host_faults.only_divided)) {
    for (std::int64_t image = 0; image < images; ++image)
      args.attention.data[image * args.attention.batch_stride] += host_faults.map_error;
  }
  return Status::ok;
}

Status cuda_clear_counters(void* counters, std::size_t bytes, void*) {
  ++host_faults.counter_clearings;
  std::memset(counters, 0, bytes);
  return Status::ok;
}

}  // namespace tokenlearner::kernels::cuda
