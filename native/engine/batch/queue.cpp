#include "engine/batch/queue.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/run/image-order.hpp"

namespace tokenlearner {

namespace {

/// Requests that do not fit in the rest of a batch and are passed over. Bounds the search.
constexpr int kPassedOver = 32;

void mix(std::size_t& hash, std::size_t value) { hash = hash * 1099511628211U ^ value; }

int64_t sum_of(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}

}  // namespace

BatchSize batch_size(const Op& op, const Dims& shape, const CallOptions& options) {
  const ImageOrder order = ImageOrder::of(options);
  BatchSize size{1, 1};
  if (op.takes_any_size() && shape.size() >= order.rank()) {
    const ImageCount count = count_images(shape, order);
    size = {count.images, count.pixels};
  } else if (!op.takes_any_size()) {
    if (!shape.empty()) size.images = shape[0];
    if (shape.size() >= 4) size.pixels = shape[shape.size() - 2] * shape[shape.size() - 1];
  }
  size.pixels *= size.images;
  return size;
}

BatchRequest::BatchRequest(std::shared_ptr<const Op> run_op, Device run_device, std::vector<Tensor> tensors,
                           CallOptions call, std::unique_ptr<Completion> receiver)
    : op(std::move(run_op)),
      device(run_device),
      inputs(std::move(tensors)),
      options(std::move(call)),
      size(batch_size(*op, inputs.front().shape, options)),
      bytes(byte_length(inputs)),
      completion(std::move(receiver)) {}

bool BatchQueue::MoreUrgent::operator()(const Entry* a, const Entry* b) const {
  return std::tuple(-a->level, a->urgency, a->sequence) < std::tuple(-b->level, b->urgency, b->sequence);
}

bool BatchQueue::DueFirst::operator()(const Entry* a, const Entry* b) const {
  return std::tuple(a->due, a->sequence) < std::tuple(b->due, b->sequence);
}

bool BatchQueue::ChangesFirst::operator()(const Entry* a, const Entry* b) const {
  return std::tuple(a->level_since, a->sequence) < std::tuple(b->level_since, b->sequence);
}

std::size_t BatchQueue::GroupHash::operator()(const GroupKey& key) const {
  std::size_t hash = std::hash<const void*>()(key.op);
  mix(hash, static_cast<std::size_t>(key.device.index));
  mix(hash, static_cast<std::size_t>(key.dtype));
  mix(hash, key.alone);
  for (const int64_t size : key.key) mix(hash, static_cast<std::size_t>(size));
  return hash;
}

BatchQueue::GroupKey BatchQueue::key_of(const Entry& entry) const {
  const BatchRequest& request = *entry.request;
  const Tensor& input = request.inputs.front();
  std::optional<Dims> key = request.op->batch_key(input.shape);
  // Sequence numbers start at 1.
  const uint64_t alone = key && request.inputs.size() == 1 ? 0 : entry.sequence;
  // An operator without parameters runs on its input's device, and its results go there.
  return {request.op.get(),      request.device, input.dtype, alone == 0 ? std::move(*key) : Dims(), alone,
          request.options.values};
}

bool BatchQueue::has_room(std::size_t bytes) const {
  return waiting_.size() < limits_.requests && bytes_ <= limits_.bytes && bytes <= limits_.bytes - bytes_;
}

void BatchQueue::add(std::shared_ptr<BatchRequest> request) {
  Entry& entry = waiting_[request->id];
  entry.sequence = ++last_sequence_;
  entry.level = std::clamp(request->priority, 0, limits_.levels - 1);
  entry.level_since = request->arrival;
  entry.urgency = request->arrival + kLatestDeadline;
  entry.due = request->arrival + limits_.delay;
  if (request->deadline) {
    entry.urgency = std::min(entry.urgency, *request->deadline);
    // Leave half of its time for the run.
    entry.due = std::min(entry.due, request->arrival + (*request->deadline - request->arrival) / 2);
  }
  entry.request = std::move(request);
  entry.group = &*groups_.try_emplace(key_of(entry)).first;
  Group& group = entry.group->second;
  group.by_urgency.insert(group.by_urgency.end(), &entry);
  if (limits_.delay.count() > 0) group.by_due.insert(group.by_due.end(), &entry);
  group.size.images = sum_of(group.size.images, entry.request->size.images);
  group.size.pixels = sum_of(group.size.pixels, entry.request->size.pixels);
  if (entry.level < limits_.levels - 1) ageing_.insert(ageing_.end(), &entry);
  bytes_ += entry.request->bytes;
  if (waiting_.size() >= hold_) hold_ = 0;
}

std::shared_ptr<BatchRequest> BatchQueue::remove(std::unordered_map<uint64_t, Entry>::iterator waiting) {
  Entry& entry = waiting->second;
  Group& group = entry.group->second;
  group.by_urgency.erase(&entry);
  group.by_due.erase(&entry);
  if (group.by_urgency.empty()) {
    groups_.erase(groups_.find(entry.group->first));
  } else {
    group.size.images -= entry.request->size.images;
    group.size.pixels -= entry.request->size.pixels;
  }
  ageing_.erase(&entry);
  bytes_ -= entry.request->bytes;
  std::shared_ptr<BatchRequest> request = std::move(entry.request);
  waiting_.erase(waiting);
  return request;
}

std::shared_ptr<BatchRequest> BatchQueue::remove(uint64_t id) {
  const auto waiting = waiting_.find(id);
  return waiting == waiting_.end() ? nullptr : remove(waiting);
}

BatchRequests BatchQueue::clear() {
  BatchRequests all;
  all.reserve(waiting_.size());
  for (auto& [id, entry] : waiting_) all.push_back(std::move(entry.request));
  waiting_.clear();
  groups_.clear();
  ageing_.clear();
  bytes_ = 0;
  return all;
}

Clock::time_point BatchQueue::ready_at(const Groups::value_type& group, Clock::time_point now) const {
  const auto& [key, members] = group;
  const bool is_full = members.size.images >= limits_.images || members.size.pixels >= limits_.pixels;
  return is_full || key.alone != 0 || limits_.delay.count() == 0 ? now : (*members.by_due.begin())->due;
}

std::optional<Clock::time_point> BatchQueue::ready_at(Clock::time_point now,
                                                      const DeviceFilter& devices) const {
  std::optional<Clock::time_point> earliest;
  if (hold_ > 0) return earliest;
  for (const auto& group : groups_) {
    if (!devices(group.first.device)) continue;
    const Clock::time_point ready = ready_at(group, now);
    if (!earliest || ready < *earliest) earliest = ready;
    if (*earliest <= now) break;
  }
  return earliest;
}

void BatchQueue::promote(Clock::time_point now) {
  while (!ageing_.empty() && now - (*ageing_.begin())->level_since >= kAgeing) {
    Entry* const entry = *ageing_.begin();
    ageing_.erase(ageing_.begin());
    Group& group = entry->group->second;
    group.by_urgency.erase(entry);
    ++entry->level;
    entry->level_since += kAgeing;
    group.by_urgency.insert(entry);
    if (entry->level < limits_.levels - 1) ageing_.insert(entry);
  }
}

BatchRequests BatchQueue::take(Clock::time_point now, const DeviceFilter& devices) {
  BatchRequests batch;
  if (hold_ > 0) return batch;
  promote(now);
  const Group* chosen = nullptr;
  for (const auto& group : groups_) {
    if (!devices(group.first.device) || ready_at(group, now) > now) continue;
    const Group& candidate = group.second;
    if (chosen == nullptr || MoreUrgent()(*candidate.by_urgency.begin(), *chosen->by_urgency.begin()))
      chosen = &candidate;
  }
  if (chosen == nullptr) return batch;

  BatchSize total;
  int passed_over = 0;
  std::vector<uint64_t> ids;
  for (const Entry* entry : chosen->by_urgency) {
    const BatchSize& size = entry->request->size;
    const BatchSize next{sum_of(total.images, size.images), sum_of(total.pixels, size.pixels)};
    if (!ids.empty() && (next.images > limits_.images || next.pixels > limits_.pixels)) {
      if (++passed_over == kPassedOver) break;
      continue;
    }
    total = next;
    ids.push_back(entry->request->id);
    if (total.images >= limits_.images || total.pixels >= limits_.pixels) break;
  }
  batch.reserve(ids.size());
  for (const uint64_t id : ids) batch.push_back(remove(waiting_.find(id)));
  return batch;
}

}  // namespace tokenlearner
