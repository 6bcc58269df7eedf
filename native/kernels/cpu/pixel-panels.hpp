// Panels of pixels: [C][width], contiguous, of type Compute. The file that includes this one has opened its
// own namespace.
//
// The pixels of all images, of whatever size, are one sequence. So only the last panel is not full: otherwise
// an image of 49 pixels would fill 64 vector lanes. The result of a vector lane depends neither on its panel
// nor on its neighbours. Unused vector lanes are zero and their results are dropped.

template <typename Compute>
constexpr std::int64_t kLanesOf = TOKENLEARNER_VECTOR_BYTES / sizeof(Compute);

/**
 * The number of vector lanes of the panel that starts where `remaining` pixels are left. With 64-byte
 * registers, half a vector costs half the time.
 */
template <typename Compute>
TOKENLEARNER_ALWAYS_INLINE std::int64_t panel_width(std::int64_t remaining) {
  constexpr std::int64_t kLanes = kLanesOf<Compute>;
  if (remaining >= kVectors * kLanes) return kVectors * kLanes;
  if (TOKENLEARNER_VECTOR_BYTES == 64 && remaining <= kLanes / 2) return kLanes / 2;
  return (remaining + kLanes - 1) / kLanes * kLanes;
}

template <typename Compute>
std::int64_t packed_bytes(std::int64_t channels, std::int64_t pixels) {
  constexpr std::int64_t kWidest = kVectors * kLanesOf<Compute>;
  std::int64_t lanes = pixels / kWidest * kWidest;
  if (pixels > lanes) lanes += panel_width<Compute>(pixels - lanes);
  return lanes * channels * static_cast<std::int64_t>(sizeof(Compute));
}

/** Copies and widens `kCount` adjacent numbers. */
template <int kCount, typename Stored, typename Compute>
TOKENLEARNER_ALWAYS_INLINE void copy_fixed(const Stored* from, Compute* to) {
  for (int i = 0; i < kCount; ++i) to[i] = widen(from[i]);
}

/** The last `count` numbers of a run, less than 2 * kHalf: in steps of kHalf, kHalf / 2, ..., 1. */
template <int kHalf, typename Stored, typename Compute>
TOKENLEARNER_ALWAYS_INLINE void copy_rest(const Stored* from, std::int64_t count, Compute* to) {
  if constexpr (kHalf > 0) {
    const std::int64_t part = count & kHalf;
    if (part != 0) copy_fixed<kHalf>(from, to);
    copy_rest<kHalf / 2>(from + part, count, to + part);
  }
}

/** Rows that are fetched ahead: the processor does not foresee the distance from one channel to the next. */
constexpr std::int64_t kRowsAhead = 8;

/** out[c * out_stride + i] = x[c, first + i] for `count` pixels that are adjacent in memory. */
template <typename Stored, typename Compute>
void copy_run(const Stored* from, std::int64_t channel_stride, std::int64_t channels, std::int64_t count,
              Compute* out, std::int64_t out_stride) {
  constexpr int kLanes = static_cast<int>(kLanesOf<Compute>);
  constexpr auto kLine = static_cast<std::int64_t>(64 / sizeof(Stored));
  const std::int64_t whole = count / kLanes * kLanes;
  for (std::int64_t c = 0; c < channels; ++c) {
    const Stored* const row = from + c * channel_stride;
    if (c + kRowsAhead < channels) {
      const Stored* const ahead = row + kRowsAhead * channel_stride;
      for (std::int64_t i = 0; i < count; i += kLine) __builtin_prefetch(ahead + i);
    }
    Compute* const to = out + c * out_stride;
    for (std::int64_t i = 0; i < whole; i += kLanes) copy_fixed<kLanes>(row + i, to + i);
    copy_rest<kLanes / 2>(row + whole, count - whole, to + whole);
  }
}

/** Four adjacent numbers, widened. */
template <typename Stored>
TOKENLEARNER_ALWAYS_INLINE Vector<float, 4> load_four(const Stored* from) {
  if constexpr (std::is_same_v<Stored, float>) return load<float, 4>(from);
  return Vector<float, 4>{widen(from[0]), widen(from[1]), widen(from[2]), widen(from[3])};
}

