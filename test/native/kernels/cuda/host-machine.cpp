#include "host-machine.hpp"

#include <algorithm>
#include <stdexcept>

#include "host-block.hpp"

namespace tokenlearner::kernels::cuda::test {

int HostMachine::block_x() const { return block_->index_.x; }
int HostMachine::block_y() const { return block_->index_.y; }
int HostMachine::block_z() const { return block_->index_.z; }
int HostMachine::grid_x() const { return block_->grid_.x; }

std::uint8_t* HostMachine::shared_bytes(std::uint32_t offset, std::size_t bytes) const {
  if (offset + bytes > block_->shared_size_) throw std::runtime_error("outside shared memory");
  if (offset % (bytes < 16 ? bytes : 16) != 0) throw std::runtime_error("misaligned access to shared memory");
  return reinterpret_cast<std::uint8_t*>(block_->shared_.data()) + offset;
}

void HostMachine::gather(int first, int size, const std::function<void()>& last) {
  block_->gather(first, size, last);
}

void HostMachine::sync() {
  gather(0, static_cast<int>(block_->machines_.size()), [] {});
}

void HostMachine::sync_warp() {
  gather(thread_ / 32 * 32, 32, [] {});
}

void HostMachine::copy16(std::uint32_t target, const void* source) {
  if (reinterpret_cast<std::uintptr_t>(source) % 16 != 0)
    throw std::runtime_error("misaligned asynchronous copy");
  open_.push_back({target, source});
}

void HostMachine::commit_copies() {
  committed_.push_back(std::move(open_));
  open_.clear();
}

void HostMachine::wait_copies_until(std::size_t left) {
  while (committed_.size() > left) {
    for (const Copy& copy : committed_.front()) std::memcpy(shared_bytes(copy.target, 16), copy.source, 16);
    committed_.erase(committed_.begin());
  }
}

void HostMachine::load_matrices(std::uint32_t (&words)[4], std::uint32_t row_offset) {
  row_offset_ = row_offset;
  const int warp = thread_ / 32 * 32;
  gather(warp, 32, [&] {
    HostMachine* lanes = &block_->machines_[static_cast<std::size_t>(warp)];
    for (int lane = 0; lane < 32; ++lane) {
      for (int matrix = 0; matrix < 4; ++matrix) {
        // Lanes 8 m to 8 m + 7 name the rows of matrix m; lane l receives word l % 4 of row l / 4.
        const std::uint8_t* row = shared_bytes(lanes[matrix * 8 + lane / 4].row_offset_, 16);
        std::memcpy(&lanes[lane].words_[static_cast<std::size_t>(matrix)], row + lane % 4 * 4, 4);
      }
    }
  });
  for (std::size_t i = 0; i < 4; ++i) words[i] = words_[i];
}

void HostMachine::multiply_warp(MmaKind kind, float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                std::uint32_t b1) {
  std::memcpy(a_.data(), a, sizeof(a));
  b_ = {b0, b1};
  sums_ = sums;
  const int warp = thread_ / 32 * 32;
  gather(warp, 32, [&] {
    HostMachine* lanes = &block_->machines_[static_cast<std::size_t>(warp)];
    const int per_word = kind == MmaKind::tf32 ? 1 : 2;
    // PTX ISA, "Matrix Fragments for mma.m16n8k16" and ".m16n8k8": the same words for both, counted in words.
    const auto a_at = [&](int row, int k) {
      const int word = k / per_word;
      const auto index = static_cast<std::size_t>(row / 8 + word / 4 * 2);
      return operand(kind, lanes[row % 8 * 4 + word % 4].a_[index], k % per_word);
    };
    const auto b_at = [&](int k, int column) {
      const int word = k / per_word;
      return operand(kind, lanes[column * 4 + word % 4].b_[static_cast<std::size_t>(word / 4)], k % per_word);
    };
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < 4; ++i) {
        const int row = lane / 4 + i / 2 * 8;
        const int column = lane % 4 * 2 + i % 2;
        double sum = lanes[lane].sums_[i];
        for (int k = 0; k < 8 * per_word; ++k) sum += a_at(row, k) * b_at(k, column);
        lanes[lane].sums_[i] = truncate_to_float(sum);
      }
    }
  });
}

float HostMachine::shuffle_xor(float value, int mask) {
  value_ = value;
  const int warp = thread_ / 32 * 32;
  sync_warp();
  const float other = block_->machines_[static_cast<std::size_t>(warp + ((thread_ % 32) ^ mask))].value_;
  sync_warp();
  return other;
}

