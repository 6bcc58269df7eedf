// The fused engine for CUDA. It converts tensors to the kernels' params struct and owns the packed weights.
//
// Note: [Trust, but verify]
// The device, the precision and the shape decide which kernels run. Before an engine uses a set of kernels
// for the first time, it compares them with the documented computation on libtorch: on a small random image,
// in float32, with the model's own weights. If a kernel is wrong on some device, or if the device refuses to
// launch it, 'fused' throws an error and 'auto' uses grouped-conv. The user never gets wrong tokens.

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

#include "engine/cuda/stream.hpp"
#include "engine/error.hpp"
#include "engine/run/op.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/few-map-values.hpp"
#include "engine/token-learner/marshal.hpp"
#include "engine/torch/aten.hpp"
#include "kernels/cuda/device.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;
using kernels::Status;

/// The sizes of the compared images. They are no multiple of any tile. The second has more than one segment
/// of pixels.
constexpr int64_t kVerifiedHeight = 15, kVerifiedWidth = 17;
constexpr int64_t kLongHeight = 33, kLongWidth = 32;
/// Limit for the elements of the hidden layer in the documented computation. The image is made smaller until
/// it fits.
constexpr int64_t kMostVerified = int64_t{1} << 26;
constexpr std::size_t kAlignment = 1024;  // Workspace and packed weights. libtorch's allocator aligns to 512.

/// The device has no code or too few resources for a kernel, or no kernel supports the shape.
class Refused final : public Error {
 public:
  using Error::Error;
};

void check(Status status) {
  if (status == Status::ok) return;
  const cuda::LastError last = cuda::last_error();
  ErrorCode code = ErrorCode::ERR_ENGINE_UNSUPPORTED;
  if (status == Status::out_of_memory) code = ErrorCode::ERR_OUT_OF_MEMORY;
  if (status == Status::device_error) {
    code = last.fault == cuda::Fault::device_lost ? ErrorCode::ERR_DEVICE_LOST : ErrorCode::ERR_LIBTORCH;
  }
  const std::string text =
      std::string("The fused CUDA engine answered: ") + name_of(status) + " (" + last.text + ")";
  const bool refused = status == Status::device_error && last.fault == cuda::Fault::launch_refused;
  if (refused || status == Status::unsupported) throw Refused(code, text);
  throw Error(code, text);
}

/// Device memory, aligned to kAlignment.
struct Bytes {
  Tensor tensor;
  std::byte* data = nullptr;
  std::size_t size = 0;

  Bytes(std::size_t bytes, Device device)
      : tensor(aten::empty({static_cast<int64_t>(bytes + kAlignment)}, DType::uint8, device, false)),
        size(bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.data());
    data = reinterpret_cast<std::byte*>((address + kAlignment - 1) & ~(kAlignment - 1));
  }
};

double relative_error(const Tensor& device_tensor, const Tensor& device_reference) {
  const Tensor a = aten::to_copy(device_tensor, DType::float64, Device::cpu());
  const Tensor b = aten::to_copy(device_reference, DType::float64, Device::cpu());
  const auto* x = reinterpret_cast<const double*>(a.data());
  const auto* y = reinterpret_cast<const double*>(b.data());
  double difference = 0;
  double norm = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    difference += (x[i] - y[i]) * (x[i] - y[i]);
    norm += y[i] * y[i];
  }
  return std::sqrt(difference / std::max(norm, 1e-300));
}

double relative_error(const TokensAndMaps& result, const TokensAndMaps& reference) {
  const double maps = relative_error(result.maps, reference.maps);
  const double tokens = relative_error(result.tokens, reference.tokens);
  return std::isnan(maps) || std::isnan(tokens) ? NAN : std::max(maps, tokens);
}

/// Half of the digits of the mode's significand: a larger error is not a rounding error. If the weights
/// cancel, the error may also be up to kTimesLiteral times libtorch's own.
double verification_bound(cuda::Precision precision) {
  return precision == cuda::Precision::float32 ? 1e-4 : 5e-2;
}
constexpr double kTimesLiteral = 4;

/// The documented computation in true float32, for parameters of any dtype.
std::unique_ptr<TokenLearnerEngine> exact_engine(TokenLearnerConfig config,
                                                 const std::vector<Tensor>& parameters) {
  config.allow_tf32 = false;
  return make_grouped_conv_engine(config, place(parameters, {DType::float32, parameters[0].device()}));
}

