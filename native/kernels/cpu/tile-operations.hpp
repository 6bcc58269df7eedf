// The tile registers of AMX. The file that includes this one has opened its own namespace.
//
// Instructions instead of g++'s intrinsics: those are macros, which take no template parameter for a register's number. The
// compilers use no tile on their own.

/** Rows of weights in two tiles, and the pairs in a row of a tile. */
constexpr int kPairRows = 32;
constexpr int kPairRun = 16;
/** Measured: see Note [Tiles]. */
constexpr int kPairSpeed = 4;

/** What LDTILECFG reads. */
struct TileConfig {
  std::uint8_t palette;
  std::uint8_t start_row;
  std::uint8_t reserved[14];
  std::uint16_t row_bytes[16];
  std::uint8_t rows[16];
};
static_assert(sizeof(TileConfig) == 64);

/** This thread's eight tiles of 16 rows and 64 bytes, from construction to destruction. Precondition: enable_tiles(). */
class Tiles {
 public:
  Tiles() {
    TileConfig config{.palette = 1, .start_row = 0, .reserved = {}, .row_bytes = {}, .rows = {}};
    for (int i = 0; i < 8; ++i) config.row_bytes[i] = 64, config.rows[i] = 16;
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  ~Tiles() { asm volatile("tilerelease"); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  template <int kTile>
  TOKENLEARNER_ALWAYS_INLINE void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }

  /** Rows `stride` elements apart. */
  template <int kTile>
  TOKENLEARNER_ALWAYS_INLINE void load(const Pair* from, std::int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride * 4), "i"(kTile) : "memory");
  }

  template <int kTile>
  TOKENLEARNER_ALWAYS_INLINE void store(float* to, std::int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride * 4), "i"(kTile) : "memory");
  }

  /**
   * sum[m][n] += the products of row m of a and column n of b, 16 pairs: those of the first channels and those of the second
   * ones are summed apart, in order, from 0; then added; then added to `sum`. Rounds as in Note [Products of pairs].
   */
  template <int kSum, int kA, int kB>
  TOKENLEARNER_ALWAYS_INLINE void add_products() {
    asm volatile("tdpbf16ps %%tmm%c0, %%tmm%c1, %%tmm%c2" : : "i"(kB), "i"(kA), "i"(kSum));
  }
};
