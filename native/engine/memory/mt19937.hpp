#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tokenlearner {

/// The Mersenne Twister of Matsumoto and Nishimura (1998): the numbers of std::mt19937 and at::mt19937. Its loops have no
/// branches, so compilers vectorise them, and discard() computes no outputs.
class Mt19937 {
 public:
  void seed(uint32_t value) {
    state_[0] = value;
    for (uint32_t i = 1; i < kSize; ++i)
      state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
    next_ = kSize;
  }

  uint32_t operator()() {
    if (next_ == kSize) advance();
    uint32_t y = state_[next_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
  }

  /// Moves on by `count` numbers.
  void discard(uint64_t count) {
    while (count > kSize - next_) {
      count -= kSize - next_;
      advance();
    }
    next_ += static_cast<std::size_t>(count);
  }

 private:
  static constexpr std::size_t kSize = 624;
  static constexpr std::size_t kShift = 397;

  static uint32_t mixed(uint32_t upper, uint32_t lower) {
    const uint32_t y = (upper & 0x80000000u) | (lower & 0x7fffffffu);
    return (y >> 1) ^ ((0u - (lower & 1u)) & 0x9908b0dfu);
  }

  /// The next kSize words of the state.
  void advance() {
    constexpr std::size_t kTail = kSize - kShift;
    uint32_t* const s = state_.data();
    for (std::size_t i = 0; i < kTail; ++i) s[i] = s[i + kShift] ^ mixed(s[i], s[i + 1]);
    for (std::size_t i = kTail; i < kSize - 1; ++i) s[i] = s[i - kTail] ^ mixed(s[i], s[i + 1]);
    s[kSize - 1] = s[kShift - 1] ^ mixed(s[kSize - 1], s[0]);
    next_ = 0;
  }

  std::array<uint32_t, kSize> state_{};
  std::size_t next_ = kSize;
};

}  // namespace tokenlearner
