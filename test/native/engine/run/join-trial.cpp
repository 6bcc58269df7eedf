#include "engine/run/join-trial.hpp"

#include <doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "engine/run/graph.hpp"
#include "engine/run/joined.hpp"
#include "fake-op.hpp"

using namespace tokenlearner;

TEST_SUITE_BEGIN("engine/join-trial");

namespace {

using Numbers = std::vector<float>;

Tensor batch_of(const Numbers& numbers) {
  Tensor tensor = Tensor::empty({static_cast<int64_t>(numbers.size())}, DType::float32);
  std::copy(numbers.begin(), numbers.end(), reinterpret_cast<float*>(tensor.data()));
  return tensor;
}

Numbers numbers_of(const Tensor& tensor) {
  const auto* const data = reinterpret_cast<const float*>(tensor.data());
  return Numbers(data, data + tensor.numel());
}

/// A function of a batch of numbers that must pass a trial.
class TriedOp final : public Op {
 public:
  using Function = std::function<Numbers(const Numbers&)>;

  explicit TriedOp(Function function, int64_t most = std::numeric_limits<int64_t>::max())
      : Op({}, {}), function_(std::move(function)), most_(most) {}
  Outputs run(Inputs inputs, const CallOptions&) const override {
    if (inputs[0].shape[0] > most_) throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "too many");
    ++runs;
    return {batch_of(function_(numbers_of(inputs[0])))};
  }
  std::optional<int64_t> joined_rank(int64_t rank) const override {
    return trial_.has_failed() ? std::nullopt : std::optional<int64_t>(rank);
  }
  int64_t most_joined() const override { return most_; }
  JoinTrial* join_trial() const override { return &trial_; }
  std::shared_ptr<const Op> with(Placement, std::vector<Tensor>) const override { return nullptr; }

  mutable int runs = 0;

 private:
  Function function_;
  int64_t most_;
  mutable JoinTrial trial_;
};

Numbers each(const Numbers& x, const std::function<float(float)>& function) {
  Numbers y;
  for (const float number : x) y.push_back(function(number));
  return y;
}

Numbers doubled(const Numbers& x) {
  return each(x, [](float number) { return 2 * number; });
}

Numbers less_mean(const Numbers& x) {
  const float mean = std::accumulate(x.begin(), x.end(), 0.0F) / static_cast<float>(x.size());
  return each(x, [mean](float number) { return number - mean; });
}

/// The results of requests that may share a run.
std::vector<Numbers> run_all(const Op& op, const std::vector<Numbers>& requests) {
  std::vector<Tensor> inputs;
  for (const Numbers& numbers : requests) inputs.push_back(batch_of(numbers));
  const CallOptions defaults;
  std::vector<ListedRequest> list;
  for (const Tensor& input : inputs) list.push_back({{&input, 1}, &defaults});
  std::vector<Numbers> results;
  for (const Outputs& outputs : run_list_on(op, Device::cpu(), list))
    results.push_back(numbers_of(outputs[0]));
  return results;
}

const std::vector<Numbers> kRequests{{1, 2}, {5}, {7, 9, 4}};

std::vector<Numbers> alone(const TriedOp::Function& function,
                           const std::vector<Numbers>& requests = kRequests) {
  std::vector<Numbers> results;
  for (const Numbers& request : requests) results.push_back(function(request));
  return results;
}

}  // namespace

TEST_CASE("samples that do not depend on each other share runs after one trial") {
  const TriedOp op(doubled);
  CHECK(run_all(op, kRequests) == alone(doubled));
  CHECK(op.runs == 4);
  CHECK(op.join_trial()->has_passed());
  CHECK(run_all(op, kRequests) == alone(doubled));
  CHECK(op.runs == 5);
}

TEST_CASE("samples that depend on each other get what they get alone, always") {
  const TriedOp op(less_mean);
  for (int i = 0; i < 3; ++i) CHECK(run_all(op, kRequests) == alone(less_mean));
  CHECK(op.join_trial()->has_failed());
  CHECK_FALSE(op.joined_rank(1).has_value());
}

TEST_CASE("equal requests prove nothing") {
  const TriedOp op(less_mean);
  CHECK(run_all(op, {{3}, {3}}) == std::vector<Numbers>{{0}, {0}});
  CHECK_FALSE(op.join_trial()->has_passed());
  CHECK(run_all(op, kRequests) == alone(less_mean));
  CHECK(op.join_trial()->has_failed());
}

