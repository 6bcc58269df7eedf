#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <new>
#include <set>
#include <string>

#include "platform/cgroup.hpp"
#include "platform/platform.hpp"

#if defined(__linux__)
#include <link.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#include <malloc/malloc.h>
#include <sys/sysctl.h>
#endif

namespace tokenlearner::platform {

const char* const kCudaDriver = "libcuda.so.1";
const bool kThreadsOutliveExit = true;

std::optional<std::string> environment_variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

std::filesystem::path path_from(const std::string& text) { return text; }

std::string text_of(const std::filesystem::path& path) { return path.string(); }

void* open_library(const std::filesystem::path& file, std::string& problem) {
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const text = dlerror();
    problem = text != nullptr ? text : "unknown reason";
  }
  return library;
}

#if defined(__linux__) && defined(SYS_memfd_create)
int memory_file(const char* name) noexcept {
  constexpr unsigned kCloseOnExec = 1;  // MFD_CLOEXEC
  constexpr unsigned kMayBeRun =
      0x10;  // MFD_EXEC, since Linux 6.3: a system may forbid what does not ask for it.
  const long file = syscall(SYS_memfd_create, name, kCloseOnExec | kMayBeRun);
  return static_cast<int>(file >= 0 ? file : syscall(SYS_memfd_create, name, kCloseOnExec));
}
#else
int memory_file(const char*) noexcept { return -1; }
#endif

void close_library(void* library) noexcept { dlclose(library); }

void* find_symbol(void* library, const char* name) { return dlsym(library, name); }

#if defined(__APPLE__)
std::string library_file(const std::string& name) { return "lib" + name + ".dylib"; }
#else
std::string library_file(const std::string& name) { return "lib" + name + ".so"; }
#endif

namespace {

/** The folder of a file with this name. Empty if the file has another name. */
std::string folder_if_named(const std::string& file, const std::string& name) {
  const std::size_t slash = file.rfind('/');
  return slash != std::string::npos && file.substr(slash + 1) == name ? file.substr(0, slash) : "";
}

}  // namespace

#if defined(__APPLE__)
std::string folder_of_loaded(const std::string& file_name) {
  for (std::uint32_t i = 0; i < _dyld_image_count(); ++i) {
    const char* const file = _dyld_get_image_name(i);
    const std::string folder = folder_if_named(file != nullptr ? file : "", file_name);
    if (!folder.empty()) return folder;
  }
  return "";
}

void keep_loaded() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&kThreadsOutliveExit), &info) == 0) return;
  static_cast<void>(dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE));
}
#else
std::string folder_of_loaded(const std::string& file_name) {
  struct Search {
    const std::string& name;
    std::string folder;
  } search{file_name, ""};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        Search& s = *static_cast<Search*>(data);
        s.folder = folder_if_named(info->dlpi_name != nullptr ? info->dlpi_name : "", s.name);
        return s.folder.empty() ? 0 : 1;
      },
      &search);
  return search.folder;
}

// The addon is linked with -z nodelete, and musl never unloads a library.
void keep_loaded() {}
#endif

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

void* map_pages(std::size_t bytes) noexcept {
  void* const base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return base == MAP_FAILED ? nullptr : base;
}

/** At the system's limit of mappings munmap may fail. Then the pages go back and only the addresses stay. */
void unmap_pages(void* base, std::size_t bytes) noexcept {
  if (munmap(base, bytes) != 0) static_cast<void>(madvise(base, bytes, MADV_DONTNEED));
}

void* allocate_aligned(std::size_t alignment, std::size_t bytes) noexcept {
  return std::aligned_alloc(alignment, bytes);
}

void free_aligned(void* memory) noexcept { std::free(memory); }

void return_free_memory() noexcept {
#if defined(__GLIBC__)
  malloc_trim(0);
#elif defined(__APPLE__)
  malloc_zone_pressure_relief(nullptr, 0);
#endif
}

namespace {

struct ThreadStart {
  void (*main)(void*);
  void* argument;
};

void* thread_main(void* data) {
  const ThreadStart start = *static_cast<ThreadStart*>(data);
  delete static_cast<ThreadStart*>(data);
#if defined(__APPLE__)
  pthread_setname_np("tokenlearner");
#else
  pthread_setname_np(pthread_self(), "tokenlearner");
#endif
  start.main(start.argument);
  return nullptr;
}

#if defined(__linux__)
/** The structure of sched_setattr(2), which glibc has a name for since version 2.41. */
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t slice_ns;  // sched_runtime
  std::uint64_t deadline_ns;
  std::uint64_t period_ns;
};

/** The usual slice is about 3 ms. From Linux 6.12 on, a thread with a shorter one interrupts it when it wakes. */
constexpr std::uint64_t kBatchSliceNs = 20'000'000;

