#include "engine/batch/batcher.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/batch/run-batch.hpp"
#include "kernels/spin.hpp"

namespace tokenlearner {

namespace {

/// A turn that finds fewer waits for a burst to end: see Note [Bursts] in arrivals.hpp.
constexpr std::size_t kFewRequests = 16;
constexpr char kCancelled[] = "The request was cancelled";
constexpr char kAllLost[] = "All devices of the batcher are lost";
constexpr char kClosed[] = "The batcher was closed; the request was not run";

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

/// See Note [Turns].
class Batcher::Turn final : public Job {
 public:
  Turn(std::shared_ptr<Batcher> batcher, Lane& lane) : batcher_(std::move(batcher)), lane_(lane) {}

  void compute() noexcept override {
    batcher_->arrivals_.await_burst(batcher_->enough_);
    batch_ = batcher_->take(lane_);
    if (batch_.empty()) return;
    began_ = Clock::now();
    try {
      // Requests of one batch have one operator.
      const std::shared_ptr<const Op>& op = batch_.front()->op;
      const bool is_replica = batcher_->has_replicas_;
      const std::shared_ptr<const Op> local = is_replica ? lane_.replicas.of(op) : op;
      results_ = run_batch(*local, is_replica ? device_for(*local, lane_.device()) : lane_.device(), batch_);
    } catch (...) {
      results_.assign(batch_.size(), {{}, Failure::of_current_exception()});
    }
    computed_ = Clock::now();
    // Free the inputs here, not on the thread that handles the results.
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      if (!may_fail_over(*batch_[i], results_[i].failure)) batch_[i]->inputs.clear();
    }
  }

  void settle() noexcept override {
    batcher_->finish(lane_, std::move(batch_), std::move(results_), began_, computed_);
  }

  void fail(ErrorCode code, const char* message) noexcept override {
    batcher_->abandon(lane_, code, message);
  }

  bool is_limited() const override { return false; }

 private:
  /// A batch runs in parts after a failure, so that its requests may end in different ways.
  bool may_fail_over(const BatchRequest& request, const std::optional<Failure>& failure) const {
    return batcher_->has_replicas_ && failure && failure->code == ErrorCode::ERR_DEVICE_LOST &&
           !request.failed_over;
  }

  std::shared_ptr<Batcher> batcher_;
  Lane& lane_;
  BatchRequests batch_;
  std::vector<BatchResult> results_;
  Clock::time_point began_;
  Clock::time_point computed_;
};

Batcher::Batcher(const BatchLimits& limits, CompletionSink& sink)
    : sink_(sink),
      enough_(std::min(kFewRequests, static_cast<std::size_t>(std::max<int64_t>(limits.images, 1)))),
      queue_(limits),
      delay_(limits.delay) {}

Batcher::~Batcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_timer_.notify_all();
  if (timer_) platform::join_thread(*timer_);
}

void Batcher::add_replica(Device device, Executor& executor) {
  const std::lock_guard lock(mutex_);
  has_replicas_ = true;
  lanes_.push_back(std::make_unique<Lane>(device, executor));
}

void Batcher::check_room(std::size_t bytes) {
  const Lock lock = kernels::lock_soon(mutex_);
  require_room(bytes);
}

void Batcher::require_room(std::size_t bytes) {
  if (closed_) throw Error(ErrorCode::ERR_CLOSED, "The batcher was closed");
  if (all_lost()) throw Error(ErrorCode::ERR_DEVICE_LOST, kAllLost);
  if (queue_.has_room(bytes)) return;
  ++statistics_.requests;
  ++statistics_.rejected;
  throw Error(ErrorCode::ERR_QUEUE_FULL, "The batcher's queue is full: " + std::to_string(queue_.size()) +
                                             " requests with inputs of " + std::to_string(queue_.bytes()) +
                                             " bytes wait, and this one has " + std::to_string(bytes));
}

void Batcher::submit(std::shared_ptr<BatchRequest> request, Executor& executor) {
  const Lock lock = kernels::lock_soon(mutex_);
  require_room(request->bytes);
  if (request->deadline || delay_.count() > 0) start_timer();
  if (!has_replicas_) lane_of(request->device, executor);
  ++statistics_.requests;
  if (request->deadline) deadlines_.insert(request.get());
  queue_.add(std::move(request));
  const Clock::time_point now = Clock::now();
  arrivals_.add(now, queue_.size());
  schedule(now);
}

bool Batcher::is_free() const {
  const Lock lock = kernels::lock_soon(mutex_);
  return queue_.size() == 0 && !queue_.held() && running_.empty() && delay_.count() == 0 && !has_replicas_;
}

