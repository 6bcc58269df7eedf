#include "engine/run/random-op.hpp"

#include <algorithm>
#include <utility>

#include "engine/error.hpp"
#include "engine/memory/copy.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

DType drawn_dtype(DType dtype) { return dtype == DType::float64 ? dtype : DType::float32; }

/// A draw that a 16-bit dtype rounds to 1 becomes 0, as in PyTorch: 1 is not in the range.
void replace_ones(const Tensor& numbers) {
  if (numbers.dtype != DType::bfloat16 && numbers.dtype != DType::float16) return;
  const uint16_t one = numbers.dtype == DType::bfloat16 ? 0x3f80 : 0x3c00;
  auto* const bits = reinterpret_cast<uint16_t*>(numbers.data());
  std::replace(bits, bits + numbers.numel(), one, uint16_t{0});
}

}  // namespace

int64_t RandomOp::Settings::numel() const {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

Outputs RandomOp::run(Inputs, const CallOptions& options) const {
  const auto [dtype, device] = placement();
  const Dims& shape = settings_.shape;
  Tensor numbers = options.result(0, shape, dtype);
  const DType drawn = drawn_dtype(dtype);
  const Tensor draws = drawn == dtype ? numbers : Tensor::empty(shape, drawn);
  Generator generator = generator_;
  if (settings_.method == Method::normal) {
    generator.normal(draws, dtype);
  } else {
    generator.uniform(draws, 0, 1);
  }
  if (drawn != dtype) copy_into(numbers, draws);
  if (settings_.method == Method::uniform) replace_ones(numbers);
  if (device.is_cuda()) return {aten::to_copy(numbers, dtype, device)};
  return {std::move(numbers)};
}

std::shared_ptr<const Op> RandomOp::with(Placement, std::vector<Tensor>) const {
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Random numbers have no parameters");
}

void RandomOp::skip(Generator& generator, const Settings& settings, DType dtype) {
  if (settings.method == Method::normal) {
    generator.skip_normal(settings.numel(), dtype);
  } else {
    generator.skip_uniform(settings.numel(), dtype);
  }
}

}  // namespace tokenlearner
