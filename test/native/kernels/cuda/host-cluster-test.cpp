// The host machine finds each way to break a cluster's protocol.
#include <doctest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "host-cluster.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr std::uint32_t kBarrier = 2048;
constexpr std::uint32_t kBytes = 1024;

/** In a cluster of two blocks of 32 threads: each thread's body. */
using Body = std::function<void(HostMachine&)>;

/** The error of a run, or "". */
std::string error_of(const Body& body, Schedule schedule) {
  try {
    Cluster({2, 1, 1}, {}, 2, 32, kBarrier + 16, schedule).run(body);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

/** Under each schedule, the error that contains `text`; no error if it is empty. */
void check_error(const Body& body, const std::string& text) {
  for (const bool at_once : {false, true}) {
    for (const int ahead : {-1, 0, 1}) {
      CAPTURE(at_once);
      CAPTURE(ahead);
      const std::string error = error_of(body, {at_once, ahead});
      CHECK(error.find(text) != std::string::npos);
      CHECK(error.empty() == text.empty());
    }
  }
}

void initialise(HostMachine& machine, int arrivals) {
  if (machine.thread() == 0) machine.barrier_init(kBarrier, arrivals);
  machine.cluster_sync();
}

TEST_SUITE("cuda/host-cluster") {
  TEST_CASE("a multicast arrives in both blocks, on the barrier of each") {
    const std::vector<Word4> source(2 * kBytes / sizeof(Word4), Word4{{7, 7, 7, 7}});
    std::vector<std::uint32_t> seen(4);
    check_error(
        [&](HostMachine& machine) {
          initialise(machine, 1);
          const int rank = machine.cluster_rank();
          const auto half = static_cast<std::uint32_t>(rank) * kBytes;
          if (machine.thread() == 0) {
            machine.bulk_copy_multicast(half, source.data(), kBytes, kBarrier, 3);
            machine.barrier_expect(kBarrier, 2 * kBytes);
            machine.barrier_wait(kBarrier, 0);
            for (int i = 0; i < 2; ++i) {
              seen[static_cast<std::size_t>(rank * 2 + i)] =
                  machine.shared<std::uint32_t>(static_cast<std::uint32_t>(i) * kBytes);
            }
          }
          machine.cluster_sync();
        },
        "");
    CHECK(seen == std::vector<std::uint32_t>{7, 7, 7, 7});
  }

  TEST_CASE("a cluster barrier waits for both blocks") {
    int arrived = 0;
    bool complete = true;
    check_error(
        [&](HostMachine& machine) {
          ++arrived;
          machine.cluster_sync();
          complete = complete && arrived % 64 == 0;
          machine.cluster_sync();
        },
        "");
    CHECK(complete);
  }

  TEST_CASE("an arrival that never comes from the other block is a deadlock") {
    check_error(
        [](HostMachine& machine) {
          initialise(machine, 2);
          if (machine.thread() == 0) {
            machine.barrier_arrive(kBarrier);
            machine.barrier_wait(kBarrier, 0);
          }
          machine.cluster_sync();
        },
        "deadlock");
  }

  TEST_CASE("bytes that nobody sends are a deadlock") {
    const std::vector<Word4> source(kBytes / sizeof(Word4));
    check_error(
        [&](HostMachine& machine) {
          initialise(machine, 1);
          if (machine.thread() == 0) {
            machine.barrier_expect(kBarrier, 2 * kBytes);
            machine.bulk_copy(0, source.data(), kBytes, kBarrier);
            machine.barrier_wait(kBarrier, 0);
          }
          machine.cluster_sync();
        },
        "deadlock");
  }

  TEST_CASE("an arrival at a block that has ended") {
    for (const int late : {0, 1}) {
      const Body body = [late](HostMachine& machine) {
        initialise(machine, 1);
        if (machine.cluster_rank() != late || machine.thread() != 0) return;
        machine.barrier_arrive_in(1 - late, kBarrier);
      };
      CHECK(error_of(body, {false, late}) == "a use of a barrier of a block that has ended");
    }
  }

  TEST_CASE("a copy to a block that ends before it arrives") {
    const std::vector<Word4> source(kBytes / sizeof(Word4));
    for (const int late : {0, 1}) {
      const Body body = [&](HostMachine& machine) {
        initialise(machine, 1);
        if (machine.cluster_rank() != late || machine.thread() != 0) return;
        machine.bulk_copy_multicast(0, source.data(), kBytes, kBarrier, 3);
        machine.barrier_expect(kBarrier, kBytes);
        machine.barrier_wait(kBarrier, 0);
      };
      CHECK(error_of(body, {false, late}) == "a use of a barrier of a block that has ended");
      CHECK(error_of(body, {false, 1 - late}) != "");
    }
  }

  TEST_CASE("an arrival at a barrier that the other block has not initialised") {
    const Body body = [](HostMachine& machine) {
      if (machine.thread() == 0) {
        machine.barrier_init(kBarrier, 2);
        machine.barrier_arrive_in(1 - machine.cluster_rank(), kBarrier);
      }
      machine.cluster_sync();
    };
    for (const int ahead : {-1, 0, 1})
      CHECK(error_of(body, {false, ahead}) == "a use of a barrier that is not initialised");
  }

  TEST_CASE("a copy to an operand of a wgmma in the other block") {
    const std::vector<Word4> source(kBytes / sizeof(Word4));
    const Body body = [&](HostMachine& machine) {
      initialise(machine, 1);
      float sums[4] = {};
      machine.wgmma<MmaKind::bfloat16, 8>(sums, 0, 0, false);
      machine.wgmma_commit();
      machine.cluster_sync();
      if (machine.thread() == 0 && machine.cluster_rank() == 0)
        machine.bulk_copy_multicast(0, source.data(), kBytes, kBarrier, 2);
      machine.cluster_sync();
    };
    check_error(body, "a bulk copy to an operand of a wgmma");
  }

  TEST_CASE("a grid of no whole number of clusters") {
    CHECK_THROWS_AS(launch({3, 1, 1}, 32, 16, [](HostMachine&) {}, 2), std::runtime_error);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
