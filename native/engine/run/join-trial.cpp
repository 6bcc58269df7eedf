#include "engine/run/join-trial.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "engine/error.hpp"
#include "engine/run/joined.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

/// The largest difference that another algorithm for another size of batch explains, as a part of the largest value.
double tolerance(DType dtype) {
  if (dtype == DType::float16 || dtype == DType::bfloat16) return 2e-2;
  return is_floating(dtype) ? 1e-3 : 0;
}

Tensor on_host(const Tensor& tensor, DType dtype) { return aten::to_copy(tensor, dtype, Device::cpu()); }

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape != b.shape) return false;
  const Tensor first = on_host(a, a.dtype), second = on_host(b, b.dtype);
  return first.numel() == 0 || std::memcmp(first.data(), second.data(), first.byte_length()) == 0;
}

bool agree(const Tensor& alone, const Tensor& joined) {
  if (alone.shape != joined.shape || alone.dtype != joined.dtype) return false;
  if (!is_floating(alone.dtype)) return same_bits(alone, joined);
  const Tensor a = on_host(alone, DType::float64), b = on_host(joined, DType::float64);
  const auto* const x = reinterpret_cast<const double*>(a.data());
  const auto* const y = reinterpret_cast<const double*>(b.data());
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    if (!std::isfinite(x[i])) {
      if (!(x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i])))) return false;
      continue;
    }
    largest = std::max(largest, std::abs(x[i]));
    if (!std::isfinite(y[i])) return false;
    difference = std::max(difference, std::abs(x[i] - y[i]));
  }
  return difference <= tolerance(alone.dtype) * largest;
}

bool all_equal(RequestList list) {
  return std::all_of(list.begin() + 1, list.end(), [&](const ListedRequest& request) {
    return std::equal(request.inputs.begin(), request.inputs.end(), list.front().inputs.begin(),
                      list.front().inputs.end(), same_bits);
  });
}

bool agree(std::span<const Outputs> alone, std::span<const Outputs> joined) {
  return std::equal(alone.begin(), alone.end(), joined.begin(), joined.end(),
                    [](const Outputs& a, const Outputs& b) {
                      return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                                        [](const Tensor& x, const Tensor& y) { return agree(x, y); });
                    });
}

}  // namespace

std::vector<Outputs> JoinTrial::run(const Op& op, Device device, RequestList list) {
  std::vector<Outputs> alone;
  alone.reserve(list.size());
  for (const ListedRequest& request : list)
    alone.push_back(run_on(op, device, request.inputs, *request.options));
  if (has_failed()) return alone;
  // The first that share a run and differ.
  std::size_t first = 0, count = 0;
  for (; first < list.size(); first += count) {
    count = count_in_one_run(op, list.subspan(first));
    if (count > 1 && !all_equal(list.subspan(first, count))) break;
  }
  if (first == list.size()) return alone;
  try {
    const std::vector<Outputs> joined = run_joined(op, device, list.subspan(first, count));
    conclude(agree(std::span(alone).subspan(first, count), joined) ? State::passed : State::failed);
  } catch (const Error& error) {
    // Memory may suffice for a smaller batch. Anything else shows that the program does not take a batch.
    if (error.code() != ErrorCode::ERR_OUT_OF_MEMORY) conclude(State::failed);
    check_not_lost(device);
  }
  return alone;
}

void JoinTrial::conclude(State verdict) {
  // Several run at a time on a GPU. One that failed counts.
  State open = State::open;
  if (verdict == State::failed) {
    state_ = verdict;
  } else {
    state_.compare_exchange_strong(open, verdict);
  }
}

}  // namespace tokenlearner
