#include "engine/batch/batcher.hpp"

#include <doctest.h>

#include <atomic>
#include <thread>

#include "list-op.hpp"

using namespace test;
using namespace std::chrono_literals;

namespace {

/// A batcher on an executor of the CPU. The executor ends first, as in a Node environment.
class Fixture {
 public:
  explicit Fixture(const BatchLimits& limits = {}) : batcher(std::make_shared<Batcher>(limits, sink)) {}
  ~Fixture() {
    batcher->close(false);
    executor.reset();
  }

  std::future<Outcome> submit(const std::shared_ptr<const Op>& op, float value,
                              std::optional<Clock::duration> timeout = std::nullopt) {
    Batched made = batched(op, value, ++last_id);
    if (timeout) made.request->deadline = made.request->arrival + *timeout;
    batcher->submit(std::move(made.request), lane());
    return std::move(made.outcome);
  }

  /// The executor; also after its end, as a batcher that no longer needs one refuses or fails the request first.
  Executor& lane() { return executor ? *executor : spare; }

  OneByOne sink;
  Executor spare{Device::cpu()};
  std::unique_ptr<Executor> executor = std::make_unique<Executor>(Device::cpu());
  std::shared_ptr<Batcher> batcher;
  uint64_t last_id = 0;
};

bool is(std::future<Outcome>& outcome, ErrorCode code) {
  const Outcome value = outcome.get();
  return std::holds_alternative<ErrorCode>(value) && std::get<ErrorCode>(value) == code;
}

bool is(std::future<Outcome>& outcome, float number) {
  const Outcome value = outcome.get();
  return std::holds_alternative<float>(value) && std::get<float>(value) == number;
}

/// Fails if a run has more than `most` numbers, as a run out of memory does.
std::shared_ptr<const Op> limited(std::size_t most, std::vector<std::size_t>& runs) {
  return list_op([most, &runs](const std::vector<float>& numbers) {
    runs.push_back(numbers.size());
    if (numbers.size() > most) throw Error(ErrorCode::ERR_OUT_OF_MEMORY, "too many");
  });
}

}  // namespace

TEST_SUITE_BEGIN("engine/batcher");

TEST_CASE("held requests run as one batch, are delivered at once, and each gets its own result") {
  Fixture f;
  std::vector<std::size_t> runs;
  const auto op = limited(100, runs);
  f.batcher->hold(50);
  std::vector<std::future<Outcome>> outcomes;
  for (int i = 0; i < 50; ++i) outcomes.push_back(f.submit(op, static_cast<float>(i)));
  for (int i = 0; i < 50; ++i) CHECK(is(outcomes[static_cast<std::size_t>(i)], static_cast<float>(i + 1)));
  CHECK(runs == std::vector<std::size_t>{50});
  CHECK(f.sink.deliveries() == 1);
  const BatcherState state = f.batcher->state();
  CHECK(state.statistics.batches == 1);
  CHECK(state.statistics.succeeded == 50);
  CHECK(state.statistics.images == 50);
  CHECK(state.queued + state.running == 0);
}

TEST_CASE("a batch out of memory runs in parts, and nobody notices") {
  Fixture f;
  std::vector<std::size_t> runs;
  const auto op = limited(3, runs);
  f.batcher->hold(8);
  std::vector<std::future<Outcome>> outcomes;
  for (int i = 0; i < 8; ++i) outcomes.push_back(f.submit(op, static_cast<float>(i)));
  for (int i = 0; i < 8; ++i) CHECK(is(outcomes[static_cast<std::size_t>(i)], static_cast<float>(i + 1)));
  CHECK(runs == std::vector<std::size_t>{8, 4, 2, 2, 4, 2, 2});
}

TEST_CASE("a bad request fails alone") {
  Fixture f;
  const auto op = list_op([](const std::vector<float>& numbers) {
    for (const float value : numbers)
      if (value == 5) throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "five");
  });
  f.batcher->hold(9);
  std::vector<std::future<Outcome>> outcomes;
  for (int i = 0; i < 9; ++i) outcomes.push_back(f.submit(op, static_cast<float>(i)));
  for (int i = 0; i < 9; ++i) {
    auto& outcome = outcomes[static_cast<std::size_t>(i)];
    CHECK((i == 5 ? is(outcome, ErrorCode::ERR_SHAPE_MISMATCH) : is(outcome, static_cast<float>(i + 1))));
  }
  CHECK(f.batcher->state().statistics.failed == 1);
}

TEST_CASE("a deadline fires while nothing else happens, and a long one does not") {
  Fixture f;
  f.batcher->hold(100);
  auto soon = f.submit(list_op(), 1, 5ms);
  auto later = f.submit(list_op(), 1, 1h);
  CHECK(is(soon, ErrorCode::ERR_TIMEOUT));
  CHECK(f.batcher->state().queued == 1);
  f.batcher->hold(0);
  CHECK(is(later, 2.0F));
  CHECK(f.batcher->state().statistics.timed_out == 1);
}