/** The same for channels last. Turns squares of 4 x 4 in registers, and writes whole runs of a panel's row. */
template <typename Stored>
void transpose(const PixelSource& source, std::int64_t channels, std::int64_t first, std::int64_t count,
               float* out, std::int64_t out_stride) {
  using V = Vector<float, 4>;
  const Stored* x = static_cast<const Stored*>(source.x);
  const std::int64_t whole = channels / 4 * 4;
  std::int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const Stored* pixels[4];
    for (int k = 0; k < 4; ++k) pixels[k] = x + offset_of(source, first + i + k);
    for (std::int64_t c = 0; c < whole; c += 4) {
      const V a = load_four(pixels[0] + c);
      const V b = load_four(pixels[1] + c);
      const V d = load_four(pixels[2] + c);
      const V e = load_four(pixels[3] + c);
      const V ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const V ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const V de_low = __builtin_shufflevector(d, e, 0, 4, 1, 5);
      const V de_high = __builtin_shufflevector(d, e, 2, 6, 3, 7);
      float* const to = out + c * out_stride + i;
      store<float, 4>(to, __builtin_shufflevector(ab_low, de_low, 0, 1, 4, 5));
      store<float, 4>(to + out_stride, __builtin_shufflevector(ab_low, de_low, 2, 3, 6, 7));
      store<float, 4>(to + 2 * out_stride, __builtin_shufflevector(ab_high, de_high, 0, 1, 4, 5));
      store<float, 4>(to + 3 * out_stride, __builtin_shufflevector(ab_high, de_high, 2, 3, 6, 7));
    }
    for (std::int64_t c = whole; c < channels; ++c) {
      for (int k = 0; k < 4; ++k) out[c * out_stride + i + k] = widen(pixels[k][c]);
    }
  }
  for (; i < count; ++i) {
    const Stored* const pixel = x + offset_of(source, first + i);
    for (std::int64_t c = 0; c < channels; ++c) out[c * out_stride + i] = widen(pixel[c]);
  }
}

/**
 * The same for pixels with any strides. Works in blocks of channels: channels-last reads whole cache lines.
 */
template <typename Stored, typename Compute>
void gather(const PixelSource& source, std::int64_t channels, std::int64_t first, std::int64_t count,
            Compute* out, std::int64_t out_stride) {
  if constexpr (std::is_same_v<Compute, float>) {
    if (source.channel_stride == 1) return transpose<Stored>(source, channels, first, count, out, out_stride);
  }
  constexpr std::int64_t kBlock = 32;
  const Stored* x = static_cast<const Stored*>(source.x);
  for (std::int64_t block = 0; block < channels; block += kBlock) {
    const std::int64_t end = block + kBlock < channels ? block + kBlock : channels;
    for (std::int64_t i = 0; i < count; ++i) {
      const Stored* pixel = x + offset_of(source, first + i);
      for (std::int64_t c = block; c < end; ++c)
        out[c * out_stride + i] = widen(pixel[c * source.channel_stride]);
    }
  }
}

/**
 * Calls visit(offset, done, length) for the runs of `count` pixels that are adjacent in memory if the pixel stride is 1: a run
 * of `length` pixels starts at element `offset` of x, after `done` others.
 */
template <typename Visit>
TOKENLEARNER_ALWAYS_INLINE void for_each_row_run(const PixelSource& source, std::int64_t first,
                                                 std::int64_t count, const Visit& visit) {
  const std::int64_t run = run_length(source);
  for (std::int64_t i = 0; i < count;) {
    const std::int64_t left = run - (first + i) % run;
    const std::int64_t length = left < count - i ? left : count - i;
    visit(offset_of(source, first + i), i, length);
    i += length;
  }
}

/** out[c * out_stride + i] = x[c, first + i] for `count` pixels. */
template <typename Stored, typename Compute>
void pack_rows(const PixelSource& source, std::int64_t channels, std::int64_t first, std::int64_t count,
               Compute* out, std::int64_t out_stride) {
  if (source.pixel_stride != 1) return gather<Stored>(source, channels, first, count, out, out_stride);
  for_each_row_run(source, first, count, [&](std::int64_t offset, std::int64_t done, std::int64_t length) {
    copy_run(static_cast<const Stored*>(source.x) + offset, source.channel_stride, channels, length,
             out + done, out_stride);
  });
}

/**
 * Fills panels of `rows` rows. `pack(source, first, count, out, out_stride)` packs `count` pixels of one source from pixel
 * `first` on. Unused vector lanes become zero.
 */
template <typename In, typename Pack>
TOKENLEARNER_ALWAYS_INLINE void pack_panels(const PixelSource* source, std::int64_t rows, std::int64_t first,
                                            std::int64_t pixels, In* panel, const Pack& pack) {
  for (std::int64_t done = 0; done < pixels;) {
    const std::int64_t width = panel_width<In>(pixels - done);
    const std::int64_t count = width < pixels - done ? width : pixels - done;
    for (std::int64_t filled = 0; filled < count;) {
      while (first == source->pixels) ++source, first = 0;
      const std::int64_t left = source->pixels - first;
      const std::int64_t run = left < count - filled ? left : count - filled;
      pack(*source, first, run, panel + filled, width);
      first += run;
      filled += run;
    }
    for (std::int64_t row = 0; row < rows && count < width; ++row) {
      for (std::int64_t i = count; i < width; ++i) panel[row * width + i] = 0;
    }
    panel += width * rows;
    done += count;
  }
}

template <typename Stored, typename Compute>
void pack_pixels(const PixelSource* sources, std::int64_t channels, std::int64_t first, std::int64_t pixels,
                 void* out) {
  pack_panels(
      sources, channels, first, pixels, static_cast<Compute*>(out),
      [channels](const PixelSource& source, std::int64_t from, std::int64_t count, Compute* to,
                 std::int64_t stride) { pack_rows<Stored>(source, channels, from, count, to, stride); });
}
