#include "engine/batch/statistics.hpp"

#include <algorithm>

namespace tokenlearner {

namespace {
constexpr std::array<double, 13> kSizes = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
constexpr std::array<double, 14> kMilliseconds = {0.1, 0.25, 0.5, 1,   2.5, 5,    10,
                                                  25,  50,   100, 250, 500, 1000, 5000};
}  // namespace

void Histogram::add(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += value;
  ++count_;
}

BatcherStatistics::BatcherStatistics()
    : batch_images(kSizes), batch_requests(kSizes), queue_ms(kMilliseconds), compute_ms(kMilliseconds) {}

}  // namespace tokenlearner
