#include "engine/batch/run-batch.hpp"

#include "engine/run/joined.hpp"

namespace tokenlearner {

namespace {

using Batch = std::span<const std::shared_ptr<BatchRequest>>;

/// Fills in the results. Returns the failure if there are none.
std::optional<Failure> try_run(const Op& op, Device device, Batch batch, std::span<BatchResult> results) {
  try {
    std::vector<ListedRequest> list;
    list.reserve(batch.size());
    for (const auto& request : batch) list.push_back({request->inputs, &request->options});
    std::vector<Outputs> outputs = run_list_on(op, device, list);
    for (std::size_t i = 0; i < results.size(); ++i) results[i].outputs = std::move(outputs[i]);
    return std::nullopt;
  } catch (...) {
    return Failure::of_current_exception();
  }
}

void run_part(const Op& op, Device device, Batch batch, std::span<BatchResult> results) {
  const std::optional<Failure> failure = try_run(op, device, batch, results);
  if (!failure) return;
  if (batch.size() == 1 || failure->code == ErrorCode::ERR_DEVICE_LOST) {
    for (BatchResult& result : results) result.failure = failure;
    return;
  }
  const std::size_t half = batch.size() / 2;
  run_part(op, device, batch.first(half), results.first(half));
  run_part(op, device, batch.subspan(half), results.subspan(half));
}

}  // namespace

std::vector<BatchResult> run_batch(const Op& op, Device device, Batch batch) {
  std::vector<BatchResult> results(batch.size());
  run_part(op, device, batch, results);
  return results;
}

}  // namespace tokenlearner
