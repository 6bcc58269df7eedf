// The launchers of the official layers on the host, as host-launch.cpp.
#include "host-faults.hpp"
#include "host-grid.hpp"
#include "kernels/cuda/norm-mlp-launch.hpp"
#include "kernels/cuda/token-fuser-body.hpp"
#include "kernels/cuda/token-fuser-launch.hpp"
#include "kernels/cuda/token-learner-v10-body.hpp"
#include "kernels/cuda/token-learner-v10-launch.hpp"
#include "kernels/cuda/token-learner-v11-body.hpp"
#include "kernels/cuda/with-precision.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

using test::grid;
using test::host_faults;
using test::HostMachine;
using test::launch;

/** Calls `run` with the precision and `resident` as constants, or fails as the test wants. */
template <typename Run>
Status with_faults(Precision precision, bool resident, Run run) {
  ++host_faults.maps_launches;
  if (host_faults.on_maps) host_faults.on_maps();
  if (host_faults.maps_status != Status::ok) return host_faults.maps_status;
  return with_tile(precision, resident, [&](auto chosen, auto in_shared) {
    run(chosen, in_shared);
    return Status::ok;
  });
}

}  // namespace

Status launch_v11_shares(Precision precision, bool resident, const V11Args& args, std::int64_t images,
                         void*) {
  return with_faults(precision, resident, [&](auto chosen, auto in_shared) {
    constexpr Precision kPrecision = decltype(chosen)::value;
    constexpr bool kResident = decltype(in_shared)::value;
    launch(grid(images * args.shares, ceil_div(args.tokens, kV11Tokens)), kNormThreads,
           v11_shared_bytes(kPrecision, kResident, args.rows.channels, min_of(args.tokens, kV11Tokens)),
           [&](HostMachine& machine) { v11_shares_body<kPrecision, kResident>(machine, args); });
  });
}

Status launch_v11_merge(const V11Args& args, std::int64_t images, void*) {
  if (host_faults.map_error != 0.0f && (images == 1 || !host_faults.only_divided)) {
    const std::int64_t each = std::int64_t{args.shares} * args.tokens * args.rows.channels;
    for (std::int64_t image = 0; image < images; ++image) args.share_y[image * each] += host_faults.map_error;
  }
  launch(grid(ceil_div(args.rows.channels, kNormThreads), args.tokens, images), kNormThreads, 0,
         [&](HostMachine& machine) { v11_merge_body(machine, args); });
  return Status::ok;
}

Status launch_v11_maps(const V11Args& args, std::int64_t images, void*) {
  launch(grid(ceil_div<std::int64_t>(args.rows.pixels, kNormThreads), args.tokens, images), kNormThreads, 0,
         [&](HostMachine& machine) { v11_maps_body(machine, args); });
  return Status::ok;
}

Status launch_token_mix(const MixArgs& args, std::int64_t images, void*) {
  launch(grid(images), kNormThreads, mix_shared_bytes(args.tokens),
         [&](HostMachine& machine) { token_mix_body(machine, args); });
  if (host_faults.map_error != 0.0f && (images == 1 || !host_faults.only_divided)) {
    const std::int64_t each = std::int64_t{args.tokens} * args.channels;
    for (std::int64_t image = 0; image < images; ++image) args.mixed[image * each] += host_faults.map_error;
  }
  return Status::ok;
}

Status launch_token_spread(Precision precision, bool resident, const SpreadArgs& args, std::int64_t images,
                           void*) {
  return with_faults(precision, resident, [&](auto chosen, auto in_shared) {
    constexpr Precision kPrecision = decltype(chosen)::value;
    constexpr bool kResident = decltype(in_shared)::value;
    launch(grid(images * args.tiles), kNormThreads,
           spread_shared_bytes(kPrecision, kResident, args.rows.channels, args.tokens),
           [&](HostMachine& machine) { token_spread_body<kPrecision, kResident>(machine, args); });
  });
}

Status launch_taps(Precision precision, bool resident, const TapsArgs& args, std::int64_t images, void*) {
  const Status status = with_faults(precision, resident, [&](auto chosen, auto in_shared) {
    constexpr Precision kPrecision = decltype(chosen)::value;
    constexpr bool kResident = decltype(in_shared)::value;
    launch(grid(images * args.tiles), kNormThreads,
           taps_shared_bytes(kPrecision, kResident, args.rows.channels),
           [&](HostMachine& machine) { taps_body<kPrecision, kResident>(machine, args); });
  });
  if (host_faults.map_error != 0.0f && (images == 1 || !host_faults.only_divided)) {
    const std::int64_t each = args.taps * args.rows.pixels;
    for (std::int64_t image = 0; image < images; ++image)
      args.products[image * each] += host_faults.map_error;
  }
  return status;
}

Status launch_sum_taps(const PlanesArgs& args, std::int64_t images, void*) {
  launch(grid(ceil_div(args.height * args.width, kNormThreads), args.tokens, images), kNormThreads, 0,
         [&](HostMachine& machine) { sum_taps_body(machine, args); });
  return Status::ok;
}

Status launch_convolve(const PlanesArgs& args, std::int64_t images, void*) {
  launch(
      grid(ceil_div(args.height * args.width, kNormThreads), ceil_div(args.tokens, kPlanesPerThread), images),
      kNormThreads, 0, [&](HostMachine& machine) { convolve_body(machine, args); });
  return Status::ok;
}

}  // namespace tokenlearner::kernels::cuda
