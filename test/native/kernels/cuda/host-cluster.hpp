// The thread blocks of HostMachine, alone or in clusters.
//
// The blocks of a cluster run at the same time. In turn over the clusters of a program they run in step, or one of
// them gets as far ahead as the other one lets it: FiberGroups in fibers.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
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

class Cluster;

class Block {
 public:
  Block(Cluster& cluster, int rank, Dimensions grid, Dimensions index, int threads, std::size_t shared_bytes);

 private:
  struct Barrier {
    int expected = 0;
    int pending = 0;
    /** Of copies: expected minus arrived. Below 0 if they arrive before barrier_expect(). */
    std::int64_t bytes = 0;
    std::uint32_t phase = 0;
  };

  /** These throw if the block has ended, or if the barrier is not initialised. */
  Barrier& barrier(std::uint32_t offset);
  void arrive(std::uint32_t offset);
  void start_copy(const BulkCopy& copy);
  void finish_copy(const BulkCopy& copy);

  void complete_phase(Barrier& barrier);

  Cluster& cluster_;
  int rank_;
  Dimensions grid_, index_;
  std::vector<Word4> shared_;
  std::size_t shared_size_;
  std::vector<HostMachine> machines_;
  std::map<std::pair<int, int>, Gathering> gatherings_;
  std::map<std::uint32_t, Barrier> barriers_;
  /** Threads that have not ended. */
  int running_;

  friend class Cluster;
  friend class HostMachine;
};

/** The freedoms of a run. */
struct Schedule {
  bool copies_land_at_once = false;
  /** The block that runs ahead of the other one. -1: they run in step. */
  int ahead = -1;
  /** Each of them in turn. */
  static Schedule next();
};

class Cluster {
 public:
  /** `size` blocks, from `first` on in x. */
  Cluster(Dimensions grid, Dimensions first, int size, int threads, std::size_t shared_bytes,
          Schedule schedule);
  /** Throws std::runtime_error on a deadlock and on forbidden accesses. */
  void run(const std::function<void(HostMachine&)>& body);

  // For HostMachine.
  Block& block(int rank);
  template <typename Ready>
  void wait_until(Ready ready) {
    fibers_->wait_until(ready);
  }
  void pause() { fibers_->pause(); }
  /** Runs `last` once when all `size` threads have come, then lets all go on. */
  void gather(Gathering& gathering, int size, const std::function<void()>& last);
  /** All threads of all blocks. */
  void sync();
  void start_copy(int rank, const BulkCopy& copy);

 private:
  bool land_bulk_copy();

  std::vector<std::unique_ptr<Block>> blocks_;
  int threads_;
  Schedule schedule_;
  Gathering gathering_;
  /** By block. */
  std::vector<std::pair<int, BulkCopy>> bulk_copies_;
  Fibers* fibers_ = nullptr;
};

/** All clusters of a grid, one after another: `cluster` blocks each, neighbours in x. */
template <typename Body>
void launch(Dimensions grid, int threads, std::size_t shared_bytes, Body body, int cluster = 1) {
  if (grid.x % cluster != 0) throw std::runtime_error("a grid of no whole number of clusters");
  for (int z = 0; z < grid.z; ++z) {
    for (int y = 0; y < grid.y; ++y) {
      for (int x = 0; x < grid.x; x += cluster)
        Cluster(grid, {x, y, z}, cluster, threads, shared_bytes, Schedule::next()).run(body);
    }
  }
}

}  // namespace tokenlearner::kernels::cuda::test
