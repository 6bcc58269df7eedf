// What libstdc++ asks of glibc and only a glibc above the floor has. See Note [glibc floor] in
// cmake/glibc-floor.cmake. Names and signatures are glibc's; the addon's export map keeps them inside.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

extern "C" {

// 2.32: "false" has libstdc++ count references with atomic instructions, which is right for any number of
// threads.
char __libc_single_threaded = 0;

// 2.33. On 64-bit Linux glibc's structure is the kernel's.
int stat(const char* path, struct stat* status) {
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, status, 0));
}

int fstat64(int file, struct stat64* status) { return static_cast<int>(syscall(SYS_fstat, file, status)); }

// 2.36; std::random_device reads it.
std::uint32_t arc4random() {
  std::uint32_t value = 0;
  if (getentropy(&value, sizeof(value)) != 0) std::abort();
  return value;
}

}  // extern "C"