void Batcher::run_inline(BatchRequest& request, Executor& executor) {
  std::vector<RequestOutcome> outcomes(1);
  RequestOutcome& outcome = outcomes.front();
  outcome.completion = std::move(request.completion);
  try {
    outcome.outputs = run_on(*request.op, request.device, request.inputs, request.options);
  } catch (...) {
    outcome.failure = Failure::of_current_exception();
  }
  const Clock::time_point now = Clock::now();
  const Clock::duration time = now - request.arrival;
  const bool is_late = request.deadline && now >= *request.deadline;
  if (is_late) {
    outcome.outputs.clear();
    outcome.failure = timed_out();
  }
  {
    const Lock lock = kernels::lock_soon(mutex_);
    BatcherStatistics& s = statistics_;
    ++s.requests;
    ++s.batches;
    BatcherDeviceState& device = lane_of(request.device, executor).state;
    ++device.batches;
    device.images += static_cast<uint64_t>(request.size.images);
    s.batch_requests.add(1);
    s.batch_images.add(static_cast<double>(request.size.images));
    s.queue_ms.add(0);
    s.compute_ms.add(milliseconds(time));
    if (is_late) {
      ++s.timed_out;
    } else if (outcome.failure) {
      ++s.failed;
    } else {
      ++s.succeeded;
      s.images += static_cast<uint64_t>(request.size.images);
      s.input_time += request.input_time;
      s.compute_time += time;
      s.request_time += request.input_time + time;
    }
  }
  deliver(std::move(outcomes));
}

bool Batcher::all_lost() const {
  return has_replicas_ &&
         std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->state.lost; });
}

bool Batcher::fits(const Lane& lane, Device device) const { return has_replicas_ || lane.device() == device; }

Batcher::Lane& Batcher::lane_of(Device device, Executor& executor) {
  const auto found = std::find_if(lanes_.begin(), lanes_.end(),
                                  [device](const auto& lane) { return lane->device() == device; });
  return found != lanes_.end() ? **found : *lanes_.emplace_back(std::make_unique<Lane>(device, executor));
}

Batcher::Lane* Batcher::least_loaded(Clock::time_point now) {
  Lane* best = nullptr;
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    // One turn that waits for its batch is enough.
    if (lane->state.lost || lane->turns >= lane->depth() || lane->idle_turns > 0) continue;
    const auto ready = queue_.ready_at(now, [&](Device device) { return fits(*lane, device); });
    if (!ready || *ready > now) continue;
    const auto load = [](const Lane& l) { return std::pair(l.turns, l.running_images); };
    if (best == nullptr || load(*lane) < load(*best)) best = lane.get();
  }
  return best;
}

void Batcher::schedule(Clock::time_point now) {
  start_turns(now);
  if (!timer_) return;
  // A group that is ready hides the later times of the others from next_event(): each turn that ends comes here again.
  const std::optional<Clock::time_point> event = next_event(now);
  if (event && *event < timer_wakes_) wake_timer_.notify_one();
}

void Batcher::start_turns(Clock::time_point now) {
  // Nothing waits, and the executors may have ended.
  if (dropped_) return;
  // With one replica idle, one turn is enough: the batch that it takes may be all that waits.
  while (Lane* const lane = least_loaded(now)) {
    lane->executor.submit(std::make_unique<Turn>(shared_from_this(), *lane));
    ++lane->turns;
    ++lane->idle_turns;
    if (has_replicas_) return;
  }
}

BatchRequests Batcher::take(Lane& lane) {
  BatchRequests batch;
  std::vector<RequestOutcome> late;
  {
    const Lock lock = kernels::lock_soon(mutex_);
    const Clock::time_point now = Clock::now();
    --lane.idle_turns;
    // The timer may not have come to them yet.
    late = expired(now);
    if (!lane.state.lost) batch = queue_.take(now, [&](Device device) { return fits(lane, device); });
    arrivals_.left(queue_.size());
    if (!batch.empty()) begin(lane, batch, now);
    // Requests beyond the limits, or for another device, may still wait.
    schedule(now);
  }
  deliver(std::move(late));
  return batch;
}

void Batcher::begin(Lane& lane, const BatchRequests& batch, Clock::time_point now) {
  int64_t images = 0;
  for (const auto& request : batch) {
    running_.emplace(request->id, request);
    images += request->size.images;
    statistics_.queue_ms.add(milliseconds(now - request->arrival));
  }
  ++statistics_.batches;
  ++lane.state.batches;
  lane.state.images += static_cast<uint64_t>(images);
  lane.state.running += batch.size();
  lane.running_images += static_cast<std::size_t>(images);
  statistics_.batch_requests.add(static_cast<double>(batch.size()));
  statistics_.batch_images.add(static_cast<double>(images));
}

RequestOutcome Batcher::concluded(BatchRequest& request, Outputs outputs, std::optional<Failure> failure) {
  if (request.deadline) deadlines_.erase(&request);
  return {std::move(request.completion), std::move(outputs), std::move(failure)};
}

