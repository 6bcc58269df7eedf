// TokenLearner v1.0's maps. The first convolution is a product of each pixel with nine times G rows, one for each tap, since x is read
// once for that and LayerNorm comes before; another kernel adds up the taps of a pixel's neighbours. The three small convolutions
// read planes that are in the caches, one thread for a pixel of a few planes. The sum of x is that of TokenLearner (tokens-body.hpp).
#pragma once

#include "kernels/cuda/exponential.hpp"
#include "kernels/cuda/norm-rows-body.hpp"
#include "kernels/cuda/token-learner-v10-args.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kTaps = 9;
/** Planes that a thread of convolve_body makes. */
inline constexpr int kPlanesPerThread = 4;

constexpr std::size_t taps_shared_bytes(Precision precision, bool resident, std::int64_t channels) {
  const int free = planes_of(precision) == 2 ? NormTraits<Precision::float32>::kFreeOffset
                                             : NormTraits<Precision::tf32>::kFreeOffset;
  return static_cast<std::size_t>(free) + (resident ? tile_bytes(precision, channels) : 0);
}

/** Grid: (images * tiles). */
template <Precision kPrecision, bool kResident, class Machine>
TOKENLEARNER_KERNEL_BODY void taps_body(Machine& machine, const TapsArgs& args) {
  constexpr auto kTile = static_cast<std::uint32_t>(NormTraits<kPrecision>::kFreeOffset);
  auto rows = norm_rows<kPrecision, kResident>(machine, args.rows, machine.block_x() / args.tiles, kTile);
  rows.load(static_cast<std::int64_t>(machine.block_x() % args.tiles) * kNormPixels);
  for (int tile = 0; tile < args.rows.row_tiles; ++tile) {
    rows.product(tile, [](int, float sum) { return sum; });
    if (rows.lane >= rows.count) continue;
    for (int row = rows.warp; row < kNormRows && tile * kNormRows + row < args.taps; row += kNormWarps) {
      const std::int64_t plane = rows.image * args.taps + tile * kNormRows + row;
      args.products[plane * args.rows.pixels + rows.first_pixel + rows.lane] = rows.hidden(rows.lane, row);
    }
  }
}

/** A pixel of an image, and its neighbours. */
struct Neighbours {
  int row, column, height, width;

  /** Where the pixel under a tap is in its plane. -1 outside the image. */
  TOKENLEARNER_PORTABLE std::int64_t at(int tap) const {
    const int y = row + tap / 3 - 1, x = column + tap % 3 - 1;
    const bool inside = y >= 0 && y < height && x >= 0 && x < width;
    return inside ? static_cast<std::int64_t>(y) * width + x : -1;
  }
};

TOKENLEARNER_PORTABLE Neighbours neighbours_of(const PlanesArgs& args, std::int64_t pixel) {
  const auto width = static_cast<std::uint32_t>(args.width), at = static_cast<std::uint32_t>(pixel);
  return {static_cast<int>(at / width), static_cast<int>(at % width), args.height, args.width};
}

template <class Machine>
TOKENLEARNER_KERNEL_BODY void write_plane(Machine& machine, const PlanesArgs& args, int token,
                                          std::int64_t pixel, float sum) {
  args.out.data[machine.block_z() * args.out.batch_stride + token * args.out.token_stride + pixel] =
      args.makes_maps ? sigmoid(sum) : activated(args.activation, sum);
}

/** The first convolution from its products. Grid: (ceil(P / kNormThreads), G, images). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void sum_taps_body(Machine& machine, const PlanesArgs& args) {
  const std::int64_t pixels = static_cast<std::int64_t>(args.height) * args.width;
  const std::int64_t pixel = static_cast<std::int64_t>(machine.block_x()) * kNormThreads + machine.thread();
  if (pixel >= pixels) return;
  const Neighbours neighbours = neighbours_of(args, pixel);
  const int token = machine.block_y();
  float sum = 0.0f;
  TOKENLEARNER_UNROLL
  for (int tap = 0; tap < kTaps; ++tap) {
    const std::int64_t at = neighbours.at(tap);
    const std::int64_t plane =
        (static_cast<std::int64_t>(machine.block_z()) * kTaps + tap) * args.tokens + token;
    if (at >= 0) sum += args.in[plane * pixels + at];
  }
  write_plane(machine, args, token, pixel, sum);
}

/** A convolution of the planes. Grid: (ceil(P / kNormThreads), ceil(G / kPlanesPerThread), images). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void convolve_body(Machine& machine, const PlanesArgs& args) {
  const std::int64_t pixels = static_cast<std::int64_t>(args.height) * args.width;
  const std::int64_t pixel = static_cast<std::int64_t>(machine.block_x()) * kNormThreads + machine.thread();
  if (pixel >= pixels) return;
  const Neighbours neighbours = neighbours_of(args, pixel);
  const int first = machine.block_y() * kPlanesPerThread;
  float sums[kPlanesPerThread] = {};
  for (int token = 0; token < args.tokens; ++token) {
    const float* plane =
        args.in + (machine.block_z() * static_cast<std::int64_t>(args.tokens) + token) * pixels;
    float parts[kPlanesPerThread] = {};
    TOKENLEARNER_UNROLL
    for (int tap = 0; tap < kTaps; ++tap) {
      const std::int64_t at = neighbours.at(tap);
      const float value = at >= 0 ? plane[at] : 0.0f;
      TOKENLEARNER_UNROLL
      for (int i = 0; i < kPlanesPerThread; ++i) {
        const std::int64_t row = min_of(first + i, args.tokens - 1);
        parts[i] = fmaf(args.weights[(row * args.tokens + token) * kTaps + tap], value, parts[i]);
      }
    }
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kPlanesPerThread; ++i) sums[i] += parts[i];
  }
  TOKENLEARNER_UNROLL
  for (int i = 0; i < kPlanesPerThread; ++i) {
    if (first + i < args.tokens) write_plane(machine, args, first + i, pixel, sums[i]);
  }
}

}  // namespace tokenlearner::kernels::cuda
