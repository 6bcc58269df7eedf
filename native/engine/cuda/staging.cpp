#include "engine/cuda/staging.hpp"

#include <algorithm>
#include <utility>

#include "engine/cuda/transfer.hpp"
#include "engine/memory/copy.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

/// Bytes that are gathered together before their copy starts, so that the next ones are gathered meanwhile.
constexpr int64_t kBlockBytes = 4 << 20;
/// The elements of `memory` from the `first` one on, as a contiguous tensor of this shape.
Tensor contiguous_view(const Tensor& memory, int64_t first, Dims shape) {
  Tensor part = memory;
  part.offset += first;
  part.shape = std::move(shape);
  part.strides = contiguous_strides(part.shape);
  return part;
}

}  // namespace

Upload::Upload(Tensor target)
    : target_(std::move(target)), starts_copies_(can_start_copies(target_.device())) {}

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
  Tensor source = part.is_contiguous() ? contiguous_view(part, 0, {part.numel()}) : part;
  while (source.shape.size() > 1 && source.shape[0] == 1) {
    source.shape.erase(source.shape.begin());
    source.strides.erase(source.strides.begin());
  }
  const int64_t row = bytes_of(source.numel() / source.shape[0]);
  add_rows(source, std::max<int64_t>(1, kCopyTaskBytes / row));
}

void Upload::add_rows(const Tensor& source, int64_t rows_per_task) {
  const int64_t total = source.shape[0], row = source.numel() / total;
  for (int64_t first = 0; first < total; first += rows_per_task) {
    const int64_t count = std::min(rows_per_task, total - first);
    Tensor from = rows(source, first, count);
    Tensor to = contiguous_view(host_, filled_, from.shape);
    filled_ += count * row;
    pieces_.push_back({std::move(to), std::move(from)});
    if (bytes_of(filled_ - sent_) >= kBlockBytes) flush();
  }
}

void Upload::send(const Tensor& from, int64_t count) {
  const Tensor to = contiguous_view(target_, sent_, from.shape);
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
  copy_all(pieces_);
  pieces_.clear();
  send(contiguous_view(host_, sent_, {filled_ - sent_}), filled_ - sent_);
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
