// The shares of an image merged, and its tokens written. The file that includes this one has opened its own
// namespace. See Note [Online softmax].

template <typename T>
void merge(const MergeTile& tile) {
  T* const largest = static_cast<T*>(tile.into.largest);
  const T* const other = static_cast<const T*>(tile.other.largest);
  for (std::int64_t g = 0; g < tile.tokens; ++g) {
    const T next = other[g] > largest[g] ? other[g] : largest[g];
    const double before = __builtin_exp(static_cast<double>(largest[g]) - static_cast<double>(next));
    const double after = __builtin_exp(static_cast<double>(other[g]) - static_cast<double>(next));
    tile.into.sum[g] = tile.into.sum[g] * before + tile.other.sum[g] * after;
    tile.into.offset[g] = tile.into.offset[g] * before + tile.other.offset[g] * after;
    largest[g] = next;
    T* const y = static_cast<T*>(tile.into.y) + g * tile.y_stride;
    const T* const more = static_cast<const T*>(tile.other.y) + g * tile.y_stride;
    const T first = static_cast<T>(before);
    const T second = static_cast<T>(after);
    for (std::int64_t c = 0; c < tile.y_stride; ++c) y[c] = y[c] * first + more[c] * second;
  }
}

/**
 * The value convolution on one token, in place. Sums of blocks of kBlock products, as in product-kernel.hpp. `scratch` has
 * room for 2 * n values.
 */
template <typename T>
void convolve_token(const T* value, std::int64_t groups, std::int64_t n, T* token, T* scratch) {
  T* const total = scratch;
  T* const part = scratch + n;
  for (std::int64_t k = 0; k < groups; ++k, token += n) {
    for (std::int64_t o = 0; o < n; ++o) total[o] = 0;
    for (std::int64_t first = 0; first < n; first += kBlock<T>) {
      const std::int64_t end = first + kBlock<T> < n ? first + kBlock<T> : n;
      for (std::int64_t o = 0; o < n; ++o) part[o] = 0;
      for (std::int64_t i = first; i < end; ++i, value += n) {
        const T factor = token[i];
        for (std::int64_t o = 0; o < n; ++o) part[o] += value[o] * factor;
      }
      for (std::int64_t o = 0; o < n; ++o) total[o] += part[o];
    }
    for (std::int64_t o = 0; o < n; ++o) token[o] = total[o];
  }
}

/** y = (sum of weights times centred x, plus sum of weights times means) / sum of weights. */
template <typename Stored, typename T>
void finish(const FinishTile& tile) {
  for (std::int64_t g = 0; g < tile.tokens; ++g) {
    T* const y = static_cast<T*>(tile.share.y) + g * tile.y_stride;
    const double sum = tile.share.sum[g];
    const T factor = static_cast<T>(1 / sum);
    const T offset = static_cast<T>(tile.share.offset[g] / sum);
    for (std::int64_t c = 0; c < tile.channels; ++c) y[c] = y[c] * factor + offset;
    if (tile.only_pixel != nullptr) {
      const Stored* const pixel = static_cast<const Stored*>(tile.only_pixel);
      const T weight = static_cast<T>(sum / sum);
      for (std::int64_t c = 0; c < tile.channels; ++c)
        y[c] = widen(pixel[c * tile.pixel_channel_stride]) * weight;
    }
    if (tile.value != nullptr)
      convolve_token<T>(static_cast<const T*>(tile.value), tile.groups, tile.channels / tile.groups, y,
                        static_cast<T*>(tile.scratch));
  }
  Stored* const out = static_cast<Stored*>(tile.out);
  const T* const y = static_cast<const T*>(tile.share.y);
  if (tile.out_channel_stride == 1) {
    for (std::int64_t g = 0; g < tile.tokens; ++g) {
      for (std::int64_t c = 0; c < tile.channels; ++c)
        out[g * tile.out_token_stride + c] = narrow<Stored>(y[g * tile.y_stride + c]);
    }
    return;
  }
  for (std::int64_t c = 0; c < tile.channels; ++c) {
    for (std::int64_t g = 0; g < tile.tokens; ++g)
      out[c * tile.out_channel_stride + g * tile.out_token_stride] = narrow<Stored>(y[g * tile.y_stride + c]);
  }
}
