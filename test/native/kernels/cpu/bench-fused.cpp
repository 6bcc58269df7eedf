// Timings of the fused engine alone: bench-fused [threads] [rounds] [workload]
//
// Each round runs every instruction set once, in turn, and a loop of multiply-adds in registers that measures
// the core's peak at that moment. It prints medians, GFLOP/s of the first product, and the share of that
// peak.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/fused.hpp"
#include "problem.hpp"

namespace {

using namespace test;

struct Workload {
  const char* name;
  Case config;
};

const Workload kWorkloads[] = {
    {"doc-1", {1, 64, 32, 32, 8, 2}},      {"doc-2", {2, 128, 64, 64, 16, 4}},
    {"zeta-test", {1, 256, 10, 10, 8, 2}}, {"rt1-step", {6, 512, 9, 9, 8, 2}},
    {"rt1-batch", {48, 512, 9, 9, 8, 2}},  {"lucid", {12, 768, 7, 7, 8, 2}},
    {"vit-b", {32, 768, 14, 14, 16, 2}},   {"vit-l", {1, 1024, 32, 32, 16, 2}},
    {"cifar", {256, 128, 8, 8, 4, 2}},     {"c192", {8, 192, 14, 14, 8, 2}},
};

double milliseconds(const auto& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/** GFLOP/s of one core: 12 independent chains of multiply-adds, on the widest vectors that it has. */
double measured_peak() {
#if defined(__x86_64__)
  constexpr std::int64_t kSteps = 500000;
  const bool wide = is_available(Isa::avx512);
  if (!is_available(Isa::avx2)) return NAN;
#define CHAIN(reg, n) "vfmadd231ps %%" reg "14, %%" reg "15, %%" reg #n "\n\t"
#define CHAINS(reg) \
  CHAIN(reg, 0)     \
  CHAIN(reg, 1)     \
  CHAIN(reg, 2)     \
  CHAIN(reg, 3)     \
  CHAIN(reg, 4)     \
  CHAIN(reg, 5) CHAIN(reg, 6) CHAIN(reg, 7) CHAIN(reg, 8) CHAIN(reg, 9) CHAIN(reg, 10) CHAIN(reg, 11)
#define CLOBBERS                                                                                             \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", \
      "xmm15"
  const double ms = milliseconds([&] {
    asm volatile("vzeroall" ::: CLOBBERS, "xmm12", "xmm13");
    for (std::int64_t i = 0; i < kSteps; ++i) {
      if (wide) {
        asm volatile(CHAINS("zmm")::: CLOBBERS);
      } else {
        asm volatile(CHAINS("ymm")::: CLOBBERS);
      }
    }
    asm volatile("vzeroupper");
  });
  return 12.0 * (wide ? 32 : 16) * kSteps / ms * 1e-6;
#else
  return NAN;
#endif
}

void bench(const Workload& workload, int threads, int rounds) {
  const Problem problem(workload.config, DType::float32);
  const std::vector<Isa> isas = available_isas();
  std::vector<std::shared_ptr<const PackedWeights>> packed(isas.size());
  for (std::size_t i = 0; i < isas.size(); ++i) PackedWeights::pack(problem.weights(), isas[i], packed[i]);
  std::vector<float> tokens(problem.token_count()), attention(problem.attention_count());
  const ForwardParams params = problem.params(tokens.data(), attention.data());
  std::vector<std::vector<double>> times(isas.size());
  std::vector<double> peaks;
  for (int round = 0; round < rounds; ++round) {
    peaks.push_back(measured_peak());
    for (std::size_t i = 0; i < isas.size(); ++i) {
      times[i].push_back(
          milliseconds([&] { fused_forward(params, *packed[i], ComputePool::shared(), threads); }));
    }
  }
  const Case& c = workload.config;
  const double flop = 2.0 * double(c.batch * c.pixels() * c.channels * c.hidden() * c.tokens);
  std::printf("%-10s peak %.0f GFLOP/s a core", workload.name, median(peaks));
  for (std::size_t i = 0; i < isas.size(); ++i) {
    const double ms = median(times[i]);
    const double rate = flop / ms * 1e-6;
    std::printf("  | %s %8.3f ms %6.1f GFLOP/s %3.0f %%", name_of(isas[i]), ms, rate,
                100 * rate / median(peaks) / threads);
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 11;
  for (const Workload& workload : kWorkloads) {
    if (argc <= 3 || std::strcmp(argv[3], workload.name) == 0) bench(workload, threads, rounds);
  }
  return 0;
}
