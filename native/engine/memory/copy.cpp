#include "engine/memory/copy.hpp"

#include <algorithm>
#include <string>

#include "engine/error.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/copy.hpp"

namespace tokenlearner {

namespace {

/// Fewer tasks are not worth waking a thread.
constexpr int64_t kLeastTasks = 4;
/// Memory is what limits them.
constexpr int kCopyThreads = 8;

}  // namespace

Tensor copied(const Tensor& source, DType dtype) {
  const Tensor target = Tensor::empty(source.shape, dtype);
  copy_into(target, source);
  return target;
}

void copy_into(const Tensor& target, const Tensor& source) {
  if (target.shape != source.shape || !target.device().is_cpu() || !source.device().is_cpu())
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "A copy in host memory needs two tensors of one shape there");
  kernels::CopyParams params;
  params.source = source.data();
  params.source_dtype = source.dtype;
  params.target = target.data();
  params.target_dtype = target.dtype;
  params.rank = static_cast<int>(source.shape.size());
  params.shape = source.shape.data();
  params.source_strides = source.strides.data();
  params.target_strides = target.strides.data();
  const kernels::Status status = kernels::strided_copy(params);
  if (status != kernels::Status::ok)
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
                std::string("A copy in host memory answered: ") + name_of(status));
}

void copy_all(std::span<const CopyPair> pairs) {
  int64_t bytes = 0;
  for (const CopyPair& pair : pairs) bytes += static_cast<int64_t>(pair.target.byte_length());
  const auto count = static_cast<int64_t>(pairs.size());
  // A task takes several small pairs.
  const int64_t tasks = std::min(count, (bytes + kCopyTaskBytes - 1) / kCopyTaskBytes);
  const auto copy = [&](int64_t task) {
    for (int64_t i = task * count / tasks; i < (task + 1) * count / tasks; ++i) {
      const CopyPair& pair = pairs[static_cast<std::size_t>(i)];
      copy_into(pair.target, pair.source);
    }
  };
  if (tasks >= kLeastTasks) {
    kernels::ComputePool::shared().run(tasks, kCopyThreads, copy);
  } else {
    for (int64_t task = 0; task < tasks; ++task) copy(task);
  }
}

}  // namespace tokenlearner
