#include "kernels/cuda/verification.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cuda/plan.hpp"
#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

constexpr std::int64_t kImages = 3;
/** 299 pixels: no tile divides them. */
constexpr std::int64_t kHeight = 13, kWidth = 23;
/** 1056 pixels: two segments. */
constexpr std::int64_t kLongHeight = 33, kLongWidth = 32;
/** A plan divides the hidden rows in at most so many parts. */
constexpr std::int64_t kMostSplits = 256;
/** A slice has at least so many hidden rows, if there are so many. */
constexpr std::int64_t kLeastHidden = 64;
constexpr std::size_t kFloat = sizeof(float);

/** A part of the documented computation. */
struct Part {
  std::int64_t tokens, hidden, pixels;
};

std::size_t product(std::int64_t a, std::int64_t b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

Plan plan_of(const CudaShape& shape, const Plan& base, std::int64_t splits, std::int64_t images) {
  Plan plan = base;
  plan.splits = static_cast<int>(splits);
  set_images_per_pass(plan, shape, images);
  return plan;
}

std::vector<Plan> plans_of(const CudaShape& shape, Precision precision, Variant variant) {
  // Without multiprocessors to fill, nothing is split.
  const Plan base = plan_forward(shape, precision, variant, {});
  std::vector<std::int64_t> splits{1};
  if (variant != Variant::simt) {
    const std::int64_t tiles = tile_count(base, shape.hidden);
    for (const std::int64_t wanted : {std::int64_t{2}, std::min(tiles, kMostSplits)}) {
      const std::int64_t equal = ceil_div(tiles, ceil_div(tiles, std::min(tiles, wanted)));
      if (equal > splits.back()) splits.push_back(equal);
    }
  }
  std::vector<Plan> plans;
  for (const std::int64_t parts : splits) {
    plans.push_back(plan_of(shape, base, parts, shape.batch));
    // The last pass has fewer images than the first.
    if (shape.batch > 1) plans.push_back(plan_of(shape, base, parts, shape.batch - 1));
  }
  return plans;
}

/** x, and the results and the workspace of one forward. */
std::size_t forward_bytes(const CudaShape& shape, Precision precision, const std::vector<Plan>& plans) {
  std::size_t workspace = 0;
  for (const Plan& plan : plans) workspace = std::max(workspace, plan.workspace_bytes + plan.counter_bytes);
  const auto element = static_cast<std::size_t>(element_bytes(precision));
  return workspace + product(shape.batch * shape.pixels, shape.channels) * element +
         product(shape.batch * shape.pixels, shape.tokens) * kFloat +
         product(shape.batch * shape.channels, shape.tokens) * element;
}

/**
 * x, and the documented computation of a slice on some of the pixels, in float32: its weights; x and its
 * repetition; the hidden layer before and after GELU; x times the maps.
 */
std::size_t slice_bytes(const CudaShape& shape, Precision precision, const Part& part) {
  const std::int64_t pixels = part.pixels;
  const std::size_t each = product(part.hidden, shape.channels + 2) + 1 +
                           2 * product(pixels, shape.channels) + 2 * product(pixels, part.hidden) +
                           product(2, pixels);
  const std::size_t x = product(shape.batch * shape.pixels, shape.channels) *
                        static_cast<std::size_t>(element_bytes(precision));
  return x +
         (product(pixels, shape.channels) + product(part.tokens, static_cast<std::int64_t>(each))) * kFloat;
}

/** The largest count in [least, most] that fits, or `least` if none does. */
template <typename Bytes>
std::int64_t most_that_fits(std::int64_t least, std::int64_t most, Bytes bytes) {
  std::int64_t fits = least, fails = most + 1;
  while (fails - fits > 1) {
    const std::int64_t middle = fits + (fails - fits) / 2;
    (bytes(middle) <= kVerificationBytes ? fits : fails) = middle;
  }
  return fits;
}

std::vector<WeightSlice> slices_of(const CudaShape& shape, std::int64_t tokens, std::int64_t hidden) {
  std::vector<WeightSlice> slices;
  for (std::int64_t token = 0; token < shape.tokens; token += tokens) {
    for (std::int64_t row = 0; row < shape.hidden; row += hidden) {
      slices.push_back(
          {token, std::min(tokens, shape.tokens - token), row, std::min(hidden, shape.hidden - row)});
    }
  }
  return slices;
}

/** First as many image rows as fit, then as many hidden rows of a token, then as many tokens. */
void choose_slices(const CudaShape& shape, Precision precision, Verification& result) {
  Part part{1, std::min(kLeastHidden, shape.hidden), 0};
  const auto fit = [&](std::int64_t& count, std::int64_t least, std::int64_t most, std::int64_t each) {
    const std::int64_t chosen = most_that_fits(least, most, [&](std::int64_t wanted) {
      count = wanted * each;
      return slice_bytes(shape, precision, part);
    });
    count = chosen * each;
    return chosen;
  };
  result.image_rows = fit(part.pixels, 1, result.height, result.batch * result.width);
  fit(part.hidden, part.hidden, shape.hidden, 1);
  if (part.hidden == shape.hidden) fit(part.tokens, 1, shape.tokens, 1);
  result.slices = slices_of(shape, part.tokens, part.hidden);
  result.bytes = std::max(result.bytes, slice_bytes(shape, precision, part));
}

/** Makes the images smaller by one step. False if they are the smallest already. */
bool reduce(Verification& images, bool segmented) {
  if (segmented) return images.batch > 1 && --images.batch > 0;
  std::int64_t& longer = images.height > images.width ? images.height : images.width;
  if (longer == 1) return false;
  longer = (longer + 1) / 2;
  return true;
}

double relative_error(const std::vector<float>& got, const std::vector<float>& exact) {
  double difference = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (std::isfinite(got[i]) != std::isfinite(exact[i])) return std::numeric_limits<double>::infinity();
    if (!std::isfinite(exact[i])) continue;
    const double distance = static_cast<double>(got[i]) - exact[i];
    difference += distance * distance;
    norm += static_cast<double>(exact[i]) * exact[i];
  }
  return std::sqrt(difference / std::max(norm, 1e-300));
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return bits_of(x) == bits_of(y) || (std::isnan(x) && std::isnan(y));
  });
}

}  // namespace

