// norm-mlp-launch.hpp and token-fuser-launch.hpp on the host, as host-launch.cpp.
#include "host-faults.hpp"
#include "host-grid.hpp"
#include "kernels/cuda/norm-mlp-launch.hpp"
#include "kernels/cuda/token-fuser-body.hpp"
#include "kernels/cuda/token-fuser-launch.hpp"
#include "kernels/cuda/token-learner-v11-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

using test::grid;
using test::host_faults;
using test::HostMachine;
using test::launch;
using test::with_precision;

/** Calls `run` with the precision and `resident` as constants. */
template <typename Run>
Status with_tile(Precision precision, bool resident, Run run) {
  ++host_faults.maps_launches;
  if (host_faults.on_maps) host_faults.on_maps();
  if (host_faults.maps_status != Status::ok) return host_faults.maps_status;
  return with_precision(precision, [&](auto constant) {
    if (resident) {
      run(constant, std::true_type());
    } else {
      run(constant, std::false_type());
    }
  });
}

}  // namespace

Status launch_v11_shares(Precision precision, bool resident, const V11Args& args, std::int64_t images,
                         void*) {
  return with_tile(precision, resident, [&](auto chosen, auto in_shared) {
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
  return with_tile(precision, resident, [&](auto chosen, auto in_shared) {
    constexpr Precision kPrecision = decltype(chosen)::value;
    constexpr bool kResident = decltype(in_shared)::value;
    launch(grid(images * args.tiles), kNormThreads,
           spread_shared_bytes(kPrecision, kResident, args.rows.channels, args.tokens),
           [&](HostMachine& machine) { token_spread_body<kPrecision, kResident>(machine, args); });
  });
}

}  // namespace tokenlearner::kernels::cuda
