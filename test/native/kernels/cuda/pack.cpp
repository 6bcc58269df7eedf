// On the host machine: the packed blocks of x, for every way in which the kernel reads x. The bits are exact.
#include <doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/plan.hpp"
#include "kernels/cuda/tiling.hpp"
#include "problem.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr Precision kPrecisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                     Precision::float16};

/** Images in memory. A row ends with `gap` pixels that do not belong to the image. */
struct ImageLayout {
  bool channels_last = false;
  std::int64_t channels, height, width;
  std::int64_t gap = 0;
  /** Elements before the first one: they change its alignment. */
  std::int64_t start = 0;
};

constexpr std::int64_t kImages = 3;

ImageView view_of(const ImageLayout& layout, Precision precision) {
  const std::int64_t pitch = layout.width + layout.gap;
  ImageView view;
  view.dtype = element_dtype(precision);
  view.channel_stride = layout.channels_last ? 1 : layout.height * pitch;
  view.pixel_stride = layout.channels_last ? layout.channels : 1;
  view.row_stride = pitch * view.pixel_stride;
  view.batch_stride = layout.channels * layout.height * pitch;
  view.width = layout.width;
  view.flat = layout.gap == 0;
  return view;
}

/** An element of the block with its planes. */
void store_expected(std::uint8_t* block, Precision precision, int row, int channel, float value) {
  const std::uint32_t offset = swizzled_offset(row, channel * element_bytes(precision));
  if (precision == Precision::float32) {
    float high, low;
    split_tf32(value, high, low);
    store_element<DType::float32>(block + offset, 0, high);
    store_element<DType::float32>(block + kBlockBytes + offset, 0, low);
  } else {
    store_element(block + offset, element_dtype(precision), 0,
                  precision == Precision::tf32 ? round_to_tf32(value) : value);
  }
}

class Packing {
 public:
  Packing(const ImageLayout& layout, Precision precision) : precision_(precision) {
    args_.x = view_of(layout, precision);
    args_.channels = static_cast<int>(layout.channels);
    args_.pixels = layout.height * layout.width;
    args_.pixel_count = kImages * args_.pixels;
    args_.chunks = static_cast<int>(chunk_count(layout.channels, precision));
    std::mt19937 generator(6);
    std::normal_distribution<float> normal;
    const std::int64_t count = layout.start + kImages * args_.x.batch_stride;
    const std::size_t bytes = static_cast<std::size_t>(count) * item_size(args_.x.dtype);
    x_.resize(bytes / sizeof(Word4) + 1);
    for (std::int64_t i = 0; i < count; ++i) store_element(x_.data(), args_.x.dtype, i, normal(generator));
    args_.x.data = reinterpret_cast<const std::uint8_t*>(x_.data()) +
                   static_cast<std::size_t>(layout.start) * item_size(args_.x.dtype);
    find_vector_loads(args_.x, layout.channels, args_.pixels);
  }

  const ImageView& x() const { return args_.x; }

  std::vector<std::uint8_t> run() {
    std::vector<std::uint8_t> blocks(bytes(), 0xff);
    args_.blocks = blocks.data();
    CHECK(launch_pack_pixels(precision_, args_, nullptr) == Status::ok);
    return blocks;
  }

  /** Zeros beyond the channels and the pixels. */
  std::vector<std::uint8_t> expected() const {
    std::vector<std::uint8_t> blocks(bytes(), 0);
    const int per_chunk = channels_per_chunk(precision_);
    for (std::int64_t n = 0; n < args_.pixel_count; ++n) {
      for (int c = 0; c < args_.channels; ++c) {
        const std::int64_t pixel = n % args_.pixels;
        const std::int64_t offset =
            pixel / args_.x.width * args_.x.row_stride + pixel % args_.x.width * args_.x.pixel_stride;
        const float value =
            load_element(args_.x.data, args_.x.dtype,
                         n / args_.pixels * args_.x.batch_stride + c * args_.x.channel_stride + offset);
        const std::int64_t block = n / kBlockRows * args_.chunks + c / per_chunk;
        store_expected(blocks.data() + block * kBlockBytes * planes_of(precision_), precision_,
                       static_cast<int>(n % kBlockRows), c % per_chunk, value);
      }
    }
    return blocks;
  }

 private:
  std::size_t bytes() const {
    return static_cast<std::size_t>(pixel_blocks(args_.pixel_count) * args_.chunks * kBlockBytes *
                                    planes_of(precision_));
  }

  Precision precision_;
  PackPixelsArgs args_;
  std::vector<Word4> x_;
};

void check(const ImageLayout& layout, bool pixel_pairs, bool channel_units) {
  for (const Precision precision : kPrecisions) {
    CAPTURE(precision);
    Packing packing(layout, precision);
    CHECK(packing.x().pixel_pairs == pixel_pairs);
    CHECK(packing.x().channel_units == channel_units);
    CHECK(packing.run() == packing.expected());
  }
}

TEST_SUITE("cuda/pack") {
  TEST_CASE("contiguous pixels, an even number: read in pairs") {
    check({false, 70, 1, 2}, true, false);
    check({false, 33, 5, 14}, true, false);
    check({false, 128, 2, 64}, true, false);
  }
  TEST_CASE("contiguous pixels, an odd number") {
    check({false, 70, 1, 1}, false, false);
    check({false, 65, 7, 7}, false, false);
  }
  TEST_CASE("contiguous pixels whose first one is not aligned to a pair") {
    check({false, 33, 5, 14, 0, 1}, false, false);
  }
  TEST_CASE("rows with gaps") { check({false, 40, 3, 22, 2}, false, false); }
  TEST_CASE("channels last, a multiple of 16 bytes") {
    check({true, 8, 1, 1}, false, true);
    check({true, 72, 7, 7}, false, true);
    check({true, 64, 3, 22, 2}, false, true);
  }
  TEST_CASE("channels last, other numbers and alignments") {
    check({true, 35, 7, 7}, false, false);
    check({true, 72, 7, 7, 0, 1}, false, false);
  }

  TEST_CASE("a forward refuses a dtype that is not the precision's, and an image that is too large") {
    const Problem problem({1, 4, 8, 2, 1, 5}, DType::float32, Layout::channels_first, 1);
    CudaPackedWeights packed;
    packed.precision = Precision::bfloat16;
    packed.channels = 4;
    packed.hidden = 8;
    packed.tokens = 2;
    Plan plan;
    plan.precision = Precision::bfloat16;
    ForwardParams params = problem.params();
    params.batch = 0;
    const auto forward = [&] { return cuda_fused_forward(params, packed, plan, {}, nullptr); };
    CHECK(forward() == Status::invalid_argument);
    params.dtype = DType::bfloat16;
    CHECK(forward() == Status::ok);
    params.height = 65536;
    params.width = 1024;
    CHECK(forward() == Status::unsupported);
  }

  TEST_CASE("packing weights refuses a dtype that is not the precision's") {
    const Problem problem({1, 4, 8, 2, 1, 5}, DType::float32, Layout::channels_first, 1);
    LayerView layers[2];
    CudaPackedWeights packed;
    std::vector<std::uint8_t> buffer(1);
    CHECK(cuda_pack_weights(problem.weights(layers), Precision::bfloat16, Variant::mma, buffer.data(), 0,
                            &packed, nullptr) == Status::invalid_argument);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
