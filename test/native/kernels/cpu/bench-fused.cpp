// Timings of the fused engine alone: bench-fused [threads] [rounds] [workload]
//
// Each round runs every instruction set once, in turn, and before it a loop of multiply-adds in registers that measures the
// core's peak at that moment with its vectors. It prints medians of time, of GFLOP/s of the first product, and of their share of
// what a core can attain. We count two costs for each vector of hidden elements: C multiply-adds, at 92 % of the peak as in the
// best products, and the 21 instructions of GELU, two in each cycle.
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
    {"cifar", {256, 128, 8, 8, 4, 2}},     {"c192", {1, 192, 14, 14, 8, 2}},
    {"c320", {1, 320, 12, 20, 8, 2}},      {"c96", {1, 96, 40, 40, 8, 2}},
    {"c48", {1, 48, 15, 17, 8, 2}},
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

/** GFLOP/s of one core: 12 independent chains of multiply-adds, on the vectors of `isa`. */
double measured_peak(Isa isa) {
#if defined(__x86_64__)
  constexpr std::int64_t kSteps = 250000;
  const bool wide = isa == Isa::avx512;
  if (!wide && isa != Isa::avx2) return NAN;
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
  static_cast<void>(isa);
  return NAN;
#endif
}

/** Of the peak: see the head of this file. */
double attainable(double channels) { return channels / 2 / (channels / (2 * 0.92) + 10.5); }

void bench(const Workload& workload, int threads, int rounds) {
  const Problem problem(workload.config, DType::float32);
  const std::vector<Isa> isas = available_isas();
  std::vector<std::shared_ptr<const PackedWeights>> packed(isas.size());
  for (std::size_t i = 0; i < isas.size(); ++i) PackedWeights::pack(problem.weights(), isas[i], packed[i]);
  std::vector<float> tokens(problem.token_count()), attention(problem.attention_count());
  const ForwardParams params = problem.params(tokens.data(), attention.data());
  const Case& c = workload.config;
  const double flop = 2.0 * double(c.batch * c.pixels() * c.channels * c.hidden() * c.tokens);
  std::vector<std::vector<double>> times(isas.size()), rates(isas.size()), shares(isas.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < isas.size(); ++i) {
      const double peak = measured_peak(isas[i]);
      const double ms =
          milliseconds([&] { fused_forward(params, *packed[i], ComputePool::shared(), threads); });
      times[i].push_back(ms);
      rates[i].push_back(flop / ms * 1e-6);
      shares[i].push_back(flop / ms * 1e-6 / peak / threads / attainable(double(c.channels)));
    }
  }
  std::printf("%-10s", workload.name);
  for (std::size_t i = 0; i < isas.size(); ++i) {
    std::printf("  | %s %8.3f ms %6.1f GFLOP/s %3.0f %%", name_of(isas[i]), median(times[i]),
                median(rates[i]), 100 * median(shares[i]));
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
