// The waiting requests of a batcher, and the choice of the next batch.
//
// Note: [The next batch]
// Requests that may run together are in one group: the same operator, device, dtype and options, and equal
// Op::batch_key(). A group is ready when it fills a batch, or when its first request has waited for the delay
// (with a delay of 0: at once). The most urgent request of all ready groups decides whose turn it is. More
// urgent means: a higher level; then an earlier deadline, where a request without one has kLatestDeadline;
// then an earlier arrival. The batch takes its group's requests in the same order, as many as the limits allow.
//
// A request starts at the level of its priority, and rises one level for each kAgeing that it waits. So a
// stream of urgent requests cannot starve the others.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>

#include "engine/batch/batch-request.hpp"

namespace tokenlearner {

constexpr auto kAgeing = std::chrono::milliseconds(100);
/// After a request's arrival.
constexpr auto kLatestDeadline = std::chrono::seconds(60);

struct BatchLimits {
  // Of one batch. A larger request runs alone.
  int64_t images = std::numeric_limits<int64_t>::max();
  int64_t pixels = std::numeric_limits<int64_t>::max();
  /// How long a request may wait for others.
  Clock::duration delay{};
  // Of the queue.
  std::size_t requests = std::numeric_limits<std::size_t>::max();
  std::size_t bytes = std::numeric_limits<std::size_t>::max();
  /// The number of priorities. At least 1.
  int levels = 1;
};

/// Not thread-safe. It reads no clock: callers pass the time, which never goes back.
class BatchQueue {
 public:
  explicit BatchQueue(const BatchLimits& limits) : limits_(limits) {}

  std::size_t size() const { return waiting_.size(); }
  std::size_t bytes() const { return bytes_; }

  /// True if a further request with `bytes` of inputs may wait.
  bool has_room(std::size_t bytes) const;
  void add(std::shared_ptr<BatchRequest> request);
  /// Removes a request. Null if it does not wait.
  std::shared_ptr<BatchRequest> remove(uint64_t id);
  /// Removes all.
  BatchRequests clear();

  /// Says on which devices a batch may run now.
  using DeviceFilter = std::function<bool(Device)>;

  /// The time at which the next batch for those devices is ready; `now` or earlier if it is. Empty if there is
  /// none.
  std::optional<Clock::time_point> ready_at(Clock::time_point now, const DeviceFilter& devices) const;
  /// Removes the next batch and returns it. Empty if none is ready.
  BatchRequests take(Clock::time_point now, const DeviceFilter& devices);

  /// From now on no request waits for others.
  void end_delays() { limits_.delay = {}; }

  /// For tests: no batch is ready until that many requests wait. Then the hold ends.
  void hold(std::size_t requests) { hold_ = requests; }
  bool held() const { return hold_ > 0; }

 private:
  struct GroupKey;
  struct Group;
  struct Entry {
    std::shared_ptr<BatchRequest> request;
    std::pair<const GroupKey, Group>* group = nullptr;
    /// The order of arrival.
    uint64_t sequence = 0;
    int level = 0;
    Clock::time_point level_since;
    /// The earlier of its deadline and kLatestDeadline.
    Clock::time_point urgency;
    /// It waits no longer than until then for others.
    Clock::time_point due;
  };
  struct MoreUrgent {
    bool operator()(const Entry* a, const Entry* b) const;
  };
  struct DueFirst {
    bool operator()(const Entry* a, const Entry* b) const;
  };
  struct ChangesFirst {
    bool operator()(const Entry* a, const Entry* b) const;
  };
  struct GroupKey {
    const Op* op;
    Device device;
    DType dtype;
    /// Empty for a request that runs alone; then `alone` is its number.
    Dims key;
    uint64_t alone;
    Config options;

    bool operator==(const GroupKey&) const = default;
  };
  struct GroupHash {
    std::size_t operator()(const GroupKey& key) const;
  };
  struct Group {
    std::set<Entry*, MoreUrgent> by_urgency;
    /// Empty if there is no delay.
    std::set<Entry*, DueFirst> by_due;
    BatchSize size;
  };
  using Groups = std::unordered_map<GroupKey, Group, GroupHash>;

  GroupKey key_of(const Entry& entry) const;
  Clock::time_point ready_at(const Groups::value_type& group, Clock::time_point now) const;
  /// Moves the entries that have waited long enough to the next level.
  void promote(Clock::time_point now);
  std::shared_ptr<BatchRequest> remove(std::unordered_map<uint64_t, Entry>::iterator waiting);

  BatchLimits limits_;
  /// By BatchRequest::id.
  std::unordered_map<uint64_t, Entry> waiting_;
  Groups groups_;
  /// The entries below the highest level.
  std::set<Entry*, ChangesFirst> ageing_;
  std::size_t bytes_ = 0;
  std::size_t hold_ = 0;
  uint64_t last_sequence_ = 0;
};

}  // namespace tokenlearner
