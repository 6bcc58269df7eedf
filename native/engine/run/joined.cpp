#include "engine/run/joined.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "engine/cuda/staging.hpp"
#include "engine/cuda/stream.hpp"
#include "engine/error.hpp"
#include "engine/memory/copy.hpp"
#include "engine/run/join-trial.hpp"
#include "engine/torch/abi.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

/// Counts the tensors of each storage. One block of memory for all: a batch has hundreds.
class Users {
 public:
  void add(std::span<const Tensor> tensors) {
    for (const Tensor& tensor : tensors) owners_.push_back(tensor.storage.owner().get());
  }
  void reserve(std::size_t count) { owners_.reserve(count); }
  /// Call it after the last add().
  void sort() { std::sort(owners_.begin(), owners_.end(), std::less<>()); }
  /// True if another tensor that was added has the same storage.
  bool are_several(const Tensor& tensor) const {
    const auto [first, last] =
        std::equal_range(owners_.begin(), owners_.end(),
                         static_cast<const void*>(tensor.storage.owner().get()), std::less<>());
    return last - first > 1;
  }

 private:
  std::vector<const void*> owners_;
};

/// Outputs on their way to the requests: on the device of each request's input. Those that come from a device to the host still
/// share memory: separate() gives them their own.
class Delivery {
 public:
  Delivery(const std::vector<Outputs>& all, RequestList list) {
    users_.reserve(2 * list.size());
    for (const Outputs& outputs : all) users_.add(outputs);
    for (const ListedRequest& request : list) users_.add(request.inputs);
    users_.sort();
  }

  Tensor deliver(const Tensor& output, Device target) {
    if (output.device().is_cuda() && target.is_cpu()) return downloaded(output);
    return users_.are_several(output) || output.device() != target
               ? aten::to_copy(output, output.dtype, target)
               : output;
  }

  bool has_downloads() const { return !hosts_.empty(); }

 private:
  /// The same view of a copy of the whole storage. Each storage comes from the device once.
  Tensor downloaded(const Tensor& output) {
    Tensor& host = hosts_[output.storage.owner().get()];
    if (host.shape.empty()) {
      Tensor whole = output;
      whole.offset = 0;
      whole.shape = {static_cast<int64_t>(output.storage.bytes() / item_size(output.dtype))};
      whole.strides = {1};
      host = download(whole);
    }
    Tensor view = output;
    view.storage = host.storage;
    view.offset += host.offset;
    return view;
  }

  /// Of inputs and outputs.
  Users users_;
  std::map<const void*, Tensor> hosts_;
};

/// Gives outputs that share memory their own. They are in host memory, and complete.
void separate(std::vector<Outputs>& all) {
  Users users;
  for (const Outputs& outputs : all) users.add(outputs);
  users.sort();
  std::vector<Tensor*> shared;
  std::vector<CopyPair> copies;
  for (Outputs& outputs : all) {
    for (Tensor& output : outputs) {
      if (!output.device().is_cpu() || !users.are_several(output)) continue;
      shared.push_back(&output);
      copies.push_back({Tensor::empty(output.shape, output.dtype), output});
    }
  }
  copy_all(copies);
  for (std::size_t i = 0; i < shared.size(); ++i) *shared[i] = std::move(copies[i].target);
}

/// In as few runs as take them.
std::vector<Outputs> run_all(const Op& op, Device device, RequestList list) {
  std::size_t count = count_in_one_run(op, list);
  if (count == list.size()) return op.run_list(list);
  std::vector<Outputs> all;
  all.reserve(list.size());
  for (RequestList left = list; !left.empty(); left = left.subspan(count)) {
    count = count_in_one_run(op, left);
    if (count == 1) {
      const Tensor input = moved(only(left[0].inputs), device);
      all.push_back(op.run({&input, 1}, *left[0].options));
    } else {
      for (Outputs& outputs : op.run_list(left.first(count))) all.push_back(std::move(outputs));
    }
  }
  return all;
}

std::vector<Outputs> run_list_guarded(const Op& op, Device device, RequestList list) {
  const TorchDeviceGuard guard(device);
  std::vector<Outputs> all = run_all(op, device, list);
  Delivery delivery(all, list);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Device target = list[i].inputs.front().device();
    for (Tensor& output : all[i]) {
      // A graph may end on a different device than it started on.
      const Device made_on = output.device();
      output = delivery.deliver(output, target);
      if (made_on != device) guarded_run(made_on, [&] { synchronize(made_on); });
    }
  }
  synchronize(device);
  if (delivery.has_downloads()) separate(all);
  return all;
}

