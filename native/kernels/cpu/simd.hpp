// Vectors of one width, as the compiler's own vector types: +, -, *, / and comparisons work on them directly.
// The file that includes this one has opened its own namespace. See Note [No out-of-line copies].

template <typename T, int kLanes>
struct VectorOf {
  // Unaligned, and it may alias any type: so it can be loaded through a pointer to T.
  typedef T Memory __attribute__((vector_size(kLanes * sizeof(T)), aligned(alignof(T)), may_alias));
  typedef T Register __attribute__((vector_size(kLanes * sizeof(T))));
};

template <typename T, int kLanes>
using Vector = typename VectorOf<T, kLanes>::Register;

template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> load(const T* from) {
  return *reinterpret_cast<const typename VectorOf<T, kLanes>::Memory*>(from);
}

#if defined(__AVX512F__)
/** The first `count` of 16 bits. */
TOKENLEARNER_ALWAYS_INLINE __mmask16 first_lanes(std::int64_t count) {
  return count >= 16 ? __mmask16{0xffff} : static_cast<__mmask16>((1u << (count < 0 ? 0 : count)) - 1);
}
#elif defined(__AVX2__)
/** All bits of the first `count` vector lanes. */
TOKENLEARNER_ALWAYS_INLINE __m256i first_lanes(std::int64_t count) {
  const int last = count >= 8 ? 8 : static_cast<int>(count);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(last), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

/** Loads the first `count` vector lanes and sets the others to zero. */
template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> load_some(const T* from, std::int64_t count) {
  using V = Vector<T, kLanes>;
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<V, Vector<float, 16>>)
    return (V)_mm512_maskz_loadu_ps(first_lanes(count), from);
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<V, Vector<float, 8>>) return (V)_mm256_maskload_ps(from, first_lanes(count));
#endif
  V result{};
  for (int i = 0; i < kLanes; ++i) {
    if (i < count) result[i] = from[i];
  }
  return result;
}

template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE void store(T* to, Vector<T, kLanes> value) {
  *reinterpret_cast<typename VectorOf<T, kLanes>::Memory*>(to) = value;
}

/** Stores the first `count` vector lanes. */
template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE void store_some(T* to, Vector<T, kLanes> value, std::int64_t count) {
  if (count >= kLanes) return store<T, kLanes>(to, value);
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<Vector<T, kLanes>, Vector<float, 16>>)
    return _mm512_mask_storeu_ps(to, first_lanes(count), (__m512)value);
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<Vector<T, kLanes>, Vector<float, 8>>)
    return _mm256_maskstore_ps(to, first_lanes(count), (__m256)value);
#endif
  for (int lane = 0; lane < count; ++lane) to[lane] = value[lane];
}

template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> broadcast(T value) {
  return value - Vector<T, kLanes>{};  // exact for -0 too, so it compiles to a plain broadcast
}

/**
 * values[index] in every vector lane; `index` is a constant after unrolling. NEON multiplies by one lane of a
 * register: there one load brings 16 bytes of values and nothing is broadcast. Precondition: the number of
 * values fills whole registers of 16 bytes.
 */
template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> broadcast_element(const T* values, int index) {
#if defined(__aarch64__)
  constexpr int kLoaded = 16 / sizeof(T);
  return broadcast<T, kLanes>(load<T, kLoaded>(values + index / kLoaded * kLoaded)[index % kLoaded]);
#else
  return broadcast<T, kLanes>(values[index]);
#endif
}

#if defined(__AVX512F__)
// g++ 12 warns about uninitialised variables in its own intrinsics without a mask. With all mask bits set,
// the instruction is the same.
constexpr __mmask16 kAllLanes = 0xffff;
#endif

/** sum + a * b, rounded once if the instruction set has FMA: the same as the compiler does on vectors. */
template <typename T>
TOKENLEARNER_ALWAYS_INLINE T multiply_add(T a, T b, T sum) {
#if defined(__FMA__) || defined(__aarch64__)
  if constexpr (std::is_same_v<T, float>) return __builtin_fmaf(a, b, sum);
  return __builtin_fma(a, b, sum);
#else
  return sum + a * b;
#endif
}

/** a < b ? a : b in each vector lane. Gives b if a is NaN. Precondition: b is not NaN. */
template <typename V>
TOKENLEARNER_ALWAYS_INLINE V minimum(V a, V b) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<V, Vector<float, 16>>)
    return (V)_mm512_maskz_min_ps(kAllLanes, (__m512)a, (__m512)b);
#endif
#if defined(__AVX2__)
  if constexpr (std::is_same_v<V, Vector<float, 8>>) return (V)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<V, Vector<float, 4>>) return (V)_mm_min_ps((__m128)a, (__m128)b);
#elif defined(__aarch64__)
  if constexpr (std::is_same_v<V, Vector<float, 4>>) return (V)vminnmq_f32((float32x4_t)a, (float32x4_t)b);
#endif
  return a < b ? a : b;
}

/** a > b ? a : b in each vector lane. Gives b if a is NaN. Precondition: b is not NaN. */
template <typename V>
TOKENLEARNER_ALWAYS_INLINE V maximum(V a, V b) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<V, Vector<float, 16>>)
    return (V)_mm512_maskz_max_ps(kAllLanes, (__m512)a, (__m512)b);
#endif
#if defined(__AVX2__)
  if constexpr (std::is_same_v<V, Vector<float, 8>>) return (V)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<V, Vector<float, 4>>) return (V)_mm_max_ps((__m128)a, (__m128)b);
#elif defined(__aarch64__)
  if constexpr (std::is_same_v<V, Vector<float, 4>>) return (V)vmaxnmq_f32((float32x4_t)a, (float32x4_t)b);
#endif
  return a > b ? a : b;
}

/** The sum of the vector lanes, by repeated halving. The order depends only on kLanes. */
template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE T sum_lanes(Vector<T, kLanes> value) {
  if constexpr (kLanes == 1) {
    return value[0];
  } else if constexpr (kLanes == 2) {
    return value[0] + value[1];
  } else {
    using Narrow = Vector<T, kLanes / 2>;
    return [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
      const Narrow low = __builtin_shufflevector(value, value, kIndex...);
      const Narrow high = __builtin_shufflevector(value, value, (kIndex + kLanes / 2)...);
      return sum_lanes<T, kLanes / 2>(low + high);
    }(std::make_integer_sequence<int, kLanes / 2>{});
  }
}
