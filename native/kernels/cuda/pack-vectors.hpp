// Parameters packed as float32 vectors, one after another in a buffer. Host only.
#pragma once

#include "kernels/cuda/launch.hpp"

namespace tokenlearner::kernels::cuda {

/** Offsets of vectors in a buffer. */
class VectorSizes {
 public:
  /** The offset in bytes of the next vector, of `count` numbers. */
  std::size_t place(std::int64_t count) {
    const std::size_t start = end_;
    end_ += round_up(static_cast<std::size_t>(count) * sizeof(float), kAlignment);
    return start;
  }
  std::size_t bytes() const { return end_; }

 private:
  static constexpr std::size_t kAlignment = 256;
  std::size_t end_ = 0;
};

/** Launches one packing after another, until one fails. */
class VectorPacking {
 public:
  VectorPacking(void* buffer, DType dtype, void* stream)
      : buffer_(static_cast<char*>(buffer)), dtype_(dtype), stream_(stream) {}

  /** A parameter of `count` numbers. A null source gives zeros. */
  const float* pack(const void* source, std::int64_t count) { return pack(source, 1, count, count); }

  /** Rows, each padded with zeros to `padded_columns`. */
  const float* pack(const void* source, std::int64_t rows, std::int64_t columns,
                    std::int64_t padded_columns) {
    auto* const target = reinterpret_cast<float*>(buffer_ + sizes_.place(rows * padded_columns));
    if (status_ == Status::ok)
      status_ = launch_widen({source, dtype_, rows, columns, padded_columns, target}, stream_);
    return target;
  }

  Status status() const { return status_; }

 private:
  char* buffer_;
  DType dtype_;
  void* stream_;
  VectorSizes sizes_;
  Status status_ = Status::ok;
};

}  // namespace tokenlearner::kernels::cuda