Verification plan_verification(const CudaShape& shape, Precision precision, Variant variant, bool segmented) {
  Verification result;
  result.batch = kImages;
  result.height = segmented ? kLongHeight : kHeight;
  result.width = segmented ? kLongWidth : kWidth;
  CudaShape images = shape;
  do {
    images.batch = result.batch;
    images.pixels = result.height * result.width;
    result.plans = plans_of(images, precision, variant);
    result.bytes = forward_bytes(images, precision, result.plans);
  } while (result.bytes > kVerificationBytes && reduce(result, segmented));
  choose_slices(images, precision, result);
  return result;
}

double error_of(const Answer& answer, const Answer& exact) {
  return std::max(relative_error(answer.maps, exact.maps), relative_error(answer.tokens, exact.tokens));
}

bool has_non_finite(const Answer& answer) {
  const auto finite = [](float value) { return std::isfinite(value); };
  return !std::all_of(answer.maps.begin(), answer.maps.end(), finite) ||
         !std::all_of(answer.tokens.begin(), answer.tokens.end(), finite);
}

Verdict judge(std::span<const Answer> answers, const Answer& exact, double bound) {
  for (const Answer& answer : answers) {
    if (!same_bits(answer.maps, answers.front().maps) || !same_bits(answer.tokens, answers.front().tokens))
      return Verdict::plans_differ;
  }
  return error_of(answers.front(), exact) <= bound ? Verdict::agrees : Verdict::exact_differs;
}

double verification_bound(Precision precision) { return precision == Precision::float32 ? 1e-4 : 5e-2; }

}  // namespace tokenlearner::kernels::cuda
