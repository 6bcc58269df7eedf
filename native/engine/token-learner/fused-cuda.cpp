// Our fused engine on CUDA: marshals engine tensors into the kernels' params struct, owns the packed weights.
//
// Note: [Trust, but verify]
// Which kernel runs depends on the device, the precision and the shape. The first time that an engine uses
// one, it compares it with the documented computation on libtorch, on the model's own weights: a kernel that
// is wrong on some device, or that the device refuses to launch, gives an error ('fused') or gives way to
// grouped-conv ('auto'), and never wrong tokens.

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "engine/aten.hpp"
#include "engine/cuda-stream.hpp"
#include "engine/error.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/marshal.hpp"
#include "kernels/cuda/device.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;
using kernels::Status;

constexpr int64_t kVerifiedSide = 64;
constexpr std::size_t kAlignment = 1024;  // Of workspace and packed weights; libtorch's allocator gives 512.

/// The device has no code for a kernel, or not the resources.
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
  if (status == Status::device_error && last.fault == cuda::Fault::launch_refused) throw Refused(code, text);
  throw Error(code, text);
}

/// Device memory for bytes, aligned to kAlignment.
struct Bytes {
  Tensor tensor;
  std::byte* data = nullptr;
  std::size_t size = 0;

  Bytes(std::size_t bytes, Device device)
      : tensor(aten::empty({static_cast<int64_t>(bytes + kAlignment)}, DType::kUint8, device, false)),
        size(bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.data());
    data = reinterpret_cast<std::byte*>((address + kAlignment - 1) & ~(kAlignment - 1));
  }
};

double relative_error(const Tensor& device_tensor, const Tensor& device_reference) {
  const Tensor a = aten::to_copy(device_tensor, DType::kFloat64, Device::cpu());
  const Tensor b = aten::to_copy(device_reference, DType::kFloat64, Device::cpu());
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

/// An error this large is no rounding: half of the mode's significand.
double verification_bound(cuda::Precision precision) {
  return precision == cuda::Precision::float32 ? 1e-4 : 5e-2;
}

class FusedCudaEngine final : public TokenLearnerEngine {
 public:
  FusedCudaEngine(const TokenLearnerConfig& config, std::vector<Tensor> parameters)
      : config_(config),
        parameters_(std::move(parameters)),
        device_(parameters_[0].device()),
        literal_(make_grouped_conv_engine(config, parameters_)) {
    cuda::DeviceDescription description;
    check(cuda::describe_device(device_.code, &description));
    properties_ = description.properties;
    check(cuda::choose_precision(kernel_dtype(parameters_[0].dtype), config.allow_tf32, &precision_));
  }

  TokensAndMaps run(const Tensor& x, bool tokens_first, bool want_maps) const override {
    const cuda::CudaShape shape = shape_of(x);
    const cuda::Variant variant = cuda::choose_variant(shape, precision_, properties_);
    const std::shared_ptr<const Packed> packed = packed_for(variant, x);
    if (packed == nullptr) return literal_->run(x, tokens_first, want_maps);
    return run_packed(*packed, x, tokens_first, want_maps);
  }

 private:
  struct Packed {
    Bytes buffer;
    cuda::CudaPackedWeights weights;
  };

  cuda::CudaShape shape_of(const Tensor& x) const {
    return {x.shape[0], config_.dim, config_.hidden(), config_.num_output_tokens, x.shape[2] * x.shape[3]};
  }

  TokensAndMaps run_packed(const Packed& packed, const Tensor& x, bool tokens_first, bool want_maps) const {
    const int64_t groups = config_.num_output_tokens;
    Tensor maps = aten::empty({x.shape[0], groups, x.shape[2], x.shape[3]}, DType::kFloat32, device_, false);
    Tensor tokens = aten::empty(
        tokens_first ? Dims{x.shape[0], groups, config_.dim} : Dims{x.shape[0], config_.dim, groups}, x.dtype,
        device_, false);
    if (x.shape[0] > 0) {
      const cuda::Plan plan =
          cuda::plan_forward(shape_of(x), precision_, packed.weights.variant, properties_);
      const Bytes workspace(plan.workspace_bytes, device_);
      check(cuda::cuda_fused_forward(forward_params(x, maps, tokens, tokens_first, kernel_dtype(x.dtype)),
                                     packed.weights, plan, workspace.data, workspace.size,
                                     current_stream(device_)));
    }
    if (want_maps && maps.dtype != x.dtype) maps = aten::to_copy(maps, x.dtype, device_);
    return {tokens, maps};
  }

  /// The weights as `variant` reads them; null where that variant does not serve and this is engine 'auto'.
  std::shared_ptr<const Packed> packed_for(cuda::Variant variant, const Tensor& x) const {
    const std::lock_guard lock(mutex_);
    const auto found = packed_.find(variant);
    if (found != packed_.end()) return found->second;
    return packed_.emplace(variant, verified(variant, x)).first->second;
  }

  /// See Note [Trust, but verify].
  std::shared_ptr<const Packed> verified(cuda::Variant variant, const Tensor& x) const {
    const bool must = config_.engine == "fused";
    try {
      std::shared_ptr<const Packed> packed = pack(variant);
      if (agrees(*packed, x)) return packed;
    } catch (const Refused&) {
      if (must) throw;
      return nullptr;
    }
    if (!must) return nullptr;
    throw Error(
        ErrorCode::ERR_ENGINE_UNSUPPORTED,
        std::string("The fused CUDA kernel '") + name_of(variant) +
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
    // Other lanes will read it on streams of their own.
    synchronize(device_);
    return packed;
  }

  bool agrees(const Packed& packed, const Tensor& like) const {
    // A corner of a large image will do: the literal computation needs G times its memory.
    const int64_t height = std::min(like.shape[2], kVerifiedSide);
    const int64_t width = std::min(like.shape[3], kVerifiedSide);
    const Tensor x = aten::randn({1, config_.dim, height, width}, like.dtype, device_);
    const TokensAndMaps ours = run_packed(packed, x, false, true);
    const TokensAndMaps theirs = literal_->run(x, false, true);
    const double bound = verification_bound(precision_);
    // Not `>`: a NaN must fail.
    return relative_error(ours.maps, theirs.maps) <= bound &&
           relative_error(ours.tokens, theirs.tokens) <= bound;
  }

  TokenLearnerConfig config_;
  std::vector<Tensor> parameters_;
  Device device_;
  std::unique_ptr<TokenLearnerEngine> literal_;
  cuda::DeviceProperties properties_;
  cuda::Precision precision_ = cuda::Precision::float32;
  mutable std::mutex mutex_;
  mutable std::map<cuda::Variant, std::shared_ptr<const Packed>> packed_;
};

}  // namespace

bool can_fuse_on_cuda(const TokenLearnerConfig& config, DType dtype, Device device) {
  cuda::DeviceDescription description;
  return config.num_layers == 2 && dtype != DType::kFloat64 &&
         cuda::describe_device(device.code, &description) == Status::ok &&
         description.properties.compute_major >= 8;
}

std::unique_ptr<TokenLearnerEngine> make_fused_cuda_engine(const TokenLearnerConfig& config,
                                                           const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCudaEngine>(config, parameters);
}

}  // namespace tokenlearner
