#include "engine/token-learner/documented.hpp"

#include <algorithm>
#include <cstring>

#include "engine/torch/aten.hpp"
#include "kernels/dtype.hpp"

namespace tokenlearner {

namespace {

using kernels::cuda::Answer;
using kernels::cuda::Verification;
using kernels::cuda::WeightSlice;

const ForwardOptions kWithMaps{.return_attention = true, .tokens_first = false, .call = nullptr};

/// A view of `count` indices of a dimension.
Tensor narrowed_to(Tensor tensor, std::size_t dim, int64_t first, int64_t count) {
  tensor.offset += first * tensor.strides[dim];
  tensor.shape[dim] = count;
  return tensor;
}

Tensor in_dtype(const Tensor& tensor, DType dtype) {
  return tensor.dtype == dtype ? tensor : aten::to_copy(tensor, dtype, tensor.device());
}

Tensor zeros(const Dims& shape, DType dtype, Device device) {
  const Tensor host = Tensor::empty(shape, dtype);
  std::memset(host.data(), 0, host.storage.bytes());
  return aten::to_copy(host, dtype, device);
}

/// The elements of a tensor on any device, row by row.
std::vector<double> numbers(const Tensor& tensor) {
  const Tensor host = aten::to_copy(tensor, DType::float64, Device::cpu());
  const auto* first = reinterpret_cast<const double*>(host.data());
  return {first, first + host.numel()};
}

float rounded(double value, DType dtype) {
  const auto single = static_cast<float>(value);
  if (dtype == DType::float16) return kernels::widen(kernels::narrow<kernels::Half>(single));
  if (dtype == DType::bfloat16) return kernels::widen(kernels::narrow<kernels::BFloat16>(single));
  return single;
}

/// The parameters of a slice: a TokenLearner with fewer tokens or hidden rows. Only the first slice of a
/// token has b2.
std::vector<Tensor> slice_parameters(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters,
                                     const WeightSlice& slice, DType dtype) {
  const int64_t first_row = slice.first_token * config.hidden() + slice.first_hidden;
  const int64_t rows = slice.tokens * slice.hidden;
  const Tensor second = narrowed_to(parameters[2], 0, slice.first_token, slice.tokens);
  const Tensor bias = narrowed_to(parameters[3], 0, slice.first_token, slice.tokens);
  return {in_dtype(narrowed_to(parameters[0], 0, first_row, rows), dtype),
          in_dtype(narrowed_to(parameters[1], 0, first_row, rows), dtype),
          in_dtype(narrowed_to(second, 1, slice.first_hidden, slice.hidden), dtype),
          slice.first_hidden == 0 ? in_dtype(bias, dtype) : zeros(bias.shape, dtype, bias.device())};
}

/// The sums of all parts so far.
struct Sums {
  int64_t batch, channels, tokens, height, width;
  std::vector<double> maps, means;

  Sums(const Tensor& x, int64_t groups)
      : batch(x.shape[0]),
        channels(x.shape[1]),
        tokens(groups),
        height(x.shape[2]),
        width(x.shape[3]),
        maps(static_cast<std::size_t>(batch * tokens * height * width)),
        means(static_cast<std::size_t>(batch * channels * tokens)) {}

  /// Adds the result for `count` tokens from `token` on, and for some image rows from `row` on.
  void add(const TokensAndMaps& part, int64_t token, int64_t count, int64_t row) {
    const int64_t rows = part.maps.shape[2];
    const std::vector<double> part_maps = numbers(part.maps), part_means = numbers(part.tokens);
    auto map = part_maps.begin();
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t g = token; g < token + count; ++g) {
        const int64_t first = ((b * tokens + g) * height + row) * width;
        for (int64_t i = first; i < first + rows * width; ++i) maps[static_cast<std::size_t>(i)] += *map++;
      }
    }
    // A part's tokens are means over its own rows.
    const double share = static_cast<double>(rows) / static_cast<double>(height);
    auto mean = part_means.begin();
    for (int64_t channel = 0; channel < batch * channels; ++channel) {
      const int64_t first = channel * tokens + token;
      for (int64_t i = first; i < first + count; ++i) means[static_cast<std::size_t>(i)] += share * *mean++;
    }
  }

  Answer answer(DType dtype) const {
    Answer result;
    for (const double map : maps) result.maps.push_back(static_cast<float>(map));
    for (const double mean : means) result.tokens.push_back(rounded(mean, dtype));
    return result;
  }
};

}  // namespace

Answer documented_answer(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters,
                         const Tensor& x, DType dtype, const Verification& how) {
  Sums sums(x, config.num_output_tokens);
  for (int64_t row = 0; row < how.height; row += how.image_rows) {
    const int64_t rows = std::min(how.image_rows, how.height - row);
    const Tensor part = in_dtype(narrowed_to(x, 2, row, rows), dtype);
    for (const WeightSlice& slice : how.slices) {
      TokenLearnerConfig settings = config;
      settings.num_output_tokens = slice.tokens;
      const auto engine =
          make_grouped_conv_engine(settings, slice_parameters(config, parameters, slice, dtype));
      sums.add(engine->run(part, kWithMaps), slice.first_token, slice.tokens, row);
    }
  }
  return sums.answer(x.dtype);
}

Answer answer_of(const TokensAndMaps& result) {
  const std::vector<double> maps = numbers(result.maps), tokens = numbers(result.tokens);
  return {{maps.begin(), maps.end()}, {tokens.begin(), tokens.end()}};
}

}  // namespace tokenlearner
