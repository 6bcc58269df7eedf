#include "engine/token-learner/fused-cuda-kernels.hpp"

#include <bit>
#include <cstdint>
#include <map>

#include "engine/cuda/stream.hpp"
#include "engine/token-learner/marshal.hpp"
#include "engine/torch/aten.hpp"
#include "kernels/cuda/device.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;
using kernels::Status;

constexpr std::size_t kAlignment = 1024;  // Workspace and packed weights. libtorch's allocator aligns to 512.

void check(Status status) {
  if (status == Status::ok) return;
  if (status == Status::unsupported) throw Refused("a size is beyond what they can compute");
  if (status != Status::device_error && status != Status::out_of_memory)
    throw Error(ErrorCode::ERR_LIBTORCH, std::string("The fused CUDA engine answered: ") + name_of(status));
  const cuda::LastError last = cuda::last_error();
  const std::string text = std::string(last.text) + " (" + last.name + ")";
  if (last.fault == cuda::Fault::launch_refused) throw Refused(text);
  const ErrorCode code = last.fault == cuda::Fault::out_of_memory ? ErrorCode::ERR_OUT_OF_MEMORY
                         : last.fault == cuda::Fault::device_lost ? ErrorCode::ERR_DEVICE_LOST
                                                                  : ErrorCode::ERR_LIBTORCH;
  throw Error(code, "The fused CUDA engine failed: " + text);
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
  std::shared_ptr<const Bytes> get(std::size_t bytes) {
    if (bytes == 0) return nullptr;
    void* const stream = current_stream(device_);
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Bytes>& counters = counters_[stream];
    if (counters == nullptr || counters->size < bytes) {
      auto larger = std::make_shared<const Bytes>(std::bit_ceil(bytes), device_);
      check(cuda::cuda_clear_counters(larger->data, larger->size, stream));
      counters = std::move(larger);
    }
    return counters;
  }

 private:
  Device device_;
  std::mutex mutex_;
  /// By stream. Guarded by mutex_. libtorch's streams live as long as the process.
  std::map<void*, std::shared_ptr<const Bytes>> counters_;
};

struct FusedCudaKernels::Packed {
  Bytes buffer;
  cuda::CudaPackedWeights weights;
};

FusedCudaKernels::FusedCudaKernels(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters)
    : config_(config),
      parameters_(parameters),
      device_(parameters[0].device()),
      counters_(std::make_unique<StreamCounters>(device_)) {
  check(cuda::device_properties(device_.index, &properties_));
  check(cuda::choose_precision(parameters[0].dtype, config.allow_tf32, &precision_));
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
    const Bytes workspace(plan.workspace_bytes, device_);
    const std::shared_ptr<const Bytes> counters = counters_->get(plan.counter_bytes);
    cuda::Scratch scratch{workspace.data, workspace.size};
    if (counters != nullptr) {
      scratch.counters = counters->data;
      scratch.counter_bytes = counters->size;
    }
    check(cuda::cuda_fused_forward(forward_params(x, maps, tokens, tokens_first), packed->weights, plan,
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
  auto packed = std::make_shared<Packed>(Packed{Bytes(bytes, device_), {}});
  check(cuda::cuda_pack_weights(weights_view(config_, parameters_, layers), precision_, variant,
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
