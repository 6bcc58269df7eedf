// The images and the plans by which an engine verifies a set of kernels before it uses them, and the
// comparison of the results. Host only: the tests run the same plans on their host machine.
#pragma once

#include <span>
#include <vector>

#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda {

/** Bytes. The device memory that a verification may take, beside the packed weights. */
inline constexpr std::size_t kVerificationBytes = 64'000'000;

/**
 * A part of the layer: some tokens with all their hidden rows, or one token with some of them. The parts of
 * a token have maps and tokens that add up to the whole ones, if only the first part has b2.
 */
struct WeightSlice {
  std::int64_t first_token = 0;
  std::int64_t tokens = 1;
  std::int64_t first_hidden = 0;
  std::int64_t hidden = 1;
};

struct Verification {
  std::int64_t batch = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  /**
   * They must all give the same bits. Together they divide the hidden rows in no, two and many parts, and
   * compute the images in one pass and in several.
   */
  std::vector<Plan> plans;
  /**
   * The documented computation takes one slice and so many rows of the images at a time. Every hidden row is
   * in one slice.
   */
  std::vector<WeightSlice> slices;
  std::int64_t image_rows = 0;
  /** The most device memory at a time, without the packed weights and without cuDNN's own. */
  std::size_t bytes = 0;
};

/**
 * Three images of sizes that no tile divides; with `segmented`, of two segments of pixels. Where they would
 * take more than kVerificationBytes the images have fewer pixels or, with `segmented`, are fewer. Three
 * pixels, or one image with two segments, are the least: a layer so large that even these take more has packed
 * weights that are larger still. `shape`'s batch and pixels do not count.
 */
Verification plan_verification(const CudaShape& shape, Precision precision, Variant variant, bool segmented);

/** The results of one forward: (B, G, P) and (B, C, G). */
struct Answer {
  std::vector<float> maps;
  std::vector<float> tokens;
};

/**
 * The larger one of the relative L2 errors of maps and tokens. Where `exact` is NaN or infinite, `answer` may
 * be either; see cuda_fused_forward. Where only one of them is finite, the error is infinite.
 */
double error_of(const Answer& answer, const Answer& exact);

/** True if a number is NaN or infinite. */
bool has_non_finite(const Answer& answer);

enum class Verdict : std::int8_t {
  agrees,
  /** The results of two plans have other bits. NaN equals NaN. */
  plans_differ,
  /** The error is larger than the bound. */
  exact_differs,
};
/** `answers` are the results of all plans. `exact` has the documented computation's. */
Verdict judge(std::span<const Answer> answers, const Answer& exact, double bound);

/** Half of the digits of the mode's significand: a larger error is no rounding error. */
double verification_bound(Precision precision);

}  // namespace tokenlearner::kernels::cuda
