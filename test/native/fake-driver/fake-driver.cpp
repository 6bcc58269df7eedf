// A libcuda.so.1 that answers as the environment says, for the tests of what happens on machines whose driver
// is unusable: FAKE_CUDA_VERSION (13000), FAKE_CUDA_INIT (a CUresult), FAKE_CUDA_DEVICES. It has what a probe
// asks for and computes nothing.
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace {

int setting(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return setting("FAKE_CUDA_INIT", 0); }

int cuDriverGetVersion(int* version) {
  *version = setting("FAKE_CUDA_VERSION", 13000);
  return 0;
}

int cuDeviceGetCount(int* count) {
  *count = setting("FAKE_CUDA_DEVICES", 1);
  return 0;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}

int cuDeviceGetName(char* name, int length, int) {
  std::snprintf(name, static_cast<std::size_t>(length), "No GPU at all");
  return 0;
}

int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{1} << 30;
  return 0;
}

int cuDeviceGetAttribute(int* value, int, int) {
  *value = 9;
  return 0;
}

}  // extern "C"