/**
 * A service's filter of system calls (systemd's `SystemCallFilter=~@resources`) may end a process that asks for another class.
 * Those of containers let it ask, or refuse it with an error.
 */
bool may_choose_class() {
  return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0 || access("/.dockerenv", F_OK) == 0 ||
         access("/run/.containerenv", F_OK) == 0 || access("/run/secrets/kubernetes.io", F_OK) == 0;
}
#endif

/** Raises a default that is too small. A larger one, as RLIMIT_STACK makes it, is kept. */
void set_stack(pthread_attr_t& attributes) {
  std::size_t bytes = 0;
  if (pthread_attr_getstacksize(&attributes, &bytes) == 0 && bytes < kStackBytes)
    pthread_attr_setstacksize(&attributes, kStackBytes);
}

}  // namespace

bool start_thread(ThreadHandle& thread, void (*main)(void*), void* argument) noexcept {
  static_assert(sizeof(pthread_t) == sizeof(ThreadHandle));
  auto* const start = new (std::nothrow) ThreadStart{main, argument};
  pthread_attr_t attributes;
  if (start == nullptr || pthread_attr_init(&attributes) != 0) {
    delete start;
    return false;
  }
  set_stack(attributes);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t created;
  const int failed = pthread_create(&created, &attributes, thread_main, start);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (failed != 0) {
    delete start;
    return false;
  }
  thread = std::bit_cast<ThreadHandle>(created);
  return true;
}

#if defined(__linux__)
void become_batch_thread() noexcept {
  static const bool may = may_choose_class();
  SchedulingAttributes attributes{};
  if (!may || syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 ||
      attributes.policy != SCHED_OTHER)
    return;
  attributes.size = sizeof(attributes);
  attributes.policy = SCHED_BATCH;
  attributes.slice_ns = kBatchSliceNs;
  // A system that refuses leaves the thread as it was.
  static_cast<void>(syscall(SYS_sched_setattr, 0, &attributes, 0));
}
#else
void become_batch_thread() noexcept {}
#endif

void join_thread(ThreadHandle thread) noexcept { pthread_join(std::bit_cast<pthread_t>(thread), nullptr); }

#if defined(__APPLE__)
bool is_main_thread() { return pthread_main_np() != 0; }
#else
bool is_main_thread() { return syscall(SYS_gettid) == getpid(); }
#endif

bool request_tile_registers() {
#if defined(__linux__) && defined(__x86_64__)
  // linux/arch_prctl.h of older systems lacks both numbers.
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

void call_after_fork(void (*handler)()) { static_cast<void>(pthread_atfork(nullptr, nullptr, handler)); }

CpuQuota cpu_quota() { return {cgroup_cpus(), "cgroup"}; }

#if defined(__APPLE__)

namespace {

/** A number of the system. 0 if it has none of this name. */
std::int64_t system_number(const char* name) {
  std::int64_t value = 0;
  std::size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

}  // namespace

Cores usable_cores() { return {std::max(1, static_cast<int>(system_number("hw.physicalcpu"))), false}; }

std::size_t cache_bytes(int level) {
  const std::int64_t bytes = system_number(level == 1 ? "hw.l1dcachesize" : "hw.l2cachesize");
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

#else

namespace {

const std::string kCpus = "/sys/devices/system/cpu/cpu";

/** The first line of a file. Empty if it cannot be read. */
std::string first_line(const std::string& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

/** A name for the CPU's core: the list of its hardware threads, for example "0,4" for both. */
std::string core_of(int cpu) {
  const std::string siblings = first_line(kCpus + std::to_string(cpu) + "/topology/thread_siblings_list");
  return siblings.empty() ? std::to_string(cpu) : siblings;
}

/** "48K" in bytes. */
std::size_t bytes_of(const std::string& text) {
  char* end = nullptr;
  const std::size_t count = std::strtoul(text.c_str(), &end, 10);
  return *end == 'K' ? count << 10 : *end == 'M' ? count << 20 : count;
}

}  // namespace

Cores usable_cores() {
  const long online = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return {static_cast<int>(online), false};
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cores.insert(core_of(cpu));
  }
  return {std::max(1, static_cast<int>(cores.size())), CPU_COUNT(&mask) < online};
}

std::size_t cache_bytes(int level) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  const long size = sysconf(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : _SC_LEVEL2_CACHE_SIZE);
  if (size > 0) return static_cast<std::size_t>(size);
#endif
  // musl has no such names, and glibc does not know every processor.
  for (int i = 0; i < 8; ++i) {
    const std::string cache = kCpus + "0/cache/index" + std::to_string(i);
    if (first_line(cache + "/level") == std::to_string(level) && first_line(cache + "/type") != "Instruction")
      return bytes_of(first_line(cache + "/size"));
  }
  return 0;
}

#endif

}  // namespace tokenlearner::platform