TEST_CASE("a group whose delay ends while another one is taken is taken too, without a further request") {
  BatchLimits limits;
  limits.delay = 100ms;
  Fixture f(limits);
  // Operators of their own, so groups of their own. The first one's turn begins before the second one is due.
  auto first = f.submit(list_op(), 1);
  std::this_thread::sleep_for(50ms);
  auto second = f.submit(list_op(), 2);
  CHECK(is(first, 2.0F));
  REQUIRE(second.wait_for(10s) == std::future_status::ready);
  CHECK(is(second, 3.0F));
}

TEST_CASE("a running request can be cancelled, or time out: its result is dropped") {
  // On a slow machine the deadline can pass before all three wait, so that no batch of three begins: then a longer one is tried.
  bool begun = false;
  for (Clock::duration timeout = 20ms; !begun; timeout *= 4) {
    Fixture f;
    std::promise<void> running, release;
    const auto op = list_op([&](const std::vector<float>&) {
      running.set_value();
      release.get_future().wait();
    });
    f.batcher->hold(3);
    auto cancelled = f.submit(op, 1), late = f.submit(op, 2, timeout), kept = f.submit(op, 3);
    std::future<void> started = running.get_future();
    while (!begun && late.wait_for(0s) != std::future_status::ready)
      begun = started.wait_for(1ms) == std::future_status::ready;
    if (!begun) continue;
    CHECK(f.batcher->cancel(1));
    CHECK(!f.batcher->cancel(1));
    CHECK(is(cancelled, ErrorCode::ERR_CLOSED));
    CHECK(is(late, ErrorCode::ERR_TIMEOUT));
    release.set_value();
    CHECK(is(kept, 4.0F));
    CHECK(!f.batcher->cancel(3));
    const BatcherStatistics statistics = f.batcher->state().statistics;
    CHECK(statistics.cancelled == 1);
    CHECK(statistics.timed_out == 1);
    CHECK(statistics.succeeded == 1);
  }
}

TEST_CASE("a delay ends by itself") {
  BatchLimits limits;
  limits.delay = 2ms;
  Fixture f(limits);
  const auto op = list_op();
  auto a = f.submit(op, 1), b = f.submit(op, 2);
  CHECK(is(a, 2.0F));
  CHECK(is(b, 3.0F));
}

TEST_CASE("a full queue refuses, and a closed batcher drains or fails what waits") {
  BatchLimits limits;
  limits.requests = 2;
  Fixture f(limits);
  f.batcher->hold(100);
  const auto op = list_op();
  auto a = f.submit(op, 1), b = f.submit(op, 2);
  CHECK_THROWS_AS(f.batcher->check_room(4), Error);
  CHECK_THROWS_AS(f.submit(op, 3), Error);
  CHECK(f.batcher->state().statistics.rejected == 2);
  SUBCASE("drain") {
    f.batcher->close(true);
    CHECK(is(a, 2.0F));
    CHECK(is(b, 3.0F));
  }
  SUBCASE("no drain") {
    f.batcher->close(false);
    CHECK(is(a, ErrorCode::ERR_CLOSED));
    CHECK(is(b, ErrorCode::ERR_CLOSED));
  }
  CHECK_THROWS_AS(f.submit(op, 3), Error);
}

TEST_CASE("what waits for an executor that ends fails, and the batcher is closed") {
  Fixture f;
  auto other = make_request(op([](Inputs) -> Outputs {
    std::this_thread::sleep_for(100ms);
    return {number(0)};
  }));
  f.executor->submit(std::move(other.request));
  auto waiting = f.submit(list_op(), 1);
  f.executor.reset();
  const Outcome outcome = waiting.get();
  // If this thread paused for longer than the other request takes, the batch ran.
  if (std::holds_alternative<float>(outcome)) return;
  CHECK(std::get<ErrorCode>(outcome) == ErrorCode::ERR_CLOSED);
  CHECK_THROWS_AS(f.submit(list_op(), 3), Error);
}

TEST_CASE("a request whose device is lost after the batcher was closed does not run elsewhere") {
  Fixture f;
  Executor second(Device::cpu());
  f.batcher->add_replica(Device::cpu(), *f.executor);
  f.batcher->add_replica(Device::cpu(), second);
  std::promise<void> running, release;
  std::atomic<int> runs = 0;
  const auto op = list_op([&](const std::vector<float>&) {
    if (++runs > 1) return;
    running.set_value();
    release.get_future().wait();
    throw Error(ErrorCode::ERR_DEVICE_LOST, "gone");
  });
  auto outcome = f.submit(op, 1);
  running.get_future().wait();
  bool drain = false;
  SUBCASE("no drain") {}
  SUBCASE("drain") { drain = true; }
  f.batcher->close(drain);
  release.set_value();
  CHECK((drain ? is(outcome, 2.0F) : is(outcome, ErrorCode::ERR_DEVICE_LOST)));
}

