// A library with AOTInductor's interface that is no program: MODE says what it does wrong. For library.test.ts.
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default"))) int32_t

namespace {
int container;
constexpr char kIn[] =
    R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": "builtins.tuple", "context": "null", "children_spec": [{"type": null, "context": null, "children_spec": []}]}, {"type": "builtins.dict", "context": "[]", "children_spec": []}]}])";
constexpr char kOut[] = R"([1, {"type": null, "context": null, "children_spec": []}])";
}  // namespace

EXPORT AOTInductorModelContainerCreateWithDevice(void** made, std::size_t, const char*, const char*) {
#if MODE == 1
  throw std::runtime_error("thrown by create");
#endif
  *made = &container;
  return 0;
}
EXPORT AOTInductorModelContainerDelete(void*) {
#if MODE == 4
  throw 1;
#endif
  return 0;
}
#if MODE != 5
EXPORT AOTInductorModelContainerRun(void*, void**, std::size_t, void**, std::size_t, void*, void*) {
#if MODE == 2
  throw std::string("no exception of the standard library");
#endif
#if MODE == 3
  return 1;
#endif
  throw std::runtime_error("thrown by run");
}
#endif
EXPORT AOTInductorModelContainerGetNumInputs(void*, std::size_t* count) {
  *count = 1;
  return 0;
}
EXPORT AOTInductorModelContainerGetNumOutputs(void*, std::size_t* count) {
  *count = 1;
  return 0;
}
EXPORT AOTInductorModelContainerGetCallSpec(void*, const char** in, const char** out) {
  *in = kIn;
  *out = kOut;
  return 0;
}
EXPORT AOTInductorModelContainerGetNumConstants(void*, std::size_t* count) {
  *count = 0;
  return 0;
}
EXPORT AOTInductorModelContainerGetConstantName(void*, std::size_t, const char**) { return 1; }
EXPORT AOTInductorModelContainerGetConstantOriginalFQN(void*, std::size_t, const char**) { return 1; }
EXPORT AOTInductorModelContainerGetConstantFromFolded(void*, std::size_t, bool*) { return 1; }
EXPORT AOTInductorModelContainerGetConstantDtype(void*, std::size_t, int32_t*) { return 1; }
