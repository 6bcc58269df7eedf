#include "host-block.hpp"

#include <atomic>
#include <stdexcept>

namespace tokenlearner::kernels::cuda::test {

Block::Block(Dimensions grid, Dimensions index, int threads, std::size_t shared_bytes, Landing landing)
    : grid_(grid),
      index_(index),
      landing_(landing),
      shared_(shared_bytes / sizeof(Word4) + 1),
      shared_size_(shared_bytes) {
  // Also NaN as bfloat16, half and tf32.
  std::memset(shared_.data(), 0xff, shared_.size() * sizeof(Word4));
  for (int i = 0; i < threads; ++i) machines_.emplace_back(*this, i);
}

void Block::run(const std::function<void(HostMachine&)>& body) {
  const auto run_thread = [&](int i) { body(machines_[static_cast<std::size_t>(i)]); };
  Fibers fibers(static_cast<int>(machines_.size()), run_thread, [this] { return land_bulk_copy(); });
  fibers_ = &fibers;
  if (!fibers.run()) throw std::runtime_error("deadlock: every thread waits");
  if (!bulk_copies_.empty()) throw std::runtime_error("a bulk copy was still under way when its block ended");
}

Block::Barrier& Block::barrier(std::uint32_t offset) {
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
  bulk_copies_.push_back(copy);
  if (landing_ == Landing::at_once) land_bulk_copy();
}

bool Block::land_bulk_copy() {
  if (bulk_copies_.empty()) return false;
  const BulkCopy copy = bulk_copies_.front();
  bulk_copies_.erase(bulk_copies_.begin());
  std::memcpy(machines_[0].shared_bytes(copy.target, copy.bytes), copy.source, copy.bytes);
  Barrier& state = barrier(copy.barrier);
  state.bytes -= copy.bytes;
  complete_phase(state);
  return true;
}

void Block::gather(int first, int size, const std::function<void()>& last) {
  Gathering& gathering = gatherings_[{first, size}];
  const std::uint64_t round = gathering.round;
  if (++gathering.arrived == size) {
    last();
    gathering.arrived = 0;
    ++gathering.round;
  }
  fibers_->wait_until([&] { return gathering.round != round; });
}

void launch(Dimensions grid, int threads, std::size_t shared_bytes,
            const std::function<void(HostMachine&)>& body) {
  static std::atomic<unsigned> count = 0;
  for (int z = 0; z < grid.z; ++z) {
    for (int y = 0; y < grid.y; ++y) {
      for (int x = 0; x < grid.x; ++x) {
        const Landing landing = count++ % 2 == 0 ? Landing::when_all_wait : Landing::at_once;
        Block(grid, {x, y, z}, threads, shared_bytes, landing).run(body);
      }
    }
  }
}

}  // namespace tokenlearner::kernels::cuda::test
