// Built with clang-cl or MinGW: MSVC has no GNU vector types, which the kernels use.
// clang-format off
#include <windows.h>
// clang-format on
#include <malloc.h>
#include <process.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "platform/platform.hpp"

namespace tokenlearner::platform {

const char* const kCudaDriver = "nvcuda.dll";
const bool kThreadsOutliveExit = false;

/** The system's own block. Node changes this one, and not the C library's copy. */
std::optional<std::string> environment_variable(const char* name) {
  const std::wstring wide = path_from(name).wstring();
  std::wstring value(128, L'\0');
  for (;;) {
    SetLastError(ERROR_SUCCESS);
    const DWORD length =
        GetEnvironmentVariableW(wide.c_str(), value.data(), static_cast<DWORD>(value.size()));
    if (length == 0 && GetLastError() == ERROR_ENVVAR_NOT_FOUND) return std::nullopt;
    const bool fits = length < value.size();
    value.resize(length);
    if (fits) return text_of(value);
  }
}

std::filesystem::path path_from(const std::string& text) {
  return std::filesystem::path(std::u8string(text.begin(), text.end()));
}

std::string text_of(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}

std::string library_file(const std::string& name) { return name + ".dll"; }

namespace {

std::string text_of_error(DWORD code) {
  wchar_t* text = nullptr;
  const DWORD flags =
      FORMAT_MESSAGE_ALLOCATE_BUFFER | FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS;
  DWORD length = FormatMessageW(flags, nullptr, code, 0, reinterpret_cast<wchar_t*>(&text), 0, nullptr);
  if (length == 0) return "error " + std::to_string(code);
  // The text ends with a line break.
  while (length > 0 && (text[length - 1] == L'\n' || text[length - 1] == L'\r')) --length;
  const std::string message = text_of(std::wstring(text, length));
  LocalFree(text);
  return message + " (error " + std::to_string(code) + ")";
}

}  // namespace

/** A library with a folder finds those beside it. A name alone is looked for in the system's folder only. */
void* open_library(const std::filesystem::path& file, std::string& problem) {
  const DWORD flags = file.is_absolute() ? LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS
                                         : LOAD_LIBRARY_SEARCH_SYSTEM32;
  const HMODULE library = LoadLibraryExW(file.c_str(), nullptr, flags);
  if (library == nullptr) problem = text_of_error(GetLastError());
  return reinterpret_cast<void*>(library);
}

int memory_file(const char*) noexcept { return -1; }

void close_library(void* library) noexcept { FreeLibrary(static_cast<HMODULE>(library)); }

void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

std::string folder_of_loaded(const std::string& file_name) {
  const HMODULE library = GetModuleHandleW(path_from(file_name).c_str());
  if (library == nullptr) return "";
  std::wstring file(MAX_PATH, L'\0');
  for (;;) {
    const DWORD length = GetModuleFileNameW(library, file.data(), static_cast<DWORD>(file.size()));
    if (length == 0) return "";
    if (length < file.size()) {
      file.resize(length);
      return text_of(std::filesystem::path(file).parent_path());
    }
    file.resize(file.size() * 2);
  }
}

void keep_loaded() {
  HMODULE own = nullptr;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                     reinterpret_cast<const wchar_t*>(&kThreadsOutliveExit), &own);
}

std::size_t page_size() {
  static const std::size_t size = [] {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return static_cast<std::size_t>(info.dwPageSize);
  }();
  return size;
}

