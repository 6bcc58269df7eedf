// The inputs of a product, and one step of its sums. The file that includes this one has opened its own namespace.

/** Two adjacent channels in bfloat16. The first one is the lower half. */
using Pair = std::uint32_t;

template <typename In>
struct InputTraits {
  using Sum = In;
  static constexpr std::int64_t kChannels = 1;
};

template <>
struct InputTraits<Pair> {
  using Sum = float;
  static constexpr std::int64_t kChannels = 2;
};

/** The type of the sums: float for pairs. */
template <typename In>
using SumOf = typename InputTraits<In>::Sum;

template <typename In>
constexpr std::int64_t kChannelsOf = InputTraits<In>::kChannels;

// Note: [Products of pairs]
// A bfloat16 model's product runs in pairs of channels where the processor has an instruction for it: sum + a[1] * b[1],
// rounded to float32, then + a[0] * b[0], rounded again. Products of bfloat16 are exact in float32, so only the sums round. The
// instruction takes subnormal numbers as zero and rounds to zero what would be subnormal. x and the weights are exact in
// bfloat16; hidden layers beyond the first one have float32 inputs and float32 products.

/** See Note [Products of pairs]. The file that includes this one has the definition, if it uses pairs. */
template <int kLanes>
Vector<float, kLanes> add_pair_product(Vector<Pair, kLanes> a, Vector<Pair, kLanes> b,
                                       Vector<float, kLanes> sum);

/** sum + a * b in each vector lane. */
template <typename In, int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<SumOf<In>, kLanes> add_product(Vector<In, kLanes> a, Vector<In, kLanes> b,
                                                                 Vector<SumOf<In>, kLanes> sum) {
  if constexpr (std::is_same_v<In, Pair>) {
    return add_pair_product<kLanes>(a, b, sum);
  } else {
    return sum + a * b;
  }
}
