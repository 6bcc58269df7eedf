#include "engine/batch/queue.hpp"

#include <doctest.h>

#include "list-op.hpp"

using namespace test;
using namespace std::chrono_literals;

namespace {

const Clock::time_point kStart = Clock::time_point() + 1h;
const BatchQueue::DeviceFilter kAnywhere = [](Device) { return true; };

/// A queue, and requests whose ids are their order.
class Waiting {
 public:
  explicit Waiting(const BatchLimits& limits = {}) : queue(limits) {}

  BatchRequest& add(const std::shared_ptr<const Op>& op, Clock::duration after = {}, int priority = 0,
                    std::optional<Clock::duration> timeout = std::nullopt, int64_t images = 1) {
    auto request = batched(op, 0, ++last_, kStart + after, images).request;
    request->priority = priority;
    if (timeout) request->deadline = request->arrival + *timeout;
    queue.add(request);
    return *request;
  }

  /// The ids of the next batch.
  std::vector<uint64_t> take(Clock::duration after = {}) {
    std::vector<uint64_t> ids;
    for (const auto& request : queue.take(kStart + after, kAnywhere)) ids.push_back(request->id);
    return ids;
  }

  BatchQueue queue;

 private:
  uint64_t last_ = 0;
};

using Ids = std::vector<uint64_t>;

BatchLimits with_images(int64_t images) {
  BatchLimits limits;
  limits.images = images;
  return limits;
}

}  // namespace

TEST_SUITE_BEGIN("engine/batch-queue");

TEST_CASE("a batch takes what waits, oldest first, up to the limit of images") {
  Waiting waiting(with_images(3));
  for (int i = 0; i < 5; ++i) waiting.add(list_op(), 1ms * i);
  const auto shared = list_op();
  Waiting same(with_images(3));
  for (int i = 0; i < 5; ++i) same.add(shared, 1ms * i);
  CHECK(same.take() == Ids{1, 2, 3});
  CHECK(same.take() == Ids{4, 5});
  CHECK(same.take().empty());
  // Other operators are other models, or the same one with other weights.
  CHECK(waiting.take() == Ids{1});
  CHECK(waiting.take() == Ids{2});
}

TEST_CASE("a request over the limit runs alone, and those that fit are taken around it") {
  Waiting waiting(with_images(4));
  const auto op = list_op();
  waiting.add(op, 0ms, 0, std::nullopt, 9);
  waiting.add(op, 1ms, 0, std::nullopt, 2);
  waiting.add(op, 2ms, 0, std::nullopt, 3);
  waiting.add(op, 3ms, 0, std::nullopt, 2);
  CHECK(waiting.take() == Ids{1});
  CHECK(waiting.take() == Ids{2, 4});
  CHECK(waiting.take() == Ids{3});
}

TEST_CASE("an earlier deadline comes first, between groups and within one") {
  Waiting waiting(with_images(1));
  const auto a = list_op(), b = list_op();
  waiting.add(a, 0ms);
  waiting.add(a, 1ms, 0, 5s);
  waiting.add(b, 2ms, 0, 1s);
  waiting.add(a, 3ms, 0, 2s);
  CHECK(waiting.take() == Ids{3});
  CHECK(waiting.take() == Ids{4});
  CHECK(waiting.take() == Ids{2});
  CHECK(waiting.take() == Ids{1});
}

TEST_CASE("a larger priority comes first, and waiting raises the others") {
  BatchLimits limits = with_images(1);
  limits.levels = 3;
  Waiting waiting(limits);
  const auto op = list_op();
  waiting.add(op, 0ms, 0);
  waiting.add(op, 1ms, 1);
  waiting.add(op, 2ms, 2);
  CHECK(waiting.take(3ms) == Ids{3});
  // The first has waited for two levels by now, and is older than a new urgent one.
  waiting.add(op, 200ms, 2);
  CHECK(waiting.take(201ms) == Ids{1});
  CHECK(waiting.take(201ms) == Ids{2});
  CHECK(waiting.take(201ms) == Ids{4});
}

TEST_CASE("a group waits for the delay, for a full batch, or for half of a deadline") {
  BatchLimits limits = with_images(2);
  limits.delay = 10ms;
  Waiting waiting(limits);
  const auto op = list_op();
  waiting.add(op, 0ms);
  CHECK(waiting.queue.ready_at(kStart, kAnywhere) == kStart + 10ms);
  CHECK(waiting.take(9ms).empty());
  waiting.add(op, 9ms);
  CHECK(waiting.take(9ms) == Ids{1, 2});
  waiting.add(op, 20ms);
  CHECK(waiting.take(30ms) == Ids{3});
  waiting.add(op, 40ms, 0, 6ms);
  CHECK(waiting.take(42ms).empty());
  CHECK(waiting.take(43ms) == Ids{4});
  waiting.add(op, 50ms);
  waiting.queue.end_delays();
  waiting.add(op, 50ms);
  CHECK(waiting.take(50ms) == Ids{5, 6});
}

TEST_CASE("the limits of the queue are exact") {
  BatchLimits limits;
  limits.requests = 2;
  limits.bytes = 12;
  Waiting waiting(limits);
  const auto op = list_op();
  CHECK(waiting.queue.has_room(12));
  CHECK(!waiting.queue.has_room(13));
  waiting.add(op, 0ms, 0, std::nullopt, 2);
  CHECK(waiting.queue.bytes() == 8);
  CHECK(waiting.queue.has_room(4));
  CHECK(!waiting.queue.has_room(5));
  waiting.add(op);
  CHECK(!waiting.queue.has_room(0));
  CHECK(waiting.queue.remove(1)->id == 1);
  CHECK(waiting.queue.remove(1) == nullptr);
  CHECK(waiting.queue.has_room(8));
  CHECK(waiting.take() == Ids{2});
  CHECK(waiting.queue.bytes() == 0);
}

TEST_CASE("a hold ends when enough requests wait") {
  Waiting waiting;
  const auto op = list_op();
  waiting.queue.hold(2);
  waiting.add(op);
  CHECK(waiting.take().empty());
  CHECK(!waiting.queue.ready_at(kStart, kAnywhere));
  waiting.add(op);
  CHECK(waiting.take() == Ids{1, 2});
  waiting.add(op);
  CHECK(waiting.take() == Ids{3});
}

TEST_CASE(
    "requests of other dtypes, options and keys are other groups, and an operator without keys joins "
    "nothing") {
  Waiting waiting;
  const auto op = list_op();
  waiting.add(op);
  auto options = batched(op, 0, 100, kStart).request;
  options->options.values.add("returnAttention", true);
  waiting.queue.add(options);
  auto wide = batched(op, 0, 101, kStart).request;
  wide->inputs[0].dtype = DType::float64;
  waiting.queue.add(wide);
  CHECK(waiting.take() == Ids{1});
  CHECK(waiting.take() == Ids{100});
  CHECK(waiting.take() == Ids{101});
  const auto single = plus(1);
  waiting.add(single);
  waiting.add(single);
  CHECK(waiting.take() == Ids{2});
  CHECK(waiting.take() == Ids{3});
}

TEST_SUITE_END();
