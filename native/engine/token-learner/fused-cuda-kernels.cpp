#include "engine/token-learner/fused-cuda-kernels.hpp"

#include <bit>
#include <map>

#include "engine/cuda/stream.hpp"
#include "engine/token-learner/marshal.hpp"
#include "engine/torch/aten.hpp"
#include "kernels/cuda/device.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;
using kernels::Status;

}  // namespace

/// Note: [Counters of a stream]
/// The thread blocks of the small kernel count themselves, and the last one sets the counters back to zero.
/// So no forward needs to clear them, if no other work writes them and forwards that share them follow one
/// another: each stream has its own. A launch that fails leaves zeros too. A kernel that fails while it runs
/// may not, but then the device is lost.
class FusedCudaKernels::StreamCounters {
 public:
  explicit StreamCounters(Device device) : device_(device) {}

  /// At least `bytes` for the next forward on this thread's stream. Null if `bytes` is 0.
  std::shared_ptr<const DeviceBytes> get(std::size_t bytes) {
    if (bytes == 0) return nullptr;
    void* const stream = current_stream(device_);
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const DeviceBytes>& counters = counters_[stream];
    if (counters == nullptr || counters->size < bytes) {
      auto larger = std::make_shared<const DeviceBytes>(std::bit_ceil(bytes), device_);
      check_cuda(cuda::cuda_clear_counters(larger->data, larger->size, stream));
      counters = std::move(larger);
    }
    return counters;
  }

 private:
  Device device_;
  std::mutex mutex_;
  /// By stream. Guarded by mutex_. libtorch's streams live as long as the process.
  std::map<void*, std::shared_ptr<const DeviceBytes>> counters_;
};

struct FusedCudaKernels::Packed {
  DeviceBytes buffer;
  cuda::CudaPackedWeights weights;
};

FusedCudaKernels::FusedCudaKernels(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters)
    : config_(config),
      parameters_(parameters),
      device_(parameters[0].device()),
      counters_(std::make_unique<StreamCounters>(device_)) {
  check_cuda(cuda::device_properties(device_.index, &properties_));
  check_cuda(cuda::choose_precision(parameters[0].dtype, config.allow_tf32, &precision_));
}

FusedCudaKernels::~FusedCudaKernels() = default;

cuda::CudaShape FusedCudaKernels::shape_of(int64_t batch, int64_t pixels) const {
  return {batch, config_.dim, config_.hidden(), config_.num_output_tokens, pixels};
}

KernelSet FusedCudaKernels::set_for(const Tensor& x) const {
  const cuda::CudaShape shape = shape_of(x.shape[0], x.shape[2] * x.shape[3]);
  return {cuda::choose_variant(shape, precision_, properties_),
          cuda::is_channels_last(x.strides[1], x.strides[3]), cuda::has_pixel_segments(shape)};
}

cuda::Plan FusedCudaKernels::plan_for(const Tensor& x, cuda::Variant variant) const {
  return cuda::plan_forward(shape_of(x.shape[0], x.shape[2] * x.shape[3]), precision_, variant, properties_);
}

TokensAndMaps FusedCudaKernels::run(const cuda::Plan& plan, const Tensor& x, bool tokens_first) const {
  const std::shared_ptr<const Packed> packed = packed_for(plan.variant);
  const int64_t batch = x.shape[0], groups = config_.num_output_tokens;
  const Tensor maps = aten::empty({batch, groups, x.shape[2], x.shape[3]}, DType::float32, device_, false);
  const Tensor tokens =
      aten::empty(tokens_first ? Dims{batch, groups, config_.dim} : Dims{batch, config_.dim, groups}, x.dtype,
                  device_, false);
  if (batch > 0) {
    const DeviceBytes workspace(plan.workspace_bytes, device_);
    const std::shared_ptr<const DeviceBytes> counters = counters_->get(plan.counter_bytes);
    cuda::Scratch scratch{workspace.data, workspace.size};
    if (counters != nullptr) {
      scratch.counters = counters->data;
      scratch.counter_bytes = counters->size;
    }
    check_cuda(cuda::cuda_fused_forward(forward_params(x, maps, tokens, tokens_first), packed->weights, plan,
                                        scratch, current_stream(device_)));
  }
  return {tokens, maps};
}

std::shared_ptr<const FusedCudaKernels::Packed> FusedCudaKernels::packed_for(cuda::Variant variant) const {
  Format& format = formats_[static_cast<std::size_t>(cuda::format_of(variant))];
  const std::lock_guard lock(format.mutex);
  if (format.packed == nullptr) format.packed = pack(variant);
  return format.packed;
}

std::shared_ptr<const FusedCudaKernels::Packed> FusedCudaKernels::pack(cuda::Variant variant) const {
  const LayerViews layers = layer_views(parameters_);
  const std::size_t bytes = cuda::packed_weights_bytes(shape_of(1, 1), precision_, variant);
  auto packed = std::make_shared<Packed>(Packed{DeviceBytes(bytes, device_), {}});
  check_cuda(cuda::cuda_pack_weights(weights_view(config_, parameters_, layers), precision_, variant,
                                     packed->buffer.data, bytes, &packed->weights, current_stream(device_)));
  // Other lanes will read it on their own streams.
  synchronize(device_);
  return packed;
}

std::string unsupported_reason_on_cuda(DType dtype, Device device) {
  if (dtype == DType::float64) return "there are no float64 kernels";
  cuda::DeviceProperties properties;
  if (cuda::device_properties(device.index, &properties) != Status::ok) {
    // The kernels' CUDA runtime is linked into this addon. It may need a newer driver than libtorch's.
    return std::string("the CUDA kernels' runtime finds no device (") + cuda::last_error().text + ")";
  }
  if (properties.compute_major < 8) return "it needs compute capability 8.0 or later";
  return "";
}

}  // namespace tokenlearner
