#include "kernels/cpu/copy.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "kernels/cpu/convert-run.hpp"
#include "kernels/cpu/cpu-features.hpp"
#include "kernels/cpu/isa.hpp"

namespace tokenlearner::kernels {
namespace {

struct Dimension {
  std::int64_t size = 1;
  /** Strides in elements. */
  std::int64_t source = 0;
  std::int64_t target = 0;
};

/** The dimensions of a copy, outermost first: each has the next smaller target stride. */
struct Dimensions {
  Dimension at[CopyParams::kMostDimensions];
  int rank = 0;
  bool empty = false;
};

bool sort_dimensions(const CopyParams& params, Dimensions& dims) {
  if (params.rank < 0 || params.rank > CopyParams::kMostDimensions) return false;
  for (int i = 0; i < params.rank; ++i) {
    if (params.shape[i] < 0 || params.target_strides[i] < 0) return false;
    dims.empty = dims.empty || params.shape[i] == 0;
    if (params.shape[i] > 1)
      dims.at[dims.rank++] = {params.shape[i], params.source_strides[i], params.target_strides[i]};
  }
  if (dims.empty) return true;
  std::sort(dims.at, dims.at + dims.rank,
            [](const Dimension& a, const Dimension& b) { return a.target > b.target; });
  // Elements of the target must be distinct: each stride reaches over what the dimensions inside it span.
  std::int64_t span = 1;
  for (int i = dims.rank; i-- > 0;) {
    const Dimension& dim = dims.at[i];
    std::int64_t last = 0;
    if (dim.target < span || __builtin_mul_overflow(dim.target, dim.size - 1, &last) ||
        __builtin_add_overflow(span, last, &span)) {
      return false;
    }
  }
  return true;
}

/** Joins neighbours that are one dimension in both tensors. */
void merge_dimensions(Dimensions& dims) {
  int kept = 0;
  for (int i = 1; i < dims.rank; ++i) {
    Dimension& outer = dims.at[kept];
    const Dimension& inner = dims.at[i];
    std::int64_t span = 0;
    const bool joins = outer.target == inner.target * inner.size &&
                       !__builtin_mul_overflow(inner.source, inner.size, &span) && outer.source == span;
    if (joins) {
      outer = {outer.size * inner.size, inner.source, inner.target};
    } else {
      dims.at[++kept] = inner;
    }
  }
  if (dims.rank > 0) dims.rank = kept + 1;
}

/** to[i * to_stride] = from[i * from_stride]. Strides are in elements of `size` bytes. */
template <typename Word>
void move_words(const char* from, std::int64_t from_stride, char* to, std::int64_t to_stride,
                std::int64_t count) {
  // The elements may have any type of this size.
  typedef Word Any __attribute__((may_alias));
  const Any* source = reinterpret_cast<const Any*>(from);
  Any* target = reinterpret_cast<Any*>(to);
  if (to_stride == 1) {
    for (std::int64_t i = 0; i < count; ++i) target[i] = source[i * from_stride];
  } else {
    for (std::int64_t i = 0; i < count; ++i) target[i * to_stride] = source[i * from_stride];
  }
}

void move_elements(std::size_t size, const char* from, std::int64_t from_stride, char* to,
                   std::int64_t to_stride, std::int64_t count) {
  if (size == 1) return move_words<std::uint8_t>(from, from_stride, to, to_stride, count);
  if (size == 2) return move_words<std::uint16_t>(from, from_stride, to, to_stride, count);
  if (size == 4) return move_words<std::uint32_t>(from, from_stride, to, to_stride, count);
  return move_words<std::uint64_t>(from, from_stride, to, to_stride, count);
}

// Note: [Tiles of a copy]
// A row is a run along one dimension. If the source is not contiguous along it, the elements first go to a
// buffer, where the conversion reads them. If another dimension has a smaller source stride (a transpose), the
// rows are cut, and that dimension is the next loop outside: so the cache lines that a piece of a row reads are
// still in the level 1 cache for the next row.
constexpr std::int64_t kBuffer = 512;
/** Bytes of the source that a piece of a row reaches over, if it has more than kFewest elements. */
constexpr std::int64_t kReach = 4096;
constexpr std::int64_t kFewest = 64;
/** A target's innermost dimension of fewer elements makes too short rows. */
constexpr std::int64_t kShort = 16;

class StridedCopy {
 public:
  StridedCopy(const CopyParams& params, const Dimensions& dims)
      : source_(static_cast<const char*>(params.source)),
        target_(static_cast<char*>(params.target)),
        source_size_(item_size(params.source_dtype)),
        target_size_(item_size(params.target_dtype)),
        same_bits_(params.source_dtype == params.target_dtype && params.source_dtype != DType::boolean),
        convert_(best_convert_runs().of(params.source_dtype, params.target_dtype)),
        dims_(dims) {
    choose_tile();
  }

