// The symbols that libstdc++ needs and that only a glibc above the floor has. See Note [glibc floor] in
// cmake/glibc-floor.cmake. Names and signatures are glibc's. The addon's export map does not export them.

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;  // nanoseconds

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

std::int64_t now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return nanoseconds(time);
}

}  // namespace

extern "C" {

// Since 2.32. With "false", libstdc++ counts references with atomic instructions. That is correct for any
// number of threads.
char __libc_single_threaded = 0;

// Since 2.33. On 64-bit Linux, glibc's structure is the same as the kernel's.
int stat(const char* path, struct stat* status) {
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, status, 0));
}

int fstat64(int file, struct stat64* status) { return static_cast<int>(syscall(SYS_fstat, file, status)); }

// Since 2.30. std::condition_variable::wait_until calls it for std::chrono::steady_clock. An older glibc waits by the
// real-time clock, which can be set, and at most a second: then the wait ends too early, which callers of wait_until
// must expect in any case.
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* deadline) {
  using Wait = int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);
  // The addon exports none of its own.
  static const auto system = reinterpret_cast<Wait>(dlsym(RTLD_DEFAULT, "pthread_cond_clockwait"));
  if (system != nullptr) return system(condition, mutex, clock, deadline);
  const std::int64_t left = std::clamp<std::int64_t>(nanoseconds(*deadline) - now(clock), 0, kSecond);
  const std::int64_t end = now(CLOCK_REALTIME) + left;
  const timespec real{end / kSecond, end % kSecond};
  return pthread_cond_timedwait(condition, mutex, &real);
}

// Since 2.36. std::random_device calls it.
std::uint32_t arc4random() {
  std::uint32_t value = 0;
  if (getentropy(&value, sizeof(value)) != 0) std::abort();
  return value;
}

}  // extern "C"