TEST_CASE("outputs that do not grow with the batch, and failures, are no passes") {
  const auto sum = [](const Numbers& x) { return Numbers{std::accumulate(x.begin(), x.end(), 0.0F)}; };
  const TriedOp summing(sum);
  CHECK(run_all(summing, kRequests) == alone(sum));
  CHECK(summing.join_trial()->has_failed());
  const auto small = [](const Numbers& x) -> Numbers {
    if (x.size() > 3) throw Error(ErrorCode::ERR_AOTI_RUN, "too large");
    return x;
  };
  const TriedOp limited(small);
  CHECK(run_all(limited, kRequests) == alone(small));
  CHECK(limited.join_trial()->has_failed());
}

TEST_CASE("a NaN or an infinity in the joined run alone is no pass, whatever follows it") {
  for (const float wrong : {NAN, INFINITY}) {
    const auto first_wrong = [wrong](const Numbers& x) {
      Numbers result = x;
      if (x.size() > 3) result[3] += 5, result[4] = wrong;
      return result;
    };
    const TriedOp op(first_wrong);
    CHECK(run_all(op, kRequests) == alone(first_wrong));
    CHECK(op.join_trial()->has_failed());
  }
}

TEST_CASE("a request that fails alone fails, and decides nothing") {
  const auto positive = [](const Numbers& x) -> Numbers {
    if (x.front() < 0) throw Error(ErrorCode::ERR_AOTI_RUN, "negative");
    return x;
  };
  const TriedOp op(positive);
  CHECK_THROWS_AS(run_all(op, {{1}, {-1}}), Error);
  CHECK_FALSE(op.join_trial()->has_failed());
  CHECK(run_all(op, kRequests) == alone(positive));
  CHECK(op.join_trial()->has_passed());
}

TEST_CASE("a run takes no more than its operator does, alone and in a graph") {
  const std::vector<Numbers> requests = {{1, 2}, {3}, {4}, {5, 6, 7}, {8}};
  const auto tried = std::make_shared<TriedOp>(doubled, 3);
  CHECK(run_all(*tried, requests) == alone(doubled, requests));
  CHECK(tried->join_trial()->has_passed());
  tried->runs = 0;
  CHECK(run_all(*tried, requests) == alone(doubled, requests));
  // Of 3, 1, 3 and 1 numbers.
  CHECK(tried->runs == 4);

  const auto step = std::make_shared<TriedOp>(doubled, 3);
  const GraphOp graph(test::chain({std::make_shared<TriedOp>(doubled), step}));
  const auto both = [](const Numbers& x) { return doubled(doubled(x)); };
  CHECK(run_all(graph, requests) == alone(both, requests));
  CHECK(graph.join_trial()->has_passed());
  step->runs = 0;
  CHECK(run_all(graph, requests) == alone(both, requests));
  CHECK(step->runs == 4);
}

TEST_CASE("requests that fill a run each prove nothing") {
  const TriedOp op(less_mean, 2);
  CHECK(run_all(op, {{1, 2}, {3, 5}}) == alone(less_mean, {{1, 2}, {3, 5}}));
  CHECK_FALSE(op.join_trial()->has_passed());
  CHECK_FALSE(op.join_trial()->has_failed());
  CHECK(run_all(op, {{1, 2}, {3}, {5}}) == alone(less_mean, {{1, 2}, {3}, {5}}));
  CHECK(op.join_trial()->has_failed());
}

TEST_CASE("a graph has a trial of its own if a node has one") {
  const auto tried = std::make_shared<TriedOp>(less_mean);
  const GraphOp graph(test::chain({tried, std::make_shared<TriedOp>(doubled)}));
  const auto both = [](const Numbers& x) { return doubled(less_mean(x)); };
  CHECK(graph.joined_rank(1).has_value());
  for (int i = 0; i < 2; ++i) CHECK(run_all(graph, kRequests) == alone(both));
  CHECK(graph.join_trial()->has_failed());
  CHECK_FALSE(graph.joined_rank(1).has_value());
  CHECK(GraphOp(test::chain({test::plus(1)})).join_trial() == nullptr);
}