/// Device memory with all parts that are in host memory.
Tensor uploaded(std::span<const Tensor> parts, Dims shape, Device device) {
  Tensor joined = aten::empty(shape, parts.front().dtype, device, false);
  Upload upload(joined);
  for (const Tensor& part : parts) upload.add(part);
  upload.finish();
  return joined;
}

}  // namespace

Tensor join(std::span<const Tensor> parts, Device device) {
  Dims shape = parts.front().shape;
  shape[0] = 0;
  for (const Tensor& part : parts) shape[0] += part.shape[0];
  const DType dtype = parts.front().dtype;
  const auto on_host = [](const Tensor& part) { return part.device().is_cpu(); };
  if (device.is_cuda() && std::all_of(parts.begin(), parts.end(), on_host))
    return uploaded(parts, std::move(shape), device);
  const Tensor joined =
      device.is_cpu() ? Tensor::empty(std::move(shape), dtype) : aten::empty(shape, dtype, device, false);
  int64_t first = 0;
  for (const Tensor& part : parts) {
    const Tensor target = rows(joined, first, part.shape[0]);
    first += part.shape[0];
    if (part.numel() == 0) continue;
    if (device.is_cpu() && part.device().is_cpu()) {
      copy_into(target, part);
    } else {
      aten::copy(target, part.device().is_cpu() ? upload(part, device) : part);
    }
  }
  return joined;
}

std::vector<Tensor> split(const Tensor& joined, std::span<const int64_t> sizes) {
  int64_t sum = 0;
  for (const int64_t size : sizes) sum += size;
  if (joined.dim() == 0 || joined.shape[0] != sum)
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "A layer changed the first dimension of a batch");
  std::vector<Tensor> parts;
  parts.reserve(sizes.size());
  int64_t first = 0;
  for (const int64_t size : sizes) {
    parts.push_back(rows(joined, first, size));
    first += size;
  }
  return parts;
}

std::vector<int64_t> leading_sizes(std::span<const Tensor> parts) {
  std::vector<int64_t> sizes;
  sizes.reserve(parts.size());
  for (const Tensor& part : parts) sizes.push_back(part.shape[0]);
  return sizes;
}

std::size_t count_in_one_run(const Op& op, RequestList list) {
  const int64_t most = op.most_joined();
  std::size_t count = 1;
  int64_t size = only(list[0].inputs).shape.front();
  while (count < list.size()) {
    const int64_t next = only(list[count].inputs).shape.front();
    if (size > most - next) break;
    size += next;
    ++count;
  }
  return count;
}

std::vector<Outputs> run_list_on(const Op& op, Device device, RequestList list) {
  if (list.size() == 1) return {run_on(op, device, list.front().inputs, *list.front().options)};
  JoinTrial* const trial = op.join_trial();
  if (trial != nullptr && !trial->has_passed()) return trial->run(op, device, list);
  return run_joined(op, device, list);
}

std::vector<Outputs> run_joined(const Op& op, Device device, RequestList list) {
  return guarded_run(device, [&] { return run_list_guarded(op, device, list); });
}

std::optional<Dims> Op::batch_key(const Dims& shape) const {
  if (shape.empty() || !joined_rank(static_cast<int64_t>(shape.size()))) return std::nullopt;
  return Dims(shape.begin() + 1, shape.end());
}

std::vector<Outputs> Op::run_list(RequestList list) const {
  std::vector<Tensor> parts;
  parts.reserve(list.size());
  for (const ListedRequest& request : list) parts.push_back(only(request.inputs));
  const std::vector<int64_t> sizes = leading_sizes(parts);
  const Tensor input = join(parts, device_for(*this, parts.front().device()));
  std::vector<Outputs> results(list.size());
  for (const Tensor& joined : run({&input, 1}, CallOptions())) {
    std::vector<Tensor> outputs = split(joined, sizes);
    for (std::size_t i = 0; i < results.size(); ++i) results[i].push_back(std::move(outputs[i]));
  }
  return results;
}

}  // namespace tokenlearner
