// The host machine finds each way to break the protocol of barriers and bulk copies.
#include <doctest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "host-block.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr std::uint32_t kBarrier = 2048;
constexpr std::uint32_t kBytes = 1024;

/** In a block of 32 threads: each thread's body. */
using Body = std::function<void(HostMachine&)>;

/** The error of a run, or "". */
std::string error_of(const Body& body, Landing landing) {
  try {
    Block({}, {}, 32, kBarrier + 16, landing).run(body);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

/** Whenever copies land, the error that contains `text`; no error if it is empty. */
void check_error(const Body& body, const std::string& text) {
  for (const Landing landing : {Landing::at_once, Landing::when_all_wait}) {
    const std::string error = error_of(body, landing);
    CAPTURE(error);
    CHECK(error.find(text) != std::string::npos);
    CHECK(error.empty() == text.empty());
  }
}

void initialise(HostMachine& machine, int arrivals) {
  if (machine.thread() == 0) machine.barrier_init(kBarrier, arrivals);
  machine.sync();
}

TEST_SUITE("cuda/host-block") {
  TEST_CASE("bytes arrive before or after they are expected") {
    const std::vector<Word4> source(kBytes / sizeof(Word4), Word4{{7, 7, 7, 7}});
    for (const bool expected_first : {false, true}) {
      CAPTURE(expected_first);
      std::uint32_t seen = 0;
      check_error(
          [&](HostMachine& machine) {
            initialise(machine, 1);
            if (machine.thread() != 0) return;
            if (expected_first) machine.barrier_expect(kBarrier, kBytes);
            machine.bulk_copy(0, source.data(), kBytes, kBarrier);
            if (!expected_first) machine.barrier_expect(kBarrier, kBytes);
            machine.barrier_wait(kBarrier, 0);
            seen = machine.shared<std::uint32_t>(0);
          },
          "");
      CHECK(seen == 7);
    }
  }

  TEST_CASE("an arrival that never comes is a deadlock") {
    check_error(
        [](HostMachine& machine) {
          initialise(machine, 2);
          if (machine.thread() == 0) machine.barrier_arrive(kBarrier);
          machine.barrier_wait(kBarrier, 0);
        },
        "deadlock");
  }

  TEST_CASE("bytes that nobody sends are a deadlock") {
    const std::vector<Word4> source(kBytes / sizeof(Word4));
    check_error(
        [&](HostMachine& machine) {
          initialise(machine, 1);
          if (machine.thread() != 0) return;
          machine.barrier_expect(kBarrier, 2 * kBytes);
          machine.bulk_copy(0, source.data(), kBytes, kBarrier);
          machine.barrier_wait(kBarrier, 0);
        },
        "deadlock");
  }

  TEST_CASE("more arrivals than a barrier expects, before the bytes") {
    check_error(
        [](HostMachine& machine) {
          initialise(machine, 1);
          if (machine.thread() != 0) return;
          machine.barrier_expect(kBarrier, kBytes);
          machine.barrier_arrive(kBarrier);
        },
        "more arrivals than a barrier expects");
  }

  TEST_CASE("an arrival at a barrier that is not initialised") {
    check_error([](HostMachine& machine) { machine.barrier_arrive(kBarrier); },
                "a use of a barrier that is not initialised");
  }

  TEST_CASE("a copy that nobody waits for") {
    const std::vector<Word4> source(kBytes / sizeof(Word4));
    const Body body = [&](HostMachine& machine) {
      initialise(machine, 1);
      if (machine.thread() == 0) machine.bulk_copy(0, source.data(), kBytes, kBarrier);
    };
    CHECK(error_of(body, Landing::when_all_wait) == "a bulk copy was still under way when its block ended");
  }

  TEST_CASE("a copy to what a thread has read without saying that it has finished") {
    const std::vector<Word4> source(kBytes / sizeof(Word4));
    for (const bool finishes : {false, true}) {
      CAPTURE(finishes);
      check_error(
          [&](HostMachine& machine) {
            initialise(machine, 1);
            machine.shared<std::uint32_t>(0);
            if (finishes) machine.finish_reads();
            machine.sync();
            if (machine.thread() != 0) return;
            machine.barrier_expect(kBarrier, kBytes);
            machine.bulk_copy(0, source.data(), kBytes, kBarrier);
            machine.barrier_wait(kBarrier, 0);
          },
          finishes ? "" : "a bulk copy to what is being read");
    }
  }

  TEST_CASE("a copy to an operand of a wgmma") {
    const std::vector<Word4> source(kBytes / sizeof(Word4));
    check_error(
        [&](HostMachine& machine) {
          initialise(machine, 1);
          float sums[4] = {};
          machine.wgmma<MmaKind::bfloat16, 8>(sums, 0, 0, false);
          machine.wgmma_commit();
          machine.sync();
          if (machine.thread() == 0) machine.bulk_copy(0, source.data(), kBytes, kBarrier);
        },
        "a bulk copy to an operand of a wgmma");
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