void HostMachine::barrier_init(std::uint32_t barrier, int arrivals) {
  shared_bytes(barrier, 8);
  block_->barriers_[barrier] = {arrivals, arrivals, 0, 0};
}

void HostMachine::barrier_expect(std::uint32_t barrier, std::uint32_t bytes) {
  block_->barrier(barrier).bytes += bytes;
  block_->arrive(barrier);
}

void HostMachine::barrier_arrive(std::uint32_t barrier) {
  block_->arrive(barrier);
  // A thread that waited for this may run before this thread's next instruction.
  block_->fibers_->pause();
}

void HostMachine::finish_reads() {
  sync_warp();
  reading_.reset();
}

void HostMachine::barrier_wait(std::uint32_t barrier, std::uint32_t parity) {
  const Block::Barrier& state = block_->barrier(barrier);
  block_->fibers_->wait_until([&] { return state.phase != parity; });
}

void HostMachine::bulk_copy(std::uint32_t target, const void* source, std::uint32_t bytes,
                            std::uint32_t barrier) {
  if (reinterpret_cast<std::uintptr_t>(source) % 16 != 0 || bytes % 16 != 0)
    throw std::runtime_error("misaligned bulk copy");
  block_->start_copy({target, source, bytes, barrier});
}

bool HostMachine::reads(std::uint32_t target, std::uint32_t bytes) const {
  for (std::uint32_t at = target; at < target + bytes; at += kGranule) {
    if (reading_.test(at / kGranule)) return true;
  }
  return false;
}

bool HostMachine::multiplies(std::uint32_t target, std::uint32_t bytes) const {
  const auto overlaps = [&](std::uint32_t first_step, int rows) {
    const std::uint32_t start = first_step / kRowBytes * kRowBytes;
    return start < target + bytes && target < start + static_cast<std::uint32_t>(rows * kRowBytes);
  };
  const auto uses = [&](const Wgmma& product) {
    return overlaps(product.a, kBlockRows) || overlaps(product.b, product.columns);
  };
  return std::any_of(open_products_.begin(), open_products_.end(), uses) ||
         std::any_of(committed_products_.begin(), committed_products_.end(),
                     [&](const auto& group) { return std::any_of(group.begin(), group.end(), uses); });
}

void HostMachine::wgmma_group(MmaKind kind, int columns, float* sums, std::uint32_t a, std::uint32_t b,
                              bool accumulate) {
  open_products_.push_back({kind, columns, sums, a, b, accumulate});
}

void HostMachine::wgmma_commit() {
  committed_products_.push_back(std::move(open_products_));
  open_products_.clear();
}

void HostMachine::wgmma_wait_until(std::size_t left) {
  if (!open_products_.empty()) throw std::runtime_error("a wait for a wgmma that is not committed");
  const int group = thread_ / 128 * 128;
  while (committed_products_.size() > left) {
    gather(group, 128, [&] {
      if (wgmma_log != nullptr) wgmma_log->push_back(group / 128);
    });
    for (const Wgmma& product : committed_products_.front()) run_wgmma(product, thread_ - group);
    committed_products_.erase(committed_products_.begin());
    gather(group, 128, [] {});
  }
}

void HostMachine::run_wgmma(const Wgmma& product, int local) {
  const int per_word = product.kind == MmaKind::tf32 ? 1 : 2;
  // The 128-byte swizzle acts on address bits: bits 4 to 6 are XORed with bits 7 to 9.
  const auto at = [&](std::uint32_t base, int row, int k) {
    const std::uint32_t linear = base + static_cast<std::uint32_t>(row * kRowBytes + k / per_word * 4);
    std::uint32_t word;
    std::memcpy(&word, shared_bytes(linear ^ ((linear >> 3) & 0x70u), 4), 4);
    return operand(product.kind, word, k % per_word);
  };
  for (int i = 0; i < product.columns / 2; ++i) {
    // PTX ISA, "Register fragments for wgmma.mma_async.m64nNk16", accumulator D.
    const int row = local / 32 * 16 + local % 32 / 4 + i / 2 % 2 * 8;
    const int column = i / 4 * 8 + local % 4 * 2 + i % 2;
    double sum = product.accumulate ? product.sums[i] : 0.0;
    for (int k = 0; k < 8 * per_word; ++k) sum += at(product.a, row, k) * at(product.b, column, k);
    product.sums[i] = truncate_to_float(sum);
  }
}

}  // namespace tokenlearner::kernels::cuda::test