/// Decides about a request whose device was lost. True if it waits for another one.
bool Batcher::conclude_on_lost(Lane& lane, const std::shared_ptr<BatchRequest>& request) {
  if (!has_replicas_) return false;
  lane.state.lost = true;
  if (dropped_ || all_lost() || request->failed_over || request->inputs.empty() ||
      request->completion == nullptr)
    return false;
  request->failed_over = true;
  queue_.add(request);
  return true;
}

void Batcher::finish(Lane& lane, BatchRequests batch, std::vector<BatchResult> results,
                     Clock::time_point began, Clock::time_point computed) {
  std::vector<RequestOutcome> outcomes;
  {
    const Lock lock = kernels::lock_soon(mutex_);
    --lane.turns;
    outcomes = expired(Clock::now());
    if (!batch.empty()) statistics_.compute_ms.add(milliseconds(computed - began));
    for (std::size_t i = 0; i < batch.size(); ++i) {
      BatchRequest& request = *batch[i];
      running_.erase(request.id);
      --lane.state.running;
      lane.running_images -= static_cast<std::size_t>(request.size.images);
      std::optional<Failure>& failure = results[i].failure;
      if (failure && failure->code == ErrorCode::ERR_DEVICE_LOST && conclude_on_lost(lane, batch[i]))
        continue;
      // It was cancelled, or its time was over.
      if (request.completion == nullptr) continue;
      if (failure) {
        ++statistics_.failed;
      } else {
        ++statistics_.succeeded;
        statistics_.images += static_cast<uint64_t>(request.size.images);
        statistics_.input_time += request.input_time;
        statistics_.queue_time += began - request.arrival;
        statistics_.compute_time += computed - began;
        const Clock::time_point now = Clock::now();
        statistics_.output_time += now - computed;
        statistics_.request_time += now - request.arrival + request.input_time;
      }
      outcomes.push_back(concluded(request, std::move(results[i].outputs), std::move(failure)));
      outcomes.back().request = std::move(batch[i]);
    }
    if (all_lost()) {
      for (RequestOutcome& outcome : fail_all(ErrorCode::ERR_DEVICE_LOST, kAllLost))
        outcomes.push_back(std::move(outcome));
    }
    schedule(Clock::now());
  }
  deliver(std::move(outcomes));
}

void Batcher::abandon(Lane& lane, ErrorCode code, const char* message) {
  std::vector<RequestOutcome> outcomes;
  {
    const std::lock_guard lock(mutex_);
    --lane.turns;
    --lane.idle_turns;
    closed_ = true;
    dropped_ = true;
    outcomes = fail_all(code, message);
  }
  deliver(std::move(outcomes));
}

std::vector<RequestOutcome> Batcher::fail_all(ErrorCode code, const char* message) {
  std::vector<RequestOutcome> outcomes;
  for (const auto& request : queue_.clear()) {
    ++statistics_.failed;
    outcomes.push_back(concluded(*request, {}, Failure{code, message}));
  }
  return outcomes;
}

bool Batcher::cancel(uint64_t id) {
  std::vector<RequestOutcome> outcomes;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<BatchRequest> request = queue_.remove(id);
    if (request == nullptr) {
      const auto running = running_.find(id);
      if (running == running_.end() || running->second->completion == nullptr) return false;
      request = running->second;
    }
    ++statistics_.cancelled;
    outcomes.push_back(concluded(*request, {}, Failure{ErrorCode::ERR_CLOSED, kCancelled}));
  }
  deliver(std::move(outcomes));
  return true;
}

void Batcher::close(bool drain) {
  std::vector<RequestOutcome> outcomes;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    queue_.hold(0);
    queue_.end_delays();
    if (drain) {
      schedule(Clock::now());
    } else {
      dropped_ = true;
      outcomes = fail_all(ErrorCode::ERR_CLOSED, kClosed);
    }
  }
  deliver(std::move(outcomes));
}

BatcherState Batcher::state() const {
  const std::lock_guard lock(mutex_);
  BatcherState state;
  state.queued = queue_.size();
  state.queued_bytes = queue_.bytes();
  state.running = running_.size();
  state.statistics = statistics_;
  for (const auto& lane : lanes_) state.devices.push_back(lane->state);
  return state;
}

void Batcher::hold(std::size_t requests) {
  const std::lock_guard lock(mutex_);
  queue_.hold(queue_.size() >= requests ? 0 : requests);
  schedule(Clock::now());
  wake_timer_.notify_one();
}

void Batcher::deliver(std::vector<RequestOutcome> outcomes) {
  if (!outcomes.empty()) sink_.deliver(std::move(outcomes));
}

}  // namespace tokenlearner
