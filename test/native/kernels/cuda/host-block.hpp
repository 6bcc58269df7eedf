// A thread block of HostMachine: its threads, its shared memory, its barriers and the copies to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "fibers.hpp"
#include "host-machine.hpp"

namespace tokenlearner::kernels::cuda::test {

/** Threads that wait for each other. */
struct Gathering {
  int arrived = 0;
  std::uint64_t round = 0;
};

struct BulkCopy {
  std::uint32_t target;
  const void* source;
  std::uint32_t bytes, barrier;
};

/** When the bytes of a bulk copy arrive. */
enum class Landing : std::int8_t { at_once, when_all_wait };

class Block {
 public:
  Block(Dimensions grid, Dimensions index, int threads, std::size_t shared_bytes, Landing landing);
  /** Throws std::runtime_error on a deadlock and on forbidden accesses. */
  void run(const std::function<void(HostMachine&)>& body);

 private:
  struct Barrier {
    int expected = 0;
    int pending = 0;
    /** Of copies: expected minus arrived. Below 0 if they arrive before barrier_expect(). */
    std::int64_t bytes = 0;
    std::uint32_t phase = 0;
  };

  /** Throws if the barrier is not initialised. */
  Barrier& barrier(std::uint32_t offset);
  void arrive(std::uint32_t offset);
  void start_copy(const BulkCopy& copy);
  bool land_bulk_copy();
  /** Runs `last` once when all `size` threads from `first` have come, then lets all go on. */
  void gather(int first, int size, const std::function<void()>& last);

  static void complete_phase(Barrier& barrier);

  Dimensions grid_, index_;
  Landing landing_;
  std::vector<Word4> shared_;
  std::size_t shared_size_;
  std::vector<HostMachine> machines_;
  std::map<std::pair<int, int>, Gathering> gatherings_;
  std::map<std::uint32_t, Barrier> barriers_;
  std::vector<BulkCopy> bulk_copies_;
  Fibers* fibers_ = nullptr;

  friend class HostMachine;
};

/** All blocks of a grid, one after another. Bulk copies land at once in every second block of a program. */
void launch(Dimensions grid, int threads, std::size_t shared_bytes,
            const std::function<void(HostMachine&)>& body);

}  // namespace tokenlearner::kernels::cuda::test