/// x (1, C, H, W). Either pixels or channels are adjacent in memory.
Tensor random_image(int64_t channels, int64_t height, int64_t width, bool channels_last, DType dtype,
                    Device device) {
  if (!channels_last) return aten::randn({1, channels, height, width}, dtype, device);
  Tensor x = aten::randn({1, height, width, channels}, dtype, device);
  x.shape = {1, channels, height, width};
  x.strides = {height * width * channels, 1, width * channels, channels};
  return x;
}

const ForwardOptions kWithMaps{.return_attention = true, .tokens_first = false, .call = nullptr};

class FusedCudaEngine final : public TokenLearnerEngine {
 public:
  FusedCudaEngine(const TokenLearnerConfig& config, std::vector<Tensor> parameters)
      : config_(config),
        parameters_(std::move(parameters)),
        device_(parameters_[0].device()),
        literal_(make_grouped_conv_engine(config, parameters_)) {
    cuda::DeviceDescription description;
    check(cuda::describe_device(device_.index, &description));
    properties_ = description.properties;
    check(cuda::choose_precision(parameters_[0].dtype, config.allow_tf32, &precision_));
  }

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    if (has_few_map_values(config_, x)) {
      const Tensor wide = aten::to_copy(x, DType::float64, device_);
      return narrowed(wide_literal().run(wide, options));
    }
    try {
      if (const auto packed = packed_for(kernels_for(x))) {
        return run_packed(*packed, x, options);
      }
    } catch (const Refused&) {
      if (config_.engine == "fused") throw;
    }
    return literal_->run(x, options);
  }

 private:
  struct Packed {
    Bytes buffer;
    cuda::CudaPackedWeights weights;
  };

  /// See Note [Few map values]. Made at the first use.
  const TokenLearnerEngine& wide_literal() const {
    std::call_once(widened_, [this] {
      wide_literal_ = make_grouped_conv_engine(config_, place(parameters_, {DType::float64, device_}));
    });
    return *wide_literal_;
  }

  /// The set of kernels that a forward uses.
  struct Kernels {
    cuda::Variant variant;
    /// True if channels are adjacent in memory. Then other kernels pack the pixels and compute the tokens.
    bool channels_last;
    /// True if the token product is divided into segments of pixels.
    bool segmented;

    bool operator<(const Kernels& other) const {
      return std::tie(variant, channels_last, segmented) <
             std::tie(other.variant, other.channels_last, other.segmented);
    }
  };

  Kernels kernels_for(const Tensor& x) const {
    const cuda::CudaShape shape = shape_of(x);
    return {cuda::choose_variant(shape, precision_, properties_), x.strides[1] == 1 && x.strides[3] != 1,
            cuda::token_product_workspace_bytes(shape) > 0};
  }

  cuda::CudaShape shape_of(const Tensor& x) const {
    return {x.shape[0], config_.dim, config_.hidden(), config_.num_output_tokens, x.shape[2] * x.shape[3]};
  }

  TokensAndMaps run_packed(const Packed& packed, const Tensor& x, const ForwardOptions& options) const {
    const int64_t groups = config_.num_output_tokens;
    Tensor maps = aten::empty({x.shape[0], groups, x.shape[2], x.shape[3]}, DType::float32, device_, false);
    Tensor tokens = aten::empty(
        options.tokens_first ? Dims{x.shape[0], groups, config_.dim} : Dims{x.shape[0], config_.dim, groups},
        x.dtype, device_, false);
    if (x.shape[0] > 0) {
      const cuda::Plan plan =
          cuda::plan_forward(shape_of(x), precision_, packed.weights.variant, properties_);
      const Bytes workspace(plan.workspace_bytes, device_);
      check(cuda::cuda_fused_forward(forward_params(x, maps, tokens, options.tokens_first, x.dtype),
                                     packed.weights, plan, workspace.data, workspace.size,
                                     current_stream(device_)));
    }
    if (options.return_attention && maps.dtype != x.dtype) maps = aten::to_copy(maps, x.dtype, device_);
    return {tokens, maps};
  }

  /// The weights packed for these kernels. Null if the kernels cannot be used and the engine is 'auto'.
  std::shared_ptr<const Packed> packed_for(const Kernels& kernels) const {
    const std::lock_guard lock(mutex_);
    const auto found = verified_.find(kernels);
    if (found != verified_.end()) return found->second;
    return verified_.emplace(kernels, verified(kernels)).first->second;
  }

  /// See Note [Trust, but verify]. Precondition: mutex_ is held.
  std::shared_ptr<const Packed> verified(const Kernels& kernels) const {
    const bool must = config_.engine == "fused";
    try {
      std::shared_ptr<const Packed>& packed = packed_[kernels.variant];
      if (packed == nullptr) packed = pack(kernels.variant);
      if (agrees(*packed, kernels)) return packed;
    } catch (const Refused&) {
      if (must) throw;
      return nullptr;
    }
    if (!must) return nullptr;
    throw Error(
        ErrorCode::ERR_ENGINE_UNSUPPORTED,
        std::string("The fused CUDA kernel '") + name_of(kernels.variant) +
            "' disagrees with grouped-conv on this device; use engine 'grouped-conv', and please report "
            "the device");
  }

  std::shared_ptr<const Packed> pack(cuda::Variant variant) const {
    const LayerViews layers = layer_views(parameters_);
    const cuda::CudaShape shape{1, config_.dim, config_.hidden(), config_.num_output_tokens, 1};
    const std::size_t bytes = cuda::packed_weights_bytes(shape, precision_, variant);
    auto packed = std::make_shared<Packed>(Packed{Bytes(bytes, device_), {}});
    check(cuda::cuda_pack_weights(weights_view(config_, parameters_, layers), precision_, variant,
                                  packed->buffer.data, bytes, &packed->weights, current_stream(device_)));
    // Other lanes will read it on their own streams.
    synchronize(device_);
    return packed;
  }

  bool agrees(const Packed& packed, const Kernels& kernels) const {
    int64_t height = kernels.segmented ? kLongHeight : kVerifiedHeight;
    int64_t width = kernels.segmented ? kLongWidth : kVerifiedWidth;
    const int64_t rows = config_.num_output_tokens * config_.hidden();
    while (height * width > 1 && rows > kMostVerified / (height * width)) {
      int64_t& longer = height > width ? height : width;
      longer = (longer + 1) / 2;
    }
    const DType dtype = parameters_[0].dtype;
    const Tensor x = random_image(config_.dim, height, width, kernels.channels_last, dtype, device_);
    const TokensAndMaps ours = run_packed(packed, x, kWithMaps);
    const TokensAndMaps exact =
        exact_engine(config_, parameters_)->run(aten::to_copy(x, DType::float32, device_), kWithMaps);
    const double error = relative_error(ours, exact);
    // `<=` rather than a negated `>`: a NaN must fail.
    return error <= verification_bound(precision_) ||
           error <= kTimesLiteral * relative_error(literal_->run(x, kWithMaps), exact);
  }

  TokenLearnerConfig config_;
  std::vector<Tensor> parameters_;
  Device device_;
  std::unique_ptr<TokenLearnerEngine> literal_;
  cuda::DeviceProperties properties_;
  cuda::Precision precision_ = cuda::Precision::float32;
  mutable std::once_flag widened_;
  mutable std::unique_ptr<TokenLearnerEngine> wide_literal_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  mutable std::map<cuda::Variant, std::shared_ptr<const Packed>> packed_;
  mutable std::map<Kernels, std::shared_ptr<const Packed>> verified_;
};

}  // namespace

std::string unsupported_reason_on_cuda(DType dtype, Device device) {
  if (dtype == DType::float64) return "there are no float64 kernels";
  cuda::DeviceDescription description;
  if (cuda::describe_device(device.index, &description) != Status::ok) {
    // The kernels' CUDA runtime is linked into this addon. It may need a newer driver than libtorch's.
    return std::string("the CUDA kernels' runtime finds no device (") + cuda::last_error().text + ")";
  }
  if (description.properties.compute_major < 8) return "it needs compute capability 8.0 or later";
  return "";
}

std::unique_ptr<TokenLearnerEngine> make_fused_cuda_engine(const TokenLearnerConfig& config,
                                                           const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCudaEngine>(config, parameters);
}

}  // namespace tokenlearner
