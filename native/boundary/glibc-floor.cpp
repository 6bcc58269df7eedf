// The symbols that libstdc++ needs and that only a glibc above the floor has. See Note [glibc floor] in
// cmake/glibc-floor.cmake. Names and signatures are glibc's. The addon's export map does not export them.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

extern "C" {

// Since 2.32. With "false", libstdc++ counts references with atomic instructions. That is correct for any
// number of threads.
char __libc_single_threaded = 0;

// Since 2.33. On 64-bit Linux, glibc's structure is the same as the kernel's.
int stat(const char* path, struct stat* status) {
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, status, 0));
}

int fstat64(int file, struct stat64* status) { return static_cast<int>(syscall(SYS_fstat, file, status)); }

// Since 2.36. std::random_device calls it.
std::uint32_t arc4random() {
  std::uint32_t value = 0;
  if (getentropy(&value, sizeof(value)) != 0) std::abort();
  return value;
}

}  // extern "C"
