#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

namespace tokenlearner {

/// Counts values by size: bucket i holds those that are at most bounds()[i] and larger than the bound before it.
/// The last bucket holds the rest.
class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds) : bounds_(bounds), counts_(bounds.size() + 1) {}

  void add(double value);

  std::span<const double> bounds() const { return bounds_; }
  const std::vector<uint64_t>& counts() const { return counts_; }
  double sum() const { return sum_; }
  uint64_t count() const { return count_; }

 private:
  std::span<const double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
  uint64_t count_ = 0;
};

/// Counts of a batcher since its construction.
struct BatcherStatistics {
  BatcherStatistics();

  uint64_t requests = 0;
  uint64_t succeeded = 0;
  uint64_t failed = 0;
  uint64_t cancelled = 0;
  uint64_t timed_out = 0;
  uint64_t rejected = 0;
  /// Of the requests that succeeded.
  uint64_t images = 0;
  uint64_t batches = 0;

  // Sums over the requests that succeeded.
  std::chrono::nanoseconds request_time{};
  std::chrono::nanoseconds input_time{};
  std::chrono::nanoseconds queue_time{};
  std::chrono::nanoseconds compute_time{};
  std::chrono::nanoseconds output_time{};

  /// Images of each batch.
  Histogram batch_images;
  /// Requests of each batch.
  Histogram batch_requests;
  /// Milliseconds that each request waited before its batch began.
  Histogram queue_ms;
  /// Milliseconds that each batch computed.
  Histogram compute_ms;
};

}  // namespace tokenlearner
