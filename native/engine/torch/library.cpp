#include "engine/torch/library.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>

#include "engine/error.hpp"
#include "engine/run/exit-gate.hpp"
#include "engine/torch/abi.hpp"
#include "kernels/cpu/topology.hpp"
#include "platform/platform.hpp"

namespace tokenlearner {

namespace {

constexpr uint64_t kOldest = TORCH_TARGET_VERSION;

/// There is one libtorch per process: it registers its operators globally, so a second copy would conflict.
/// It is never closed: its threads and static objects live until the process ends.
struct Loaded {
  std::mutex mutex;
  TorchInfo info;
  void* handle = nullptr;
  void* cuda_handle = nullptr;
  std::atomic<bool> ready = false;
  bool cuda_ready = false;
  TorchFunctions functions;
};

Loaded& loaded() {
  static Loaded* const instance = new Loaded;
  return *instance;
}

std::string version_text(uint64_t packed) {
  return std::to_string(packed >> 56) + "." + std::to_string((packed >> 48) & 0xff) + "." +
         std::to_string((packed >> 40) & 0xff);
}

void* open_library(const std::filesystem::path& path) {
  std::string problem;
  void* const handle = platform::open_library(path, problem);
  if (handle == nullptr) {
    throw Error(ErrorCode::ERR_LIBTORCH_LOAD,
                "Could not load libtorch from " + platform::text_of(path) + ": " + problem);
  }
  return handle;
}

template <typename F>
void resolve(void* handle, const char* name, F& function) {
  function = reinterpret_cast<F>(platform::find_symbol(handle, name));
}

TorchFunctions resolve_all(void* handle, const std::string& path) {
  TorchFunctions f;
  const char* missing = nullptr;
#define TOKENLEARNER_RESOLVE(name) \
  resolve(handle, #name, f.name);  \
  if (f.name == nullptr) missing = #name;
  TOKENLEARNER_TORCH_FUNCTIONS(TOKENLEARNER_RESOLVE)
#undef TOKENLEARNER_RESOLVE
  resolve(handle, "_ZN2at15set_num_threadsEi", f.set_num_threads);
  resolve(handle, "omp_set_num_threads", f.omp_set_num_threads);
  resolve(handle, "omp_get_max_threads", f.omp_get_max_threads);
  resolve(handle, "MKL_Set_Num_Threads_Local", f.mkl_set_num_threads_local);
  resolve(handle, "torch_new_stable_ivalue", f.torch_new_stable_ivalue);
  resolve(handle, "torch_exception_get_what_without_backtrace", f.torch_exception_get_what_without_backtrace);
  if (missing != nullptr) {
    std::string message = "The libtorch at " + path + " lacks " + missing;
    if (f.aoti_torch_abi_version != nullptr)
      message += "; it reports version " + version_text(f.aoti_torch_abi_version());
    throw Error(ErrorCode::ERR_LIBTORCH_INCOMPATIBLE,
                message + ". libtorch " TOKENLEARNER_OLDEST_TORCH " or later is needed");
  }
  return f;
}

bool same_folder(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return a == b || std::filesystem::equivalent(platform::path_from(a), platform::path_from(b), ignored);
}

/// Throws if opening libtorch would end the process or load a second libtorch.
void check_before_opening(const std::string& lib_dir, const std::string& mapped) {
  // MKL reads the working directory when it is loaded, and calls exit(2) if there is none.
  std::error_code missing;
  static_cast<void>(std::filesystem::current_path(missing));
  if (missing) {
    throw Error(ErrorCode::ERR_LIBTORCH_LOAD, "libtorch cannot be loaded from " + lib_dir +
                                                  " in a working directory that does not exist (" +
                                                  missing.message() + "): call process.chdir() first");
  }
  if (!mapped.empty() && !same_folder(mapped, lib_dir)) {
    throw Error(ErrorCode::ERR_LIBTORCH_LOAD, "This process has loaded libtorch from " + mapped +
                                                  " already and cannot load another one from " + lib_dir +
                                                  " beside it");
  }
}

/// libtorch uses all cores of the machine. Limits it to the cores that this process may use.
void limit_threads(const TorchFunctions& functions) {
  uint32_t threads = 0;
  const int limit = kernels::thread_limit().threads;
  if (functions.set_num_threads == nullptr || functions.torch_get_num_threads(&threads) != 0) return;
  if (static_cast<int>(threads) > limit) functions.set_num_threads(limit);
}

}  // namespace

std::string mapped_torch_dir() { return platform::folder_of_loaded(platform::library_file("torch_cpu")); }

const TorchFunctions& torch() {
  Loaded& state = loaded();
  if (!state.ready) throw Error(ErrorCode::ERR_LIBTORCH_NOT_FOUND, "libtorch has not been loaded");
  return state.functions;
}

void load_torch(const std::string& lib_dir) {
  Loaded& state = loaded();
  const std::lock_guard lock(state.mutex);
  ExitGate::guard_main_thread();
  if (state.ready) {
    if (same_folder(state.info.lib_dir, lib_dir)) return;
    check_before_opening(lib_dir, state.info.lib_dir);
  }
  const std::string mapped = mapped_torch_dir();
  check_before_opening(lib_dir, mapped);
  const std::filesystem::path dir = platform::path_from(lib_dir);
  const std::filesystem::path file = dir / platform::library_file("torch_cpu");
  void* const handle = open_library(file);
  const TorchFunctions functions = resolve_all(handle, platform::text_of(file));
  const uint64_t version = functions.aoti_torch_abi_version();
  if (version < kOldest) {
    throw Error(ErrorCode::ERR_LIBTORCH_INCOMPATIBLE,
                "The libtorch at " + lib_dir + " is " + version_text(version) +
                    ". libtorch " TOKENLEARNER_OLDEST_TORCH " or later is needed");
  }
  state.functions = functions;
  state.handle = handle;
  state.info = {lib_dir, version_text(version),
                std::filesystem::exists(dir / platform::library_file("torch_cuda"))};
  // If someone else has loaded this libtorch, do not change its settings.
  if (mapped.empty()) limit_threads(functions);
  state.ready = true;
  ExitGate::install();
}

void load_torch_cuda() {
  Loaded& state = loaded();
  const std::lock_guard lock(state.mutex);
  if (state.cuda_ready) return;
  const std::filesystem::path path =
      platform::path_from(state.info.lib_dir) / platform::library_file("torch_cuda");
  void* const handle = open_library(path);
  TorchFunctions& f = state.functions;
  resolve(handle, "torch_get_cuda_stream_from_pool", f.torch_get_cuda_stream_from_pool);
  resolve(handle, "torch_set_current_cuda_stream", f.torch_set_current_cuda_stream);
  resolve(handle, "torch_cuda_stream_synchronize", f.torch_cuda_stream_synchronize);
  resolve(handle, "aoti_torch_get_current_cuda_stream", f.aoti_torch_get_current_cuda_stream);
  if (f.torch_get_cuda_stream_from_pool == nullptr || f.torch_set_current_cuda_stream == nullptr ||
      f.torch_cuda_stream_synchronize == nullptr || f.aoti_torch_get_current_cuda_stream == nullptr) {
    throw Error(ErrorCode::ERR_LIBTORCH_INCOMPATIBLE,
                platform::text_of(path) + " lacks the stable ABI's stream functions");
  }
  // In libtorch_cuda's own dependencies, so this is its CUDA runtime. Not found on Windows.
  int (*runtime_version)(int*) = nullptr;
  resolve(handle, "cudaRuntimeGetVersion", runtime_version);
  if (runtime_version == nullptr || runtime_version(&state.info.cuda_runtime) != 0)
    state.info.cuda_runtime = 0;
  state.cuda_handle = handle;
  state.cuda_ready = true;
  ExitGate::install();
}

std::optional<TorchInfo> torch_info() {
  Loaded& state = loaded();
  const std::lock_guard lock(state.mutex);
  if (!state.ready) return std::nullopt;
  return state.info;
}

void adopt_chosen_threads() {
  thread_local int adopted = 0;
  const int chosen = kernels::chosen_threads();
  if (chosen == adopted) return;
  adopted = chosen;
  const TorchFunctions& functions = torch();
  if (functions.set_num_threads != nullptr) functions.set_num_threads(chosen);
}

bool torch_exports(const char* name) {
  Loaded& state = loaded();
  const std::lock_guard lock(state.mutex);
  const auto exported = [name](void* handle) {
    return handle != nullptr && platform::find_symbol(handle, name) != nullptr;
  };
  return exported(state.handle) || exported(state.cuda_handle);
}

ThreadShare::ThreadShare(int lanes) {
  const TorchFunctions& t = torch();
  if (lanes <= 1 || t.omp_set_num_threads == nullptr || t.omp_get_max_threads == nullptr) return;
  // Asks libtorch first: its first answer on a thread sets the number.
  const auto all = static_cast<int>(torch_num_threads());
  const int share = std::max(1, all / lanes);
  before_ = t.omp_get_max_threads();
  t.omp_set_num_threads(share);
  if (t.mkl_set_num_threads_local != nullptr) mkl_before_ = t.mkl_set_num_threads_local(share);
}

ThreadShare::~ThreadShare() {
  if (before_ == 0) return;
  const TorchFunctions& t = torch();
  t.omp_set_num_threads(before_);
  if (t.mkl_set_num_threads_local != nullptr) t.mkl_set_num_threads_local(mkl_before_);
}

uint32_t torch_num_threads() {
  uint32_t threads = 0;
  adopt_chosen_threads();
  check_torch(torch().torch_get_num_threads(&threads), "get_num_threads");
  return threads;
}

}  // namespace tokenlearner