  void run() const {
    std::int64_t index[CopyParams::kMostDimensions] = {};
    std::int64_t source = 0;
    std::int64_t target = 0;
    for (;;) {
      run_tile(source, target);
      // The next index of the outer dimensions, innermost first.
      int i = dims_.rank;
      while (i-- > 0) {
        const Dimension& dim = dims_.at[i];
        source += dim.source;
        target += dim.target;
        if (++index[i] < dim.size) break;
        source -= dim.source * dim.size;
        target -= dim.target * dim.size;
        index[i] = 0;
      }
      if (i < 0) return;
    }
  }

 private:
  Dimension take(int i) {
    const Dimension dim = dims_.at[i];
    std::copy(dims_.at + i + 1, dims_.at + dims_.rank, dims_.at + i);
    --dims_.rank;
    return dim;
  }

  /** Takes the dimensions of rows and of the next loop out of the outer ones. */
  void choose_tile() {
    if (dims_.rank == 0) return;
    row_ = take(dims_.rank - 1);
    piece_ = row_.size;
    int nearest = -1;
    for (int i = 0; i < dims_.rank; ++i) {
      const std::int64_t best = nearest < 0 ? std::abs(row_.source) : std::abs(dims_.at[nearest].source);
      if (dims_.at[i].source != 0 && std::abs(dims_.at[i].source) < best) nearest = i;
    }
    if (nearest < 0) return;
    across_ = take(nearest);
    if (row_.size < kShort && across_.size > row_.size) std::swap(row_, across_);
    const std::int64_t step = std::max(std::abs(row_.source) * static_cast<std::int64_t>(source_size_),
                                       row_.target * static_cast<std::int64_t>(target_size_));
    piece_ = std::clamp(kReach / std::max<std::int64_t>(step, 1), kFewest, kBuffer);
  }

  void run_tile(std::int64_t source, std::int64_t target) const {
    for (std::int64_t first = 0; first < row_.size; first += piece_) {
      const std::int64_t count = std::min(piece_, row_.size - first);
      for (std::int64_t i = 0; i < across_.size; ++i) {
        copy_row(source + first * row_.source + i * across_.source,
                 target + first * row_.target + i * across_.target, count);
      }
    }
  }

  void copy_row(std::int64_t source, std::int64_t target, std::int64_t count) const {
    const char* from = source_ + source * static_cast<std::int64_t>(source_size_);
    char* to = target_ + target * static_cast<std::int64_t>(target_size_);
    const bool packed_source = row_.source == 1 || count == 1;
    const bool packed_target = row_.target == 1 || count == 1;
    if (packed_source && packed_target) return convert_(from, to, count);
    if (same_bits_) return move_elements(source_size_, from, row_.source, to, row_.target, count);
    alignas(64) char gathered[kBuffer * sizeof(std::uint64_t)];
    alignas(64) char converted[kBuffer * sizeof(std::uint64_t)];
    for (std::int64_t i = 0; i < count; i += kBuffer) {
      const std::int64_t n = std::min(kBuffer, count - i);
      const char* input = from + i * row_.source * static_cast<std::int64_t>(source_size_);
      char* output = to + i * row_.target * static_cast<std::int64_t>(target_size_);
      if (!packed_source) {
        move_elements(source_size_, input, row_.source, gathered, 1, n);
        input = gathered;
      }
      convert_(input, packed_target ? output : converted, n);
      if (!packed_target) move_elements(target_size_, converted, 1, output, row_.target, n);
    }
  }

  const char* source_;
  char* target_;
  std::size_t source_size_;
  std::size_t target_size_;
  /** Elements move without a conversion. */
  bool same_bits_;
  ConvertRun convert_;
  /** The dimensions outside the tile. */
  Dimensions dims_;
  Dimension row_{1, 1, 1};
  /** The loop outside the pieces of rows. */
  Dimension across_{1, 0, 0};
  /** Elements of a piece of a row. */
  std::int64_t piece_ = 1;
};

}  // namespace

int available_convert_runs(const ConvertRuns* (&out)[3]) {
  int count = 0;
  out[count++] = &baseline_convert_runs();
#if defined(__x86_64__)
  if (is_available(Isa::avx2) && cpu_features().f16c) {
    out[count++] = &avx2_convert_runs();
    if (is_available(Isa::avx512)) out[count++] = &avx512_convert_runs();
  }
#endif
  return count;
}

const ConvertRuns& best_convert_runs() {
  static const ConvertRuns& best = []() -> const ConvertRuns& {
    const ConvertRuns* runs[3];
    return *runs[available_convert_runs(runs) - 1];
  }();
  return best;
}

Status strided_copy(const CopyParams& params) noexcept {
  if (item_size(params.source_dtype) == 0 || item_size(params.target_dtype) == 0)
    return Status::invalid_argument;
  Dimensions dims;
  if (!sort_dimensions(params, dims)) return Status::invalid_argument;
  if (dims.empty) return Status::ok;
  if (params.source == nullptr || params.target == nullptr) return Status::invalid_argument;
  merge_dimensions(dims);
  StridedCopy(params, dims).run();
  return Status::ok;
}

}  // namespace tokenlearner::kernels
