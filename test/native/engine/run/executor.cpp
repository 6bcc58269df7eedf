#include "engine/run/executor.hpp"

#include <doctest.h>

#include <atomic>
#include <thread>

#include "fake-op.hpp"

using namespace test;

namespace {

/// An operator that runs until it is let go.
class Blocker {
 public:
  std::shared_ptr<const Op> op() {
    return test::op([this](Inputs) {
      begun_.set_value();
      release_.get_future().wait();
      return Outputs{number(-1)};
    });
  }
  void wait_until_begun() { begun_.get_future().wait(); }
  void release() { release_.set_value(); }

 private:
  std::promise<void> begun_;
  std::promise<void> release_;
};

bool has_room(const Executor& executor, std::size_t bytes = sizeof(float)) {
  try {
    executor.check_room(bytes);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::ERR_QUEUE_FULL);
    return false;
  }
  return true;
}

/// As that of a batcher.
class Unlimited final : public Job {
 public:
  explicit Unlimited(std::promise<void>& done) : done_(done) {}
  void compute() noexcept override {}
  void settle() noexcept override { done_.set_value(); }
  void fail(ErrorCode, const char*) noexcept override { done_.set_value(); }
  bool is_limited() const override { return false; }

 private:
  std::promise<void>& done_;
};

}  // namespace

TEST_SUITE_BEGIN("engine/executor");

TEST_CASE("requests run one after the other, in order, on another thread") {
  Executor executor(Device::cpu());
  std::vector<int> order;
  std::thread::id thread;
  std::vector<std::future<Outcome>> outcomes;
  for (int i = 0; i < 100; ++i) {
    Made made = make_request(op([&order, &thread, i](Inputs) {
      order.push_back(i);
      thread = std::this_thread::get_id();
      return Outputs{number(static_cast<float>(i))};
    }));
    outcomes.push_back(std::move(made.outcome));
    executor.submit(std::move(made.request));
  }
  for (int i = 0; i < 100; ++i)
    CHECK(std::get<float>(outcomes[static_cast<std::size_t>(i)].get()) == static_cast<float>(i));
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(order.size() == 100);
  CHECK(thread != std::this_thread::get_id());
}

TEST_CASE("many threads may submit and cancel at once") {
  Executor executor(Device::cpu());
  std::atomic<int> done = 0;
  std::vector<std::thread> clients;
  for (uint64_t client = 1; client <= 4; ++client) {
    clients.emplace_back([&, client] {
      for (uint64_t i = 0; i < 200; ++i) {
        const uint64_t id = client * 1000 + i;
        Made made = make_request(plus(1), 1, id);
        executor.submit(std::move(made.request));
        if (i % 3 == 0) executor.cancel(id);
        made.outcome.wait();
        ++done;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  CHECK(done == 800);
}

TEST_CASE("a waiting request that is cancelled leaves the queue; the others run") {
  Executor executor(Device::cpu());
  Blocker blocker;
  Made running = make_request(blocker.op(), 0, 1);
  Made waiting = make_request(plus(1), 1, 2);
  Made last = make_request(plus(1), 2, 3);
  executor.submit(std::move(running.request));
  blocker.wait_until_begun();
  executor.submit(std::move(waiting.request));
  executor.submit(std::move(last.request));
  CHECK(executor.cancel(2));
  // At once, while the first one still runs.
  CHECK(std::get<ErrorCode>(waiting.outcome.get()) == ErrorCode::ERR_CLOSED);
  CHECK_FALSE(executor.cancel(2));
  blocker.release();
  CHECK(std::get<float>(running.outcome.get()) == -1);
  CHECK(std::get<float>(last.outcome.get()) == 3);
}

TEST_CASE("a running request that is cancelled drops its outputs") {
  Executor executor(Device::cpu());
  Blocker blocker;
  Made running = make_request(blocker.op(), 0, 7);
  executor.submit(std::move(running.request));
  blocker.wait_until_begun();
  CHECK(executor.cancel(7));
  CHECK_FALSE(executor.cancel(8));
  blocker.release();
  CHECK(std::get<ErrorCode>(running.outcome.get()) == ErrorCode::ERR_CLOSED);
}

TEST_CASE("the queue's limit is exact") {
  Executor executor(Device::cpu());
  executor.set_queue_limits({.requests = 2});
  Blocker blocker;
  Made running = make_request(blocker.op());
  executor.submit(std::move(running.request));
  blocker.wait_until_begun();
  Made first = make_request(plus(1));
  Made second = make_request(plus(1));
  executor.submit(std::move(first.request));
  CHECK(has_room(executor));
  executor.submit(std::move(second.request));
  CHECK_FALSE(has_room(executor));
  blocker.release();
  CHECK(std::get<float>(first.outcome.get()) == 1);
  CHECK(std::get<float>(second.outcome.get()) == 1);
}

TEST_CASE("jobs with limits of their own take no room from requests") {
  Executor executor(Device::cpu());
  executor.set_queue_limits({.requests = 1});
  Blocker blocker;
  Made running = make_request(blocker.op());
  executor.submit(std::move(running.request));
  blocker.wait_until_begun();
  std::promise<void> done;
  executor.submit(std::make_unique<Unlimited>(done));
  CHECK(has_room(executor));
  Made waiting = make_request(plus(1));
  executor.submit(std::move(waiting.request));
  CHECK_FALSE(has_room(executor));
  blocker.release();
  done.get_future().wait();
  CHECK(std::get<float>(waiting.outcome.get()) == 1);
}

TEST_CASE("an idle executor takes a request with any limit; requests that wait are counted by their bytes") {
  Executor executor(Device::cpu());
  executor.set_queue_limits({.requests = 0});
  for (int i = 0; i < 100; ++i) {
    Made made = make_request(plus(1));
    executor.submit(std::move(made.request));
    CHECK(std::get<float>(made.outcome.get()) == 1);
  }
  executor.set_queue_limits({.bytes = 2 * sizeof(float)});
  Blocker blocker;
  std::vector<Made> accepted;
  accepted.push_back(make_request(blocker.op()));
  for (int i = 0; i < 2; ++i) accepted.push_back(make_request(plus(1)));
  for (Made& made : accepted) executor.submit(std::move(made.request));
  CHECK_FALSE(has_room(executor));
  blocker.release();
  for (Made& made : accepted) made.outcome.get();
  // Their bytes are free again.
  Made later = make_request(plus(1));
  executor.submit(std::move(later.request));
  CHECK(std::get<float>(later.outcome.get()) == 1);
}

TEST_CASE("a closing executor finishes what runs and fails what waits") {
  Blocker blocker;
  Made running = make_request(blocker.op());
  Made waiting = make_request(plus(1));
  {
    Executor executor(Device::cpu());
    executor.submit(std::move(running.request));
    blocker.wait_until_begun();
    executor.submit(std::move(waiting.request));
    blocker.release();
    // Either it was run before the executor closed, or it fails: it is settled in any case.
  }
  CHECK(std::get<float>(running.outcome.get()) == -1);
  const Outcome outcome = waiting.outcome.get();
  CHECK((std::holds_alternative<float>(outcome) || std::get<ErrorCode>(outcome) == ErrorCode::ERR_CLOSED));
}

TEST_SUITE_END();
