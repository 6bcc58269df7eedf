#include "host-cluster.hpp"

#include <algorithm>
#include <atomic>

namespace tokenlearner::kernels::cuda::test {

Block::Block(Cluster& cluster, int rank, Dimensions grid, Dimensions index, int threads,
             std::size_t shared_bytes)
    : cluster_(cluster),
      rank_(rank),
      grid_(grid),
      index_(index),
      shared_(shared_bytes / sizeof(Word4) + 1),
      shared_size_(shared_bytes),
      running_(threads) {
  // Also NaN as bfloat16, half and tf32.
  std::memset(shared_.data(), 0xff, shared_.size() * sizeof(Word4));
  for (int i = 0; i < threads; ++i) machines_.emplace_back(*this, i);
}

Block::Barrier& Block::barrier(std::uint32_t offset) {
  if (running_ == 0) throw std::runtime_error("a use of a barrier of a block that has ended");
  const auto found = barriers_.find(offset);
  if (found == barriers_.end()) throw std::runtime_error("a use of a barrier that is not initialised");
  return found->second;
}

void Block::arrive(std::uint32_t offset) {
  Barrier& state = barrier(offset);
  if (state.pending == 0) throw std::runtime_error("more arrivals than a barrier expects");
  --state.pending;
  complete_phase(state);
}

void Block::complete_phase(Barrier& barrier) {
  if (barrier.pending > 0 || barrier.bytes != 0) return;
  barrier.phase ^= 1u;
  barrier.pending = barrier.expected;
}

void Block::start_copy(const BulkCopy& copy) {
  barrier(copy.barrier);
  for (const HostMachine& thread : machines_) {
    if (thread.reads(copy.target, copy.bytes)) throw std::runtime_error("a bulk copy to what is being read");
    if (thread.multiplies(copy.target, copy.bytes))
      throw std::runtime_error("a bulk copy to an operand of a wgmma");
  }
  std::memset(machines_[0].shared_bytes(copy.target, copy.bytes), 0xff, copy.bytes);
}

void Block::finish_copy(const BulkCopy& copy) {
  Barrier& state = barrier(copy.barrier);
  std::memcpy(machines_[0].shared_bytes(copy.target, copy.bytes), copy.source, copy.bytes);
  state.bytes -= copy.bytes;
  complete_phase(state);
}

Schedule Schedule::next() {
  static std::atomic<int> count = 0;
  const int n = count++;
  return {n % 2 == 1, n / 2 % 3 - 1};
}

Cluster::Cluster(Dimensions grid, Dimensions first, int size, int threads, std::size_t shared_bytes,
                 Schedule schedule)
    : threads_(threads), schedule_(schedule) {
  for (int rank = 0; rank < size; ++rank) {
    const Dimensions index{first.x + rank, first.y, first.z};
    blocks_.push_back(std::make_unique<Block>(*this, rank, grid, index, threads, shared_bytes));
  }
}

Block& Cluster::block(int rank) { return *blocks_.at(static_cast<std::size_t>(rank)); }

void Cluster::run(const std::function<void(HostMachine&)>& body) {
  const int size = static_cast<int>(blocks_.size());
  const auto run_thread = [&](int i) {
    Block& own = block(i / threads_);
    body(own.machines_[static_cast<std::size_t>(i % threads_)]);
    --own.running_;
  };
  FiberGroups groups{size * threads_, 0};
  if (size > 1 && schedule_.ahead >= 0) groups = {threads_, schedule_.ahead};
  Fibers fibers(size * threads_, run_thread, [this] { return land_bulk_copy(); }, groups);
  fibers_ = &fibers;
  if (!fibers.run()) throw std::runtime_error("deadlock: every thread waits");
  if (!bulk_copies_.empty()) throw std::runtime_error("a bulk copy was still under way when its block ended");
}

void Cluster::gather(Gathering& gathering, int size, const std::function<void()>& last) {
  const std::uint64_t round = gathering.round;
  if (++gathering.arrived == size) {
    last();
    gathering.arrived = 0;
    ++gathering.round;
  }
  fibers_->wait_until([&] { return gathering.round != round; });
}

void Cluster::sync() {
  gather(gathering_, static_cast<int>(blocks_.size()) * threads_, [] {});
}

void Cluster::start_copy(int rank, const BulkCopy& copy) {
  block(rank).start_copy(copy);
  bulk_copies_.emplace_back(rank, copy);
  if (schedule_.copies_land_at_once) land_bulk_copy();
}

bool Cluster::land_bulk_copy() {
  if (bulk_copies_.empty()) return false;
  const auto [rank, copy] = bulk_copies_.front();
  bulk_copies_.erase(bulk_copies_.begin());
  block(rank).finish_copy(copy);
  return true;
}

}  // namespace tokenlearner::kernels::cuda::test
