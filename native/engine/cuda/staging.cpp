#include "engine/cuda/staging.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/cuda/transfer.hpp"
#include "engine/memory/copy.hpp"
#include "engine/torch/aten.hpp"
#include "kernels/cpu/compute-pool.hpp"

namespace tokenlearner {

namespace {

/// Bytes that are gathered together before their copy starts, so that the next ones are gathered meanwhile.
constexpr int64_t kBlockBytes = 4 << 20;
/// Bytes of a task. A block of less than a few of them is gathered by the calling thread.
constexpr int64_t kTaskBytes = 256 << 10;
constexpr int64_t kLeastTasks = 4;
/// Memory is what limits them.
constexpr int kGatherThreads = 8;

/// Elements `first` to `first + count - 1` of axis 0.
Tensor narrowed(const Tensor& tensor, int64_t first, int64_t count) {
  Tensor part = tensor;
  part.offset += first * tensor.strides[0];
  part.shape[0] = count;
  return part;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

Upload::Upload(Tensor target)
    : target_(std::move(target)), starts_copies_(can_start_copies(target_.device())) {}

Tensor Upload::view(const Tensor& memory, int64_t first, Dims shape) const {
  Tensor part = memory;
  part.offset += first;
  part.shape = std::move(shape);
  part.strides = contiguous_strides(part.shape);
  return part;
}

int64_t Upload::bytes_of(int64_t count) const {
  return count * static_cast<int64_t>(item_size(target_.dtype));
}

void Upload::add(const Tensor& part) {
  if (part.numel() == 0) return;
  if (part.storage.pinned() && part.is_contiguous()) {
    flush();
    send(part, part.numel());
    return;
  }
  if (host_.shape.empty()) host_ = empty_pinned({target_.numel()}, target_.dtype);
  // Rows of its first axis of more than one; of a contiguous part, elements.
  Tensor source = part.is_contiguous() ? view(part, 0, {part.numel()}) : part;
  while (source.shape.size() > 1 && source.shape[0] == 1) {
    source.shape.erase(source.shape.begin());
    source.strides.erase(source.strides.begin());
  }
  const int64_t row = bytes_of(source.numel() / source.shape[0]);
  add_rows(source, std::max<int64_t>(1, kTaskBytes / row));
}

void Upload::add_rows(const Tensor& source, int64_t rows_per_task) {
  const int64_t rows = source.shape[0], row = source.numel() / rows;
  for (int64_t first = 0; first < rows; first += rows_per_task) {
    const int64_t count = std::min(rows_per_task, rows - first);
    Tensor from = narrowed(source, first, count);
    Tensor to = view(host_, filled_, from.shape);
    filled_ += count * row;
    pieces_.push_back({std::move(to), std::move(from)});
    if (bytes_of(filled_ - sent_) >= kBlockBytes) flush();
  }
}

void Upload::gather() {
  // Small pieces take their turn together.
  const int64_t tasks = std::min<int64_t>(static_cast<int64_t>(pieces_.size()),
                                          ceil_div(bytes_of(filled_ - sent_), kTaskBytes));
  const auto count = static_cast<int64_t>(pieces_.size());
  const auto copy = [&](int64_t task) {
    for (int64_t i = task * count / tasks; i < (task + 1) * count / tasks; ++i) {
      const Piece& piece = pieces_[static_cast<std::size_t>(i)];
      if (piece.from.is_contiguous()) {
        std::memcpy(piece.to.data(), piece.from.data(), piece.from.byte_length());
      } else {
        copy_into(piece.to, piece.from);
      }
    }
  };
  if (tasks >= kLeastTasks) {
    kernels::ComputePool::shared().run(tasks, kGatherThreads, copy);
  } else {
    for (int64_t task = 0; task < tasks; ++task) copy(task);
  }
  pieces_.clear();
}

void Upload::send(const Tensor& from, int64_t count) {
  const Tensor to = view(target_, sent_, from.shape);
  if (starts_copies_) {
    start_copy(target_.device(), from.storage, to.data(), from.data(), from.byte_length());
  } else {
    aten::copy(to, from);
  }
  sent_ += count;
  filled_ = sent_;
}

void Upload::flush() {
  if (filled_ == sent_) return;
  gather();
  send(view(host_, sent_, {filled_ - sent_}), filled_ - sent_);
}

Tensor upload(const Tensor& host, Device device) {
  Tensor target = aten::empty(host.shape, host.dtype, device, false);
  Upload upload(target);
  upload.add(host);
  upload.finish();
  return target;
}

Tensor download(const Tensor& tensor) {
  Tensor target = empty_pinned(tensor.shape, tensor.dtype);
  if (!can_start_copies(tensor.device())) {
    aten::copy(target, tensor);
    return target;
  }
  const Tensor source = aten::contiguous(tensor);
  start_copy(tensor.device(), target.storage, target.data(), source.data(), source.byte_length());
  return target;
}

}  // namespace tokenlearner