TEST_CASE(
    "replicas share the load; requests of a lost one run once more elsewhere, and without any all fail") {
  Fixture f;
  Executor second(Device::cpu());
  f.batcher->add_replica(Device::cpu(), *f.executor);
  f.batcher->add_replica(Device::cpu(), second);
  std::atomic<int> losses = 1;
  const auto op = list_op([&](const std::vector<float>&) {
    if (losses.fetch_sub(1) > 0) throw Error(ErrorCode::ERR_DEVICE_LOST, "gone");
  });
  f.batcher->hold(4);
  std::vector<std::future<Outcome>> outcomes;
  for (int i = 0; i < 4; ++i) outcomes.push_back(f.submit(op, static_cast<float>(i)));
  for (int i = 0; i < 4; ++i) CHECK(is(outcomes[static_cast<std::size_t>(i)], static_cast<float>(i + 1)));
  const std::vector<BatcherDeviceState> devices = f.batcher->state().devices;
  CHECK(devices.size() == 2);
  CHECK(devices[0].lost != devices[1].lost);
  losses = 1;
  auto last = f.submit(op, 9);
  CHECK(is(last, ErrorCode::ERR_DEVICE_LOST));
  CHECK_THROWS_AS(f.submit(op, 9), Error);
  CHECK(f.batcher->state().queued == 0);
}

TEST_CASE("requests of a batch that runs in parts move to another device, each by its own failure") {
  Fixture f;
  Executor second(Device::cpu());
  f.batcher->add_replica(Device::cpu(), *f.executor);
  f.batcher->add_replica(Device::cpu(), second);
  std::atomic<int> runs = 0;
  const auto op = list_op([&](const std::vector<float>&) {
    const int run = ++runs;
    if (run == 1) throw Error(ErrorCode::ERR_OUT_OF_MEMORY, "too many");
    if (run == 3) throw Error(ErrorCode::ERR_DEVICE_LOST, "gone");
  });
  f.batcher->hold(4);
  std::vector<std::future<Outcome>> outcomes;
  for (int i = 0; i < 4; ++i) outcomes.push_back(f.submit(op, static_cast<float>(i)));
  for (int i = 0; i < 4; ++i) CHECK(is(outcomes[static_cast<std::size_t>(i)], static_cast<float>(i + 1)));
  CHECK(runs == 4);
}

TEST_CASE("an executor with several threads runs as many batches at a time") {
  BatchLimits limits = {};
  limits.images = 1;
  Fixture f(limits);
  f.executor = std::make_unique<Executor>(Device::cpu(), 2);
  std::atomic<int> waiting = 0;
  std::promise<void> met;
  const std::shared_future<void> both = met.get_future().share();
  const auto op = list_op([&](const std::vector<float>&) {
    if (++waiting == 2) met.set_value();
    if (both.wait_for(10s) != std::future_status::ready) throw Error(ErrorCode::ERR_TIMEOUT, "alone");
  });
  auto first = f.submit(op, 1);
  auto other = f.submit(op, 2);
  CHECK(is(first, 2.0F));
  CHECK(is(other, 3.0F));
}

TEST_CASE("a request that runs at once is counted for its device") {
  Fixture f;
  Batched made = batched(list_op(), 1, 1);
  f.batcher->run_inline(*made.request, f.lane());
  CHECK(is(made.outcome, 2.0F));
  auto queued = f.submit(list_op(), 4);
  CHECK(is(queued, 5.0F));
  const std::vector<BatcherDeviceState> devices = f.batcher->state().devices;
  CHECK(devices.size() == 1);
  CHECK(devices[0].batches == 2);
  CHECK(devices[0].images == 2);
}

TEST_CASE("many threads submit, cancel and ask at once: each request is settled once") {
  BatchLimits limits = {};
  limits.images = 7;
  limits.levels = 2;
  Fixture f(limits);
  const auto op = list_op();
  std::atomic<uint64_t> ids = 0;
  std::atomic<int> settled = 0;
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        Batched made = batched(op, 1, ++ids);
        const uint64_t id = made.request->id;
        made.request->priority = i % 2;
        if (i % 5 == 0) made.request->deadline = Clock::now() + 1ms;
        f.batcher->submit(std::move(made.request), *f.executor);
        if (i % 3 == 0) f.batcher->cancel(id);
        if (i % 16 == 0) static_cast<void>(f.batcher->state());
        made.outcome.wait();
        ++settled;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  CHECK(settled == 1200);
  const BatcherStatistics s = f.batcher->state().statistics;
  CHECK(s.succeeded + s.cancelled + s.timed_out == 1200);
}

TEST_SUITE_END();