void* map_pages(std::size_t bytes) noexcept {
  return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void unmap_pages(void* base, std::size_t) noexcept { VirtualFree(base, 0, MEM_RELEASE); }

void* allocate_aligned(std::size_t alignment, std::size_t bytes) noexcept {
  return _aligned_malloc(bytes, alignment);
}

void free_aligned(void* memory) noexcept { _aligned_free(memory); }

void return_free_memory() noexcept { static_cast<void>(_heapmin()); }

namespace {

struct ThreadStart {
  void (*main)(void*);
  void* argument;
};

/** Before Windows 10, version 1607, threads have no names. */
void name_thread() {
  using Function = HRESULT(WINAPI*)(HANDLE, const wchar_t*);
  void* const found = find_symbol(GetModuleHandleW(L"kernel32.dll"), "SetThreadDescription");
  if (found != nullptr) reinterpret_cast<Function>(found)(GetCurrentThread(), L"tokenlearner");
}

unsigned __stdcall thread_main(void* data) {
  const ThreadStart start = *static_cast<ThreadStart*>(data);
  delete static_cast<ThreadStart*>(data);
  name_thread();
  start.main(start.argument);
  return 0;
}

}  // namespace

bool start_thread(ThreadHandle& thread, void (*main)(void*), void* argument) noexcept {
  auto* const start = new (std::nothrow) ThreadStart{main, argument};
  if (start == nullptr) return false;
  thread =
      _beginthreadex(nullptr, kStackBytes, thread_main, start, STACK_SIZE_PARAM_IS_A_RESERVATION, nullptr);
  if (thread == 0) delete start;
  return thread != 0;
}

void become_batch_thread() noexcept {}

void join_thread(ThreadHandle thread) noexcept {
  const auto handle = reinterpret_cast<HANDLE>(thread);
  WaitForSingleObject(handle, INFINITE);
  CloseHandle(handle);
}

// Only exit handlers need to know, which do not wait here.
bool is_main_thread() { return false; }

void call_after_fork(void (*)()) {}

namespace {

/** The system's records of one kind, each passed to `use`. */
template <typename Use>
void each_record(LOGICAL_PROCESSOR_RELATIONSHIP kind, const Use& use) {
  DWORD bytes = 0;
  GetLogicalProcessorInformationEx(kind, nullptr, &bytes);
  std::vector<std::byte> buffer(bytes);
  const auto record = [&](std::size_t at) {
    return reinterpret_cast<SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX*>(buffer.data() + at);
  };
  if (bytes == 0 || GetLogicalProcessorInformationEx(kind, record(0), &bytes) == 0) return;
  for (std::size_t at = 0; at < bytes; at += record(at)->Size) use(*record(at));
}

}  // namespace

/** An affinity mask covers one group of up to 64 processors. A process in several groups has no mask. */
Cores usable_cores() {
  DWORD_PTR mask = 0;
  DWORD_PTR all = 0;
  GetProcessAffinityMask(GetCurrentProcess(), &mask, &all);
  USHORT group = 0;
  USHORT groups = 1;
  if (GetProcessGroupAffinity(GetCurrentProcess(), &groups, &group) == 0) mask = all = 0;
  int count = 0;
  each_record(RelationProcessorCore, [&](const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX& record) {
    const GROUP_AFFINITY& core = record.Processor.GroupMask[0];
    if (mask == 0 || (core.Group == group && (core.Mask & mask) != 0)) ++count;
  });
  return {std::max(1, count), mask != all};
}

/** A job object limits CPU time in hundredths of a per cent of all processors. Containers are job objects. */
CpuQuota cpu_quota() {
  constexpr double kNoLimit = std::numeric_limits<double>::infinity();
  JOBOBJECT_CPU_RATE_CONTROL_INFORMATION job{};
  constexpr DWORD kHard = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
  if (QueryInformationJobObject(nullptr, JobObjectCpuRateControlInformation, &job, sizeof job, nullptr) ==
          0 ||
      (job.ControlFlags & kHard) != kHard || job.CpuRate == 0)
    return {kNoLimit, "job"};
  return {job.CpuRate / 10000.0 * GetActiveProcessorCount(ALL_PROCESSOR_GROUPS), "job"};
}

std::size_t cache_bytes(int level) {
  std::size_t bytes = 0;
  each_record(RelationCache, [&](const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX& record) {
    const CACHE_RELATIONSHIP& cache = record.Cache;
    if (bytes == 0 && cache.Level == level && cache.Type != CacheInstruction) bytes = cache.CacheSize;
  });
  return bytes;
}

bool request_tile_registers() { return false; }

}  // namespace tokenlearner::platform
