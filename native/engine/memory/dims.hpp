#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <utility>

namespace tokenlearner {

/// The sizes or strides of a tensor: a vector of int64_t that needs no memory of malloc up to kInline dimensions. A
/// request makes some twenty of them, and malloc and free would take more time than all else about them.
class Dims {
 public:
  using value_type = int64_t;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = int64_t&;
  using const_reference = const int64_t&;
  using iterator = int64_t*;
  using const_iterator = const int64_t*;

  static constexpr std::size_t kInline = 6;

  Dims() = default;
  explicit Dims(std::size_t count, int64_t value = 0) { resize(count, value); }
  Dims(std::initializer_list<int64_t> values) : Dims(values.begin(), values.end()) {}
  template <std::forward_iterator Iterator>
  Dims(Iterator first, Iterator last) {
    assign(first, last);
  }
  Dims(const Dims& other) : Dims(other.begin(), other.end()) {}
  Dims(Dims&& other) noexcept { take(other); }
  Dims& operator=(const Dims& other) {
    if (this != &other) assign(other.begin(), other.end());
    return *this;
  }
  Dims& operator=(Dims&& other) noexcept {
    if (this == &other) return *this;
    release();
    take(other);
    return *this;
  }
  ~Dims() { release(); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t* data() { return data_; }
  const int64_t* data() const { return data_; }
  iterator begin() { return data_; }
  iterator end() { return data_ + size_; }
  const_iterator begin() const { return data_; }
  const_iterator end() const { return data_ + size_; }
  // Preconditions: the element exists.
  int64_t& operator[](std::size_t i) { return data_[i]; }
  const int64_t& operator[](std::size_t i) const { return data_[i]; }
  int64_t& front() { return data_[0]; }
  const int64_t& front() const { return data_[0]; }
  int64_t& back() { return data_[size_ - 1]; }
  const int64_t& back() const { return data_[size_ - 1]; }

  void reserve(std::size_t capacity) {
    if (capacity > capacity_) grow(capacity);
  }
  void resize(std::size_t count, int64_t value = 0) {
    reserve(count);
    if (count > size_) std::fill(data_ + size_, data_ + count, value);
    size_ = count;
  }
  void push_back(int64_t value) {
    if (size_ == capacity_) grow(2 * capacity_);
    data_[size_++] = value;
  }
  void pop_back() { --size_; }

  /// The values must not be those of this object.
  template <std::forward_iterator Iterator>
  void assign(Iterator first, Iterator last) {
    const auto count = static_cast<std::size_t>(std::distance(first, last));
    reserve(count);
    std::copy(first, last, data_);
    size_ = count;
  }
  iterator insert(const_iterator at, int64_t value) { return insert(at, &value, &value + 1); }
  /// The values must not be those of this object.
  template <std::forward_iterator Iterator>
  iterator insert(const_iterator at, Iterator first, Iterator last) {
    const std::ptrdiff_t offset = at - data_;
    const auto count = std::distance(first, last);
    reserve(size_ + static_cast<std::size_t>(count));
    std::copy_backward(data_ + offset, end(), end() + count);
    std::copy(first, last, data_ + offset);
    size_ += static_cast<std::size_t>(count);
    return data_ + offset;
  }
  iterator insert(const_iterator at, std::initializer_list<int64_t> values) {
    return insert(at, values.begin(), values.end());
  }
  iterator erase(const_iterator at) { return erase(at, at + 1); }
  iterator erase(const_iterator first, const_iterator last) {
    iterator const to = data_ + (first - data_);
    std::copy(last, static_cast<const_iterator>(end()), to);
    size_ -= static_cast<std::size_t>(last - first);
    return to;
  }

  friend bool operator==(const Dims& a, const Dims& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  void grow(std::size_t capacity) {
    auto* const grown = new int64_t[capacity];
    std::copy(begin(), end(), grown);
    release();
    data_ = grown;
    capacity_ = capacity;
  }

  /// Leaves size_.
  void release() {
    if (data_ != inline_) delete[] data_;
    data_ = inline_;
    capacity_ = kInline;
  }

  /// Precondition: this has no memory of its own. `other` is empty afterwards.
  void take(Dims& other) noexcept {
    size_ = std::exchange(other.size_, 0);
    if (other.data_ == other.inline_) {
      std::copy_n(other.inline_, kInline, inline_);
    } else {
      data_ = std::exchange(other.data_, other.inline_);
      capacity_ = std::exchange(other.capacity_, kInline);
    }
  }

  int64_t inline_[kInline] = {};
  int64_t* data_ = inline_;
  std::size_t size_ = 0;
  std::size_t capacity_ = kInline;
};

}  // namespace tokenlearner
