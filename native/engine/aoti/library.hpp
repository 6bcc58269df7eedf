// The shared library of a PyTorch program that AOTInductor compiled.
//
// Note: [Compiled programs]
// torch._inductor.aoti_compile_and_package makes a shared library that needs libtorch_cpu's C shim and nothing else of
// torch. It exports a plain C interface: a container holds the constants and a number of instances of the program, each
// of which does one run at a time. The interface tells names and trees, not dtypes and shapes, and checks none of
// them: a wrong input is an out-of-bounds read. AotiOp checks each input against the signature that lib/aoti found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/torch/abi.hpp"

namespace tokenlearner {

/// An entry of the C interface's maps: AOTInductorConstantMapEntry.
struct AotiConstantEntry {
  const char* name;
  AtenTensorHandle handle;
};

using AotiContainer = struct AotiContainerOpaque*;
using AotiStatus = int32_t;

// X(member, suffix of the exported name, parameters): what every package has.
#define TOKENLEARNER_AOTI_FUNCTIONS(X)                                                                     \
  X(create, "ContainerCreateWithDevice", (AotiContainer*, std::size_t, const char*, const char*))          \
  X(destroy, "ContainerDelete", (AotiContainer))                                                           \
  X(run, "ContainerRun",                                                                                   \
    (AotiContainer, AtenTensorHandle*, std::size_t, AtenTensorHandle*, std::size_t, void*, void*))         \
  X(num_inputs, "ContainerGetNumInputs", (AotiContainer, std::size_t*))                                    \
  X(num_outputs, "ContainerGetNumOutputs", (AotiContainer, std::size_t*))                                  \
  X(call_spec, "ContainerGetCallSpec", (AotiContainer, const char**, const char**))                        \
  X(num_constants, "ContainerGetNumConstants", (AotiContainer, std::size_t*))                              \
  X(constant_name, "ContainerGetConstantName", (AotiContainer, std::size_t, const char**))                 \
  X(constant_original_name, "ContainerGetConstantOriginalFQN", (AotiContainer, std::size_t, const char**)) \
  X(constant_from_folded, "ContainerGetConstantFromFolded", (AotiContainer, std::size_t, bool*))           \
  X(constant_dtype, "ContainerGetConstantDtype", (AotiContainer, std::size_t, int32_t*))

// Newer packages have these. Null in others.
#define TOKENLEARNER_AOTI_OPTIONAL_FUNCTIONS(X)                                        \
  X(constant_type, "ContainerGetConstantType", (AotiContainer, std::size_t, int32_t*)) \
  X(constants, "ContainerExtractConstantsMapEntries",                                  \
    (AotiContainer, const AotiConstantEntry**, std::size_t*, bool))                    \
  X(update_constants, "ContainerUpdateConstantBufferPairs",                            \
    (AotiContainer, const AotiConstantEntry*, std::size_t, bool, bool))                \
  X(blob_size, "ContainerGetConstantsBlobSize", (AotiContainer, std::uint64_t*))       \
  X(load_blob, "UpdateConstantsFromBlob", (AotiContainer, const std::uint8_t*))

/// One opened library. It is closed when nobody holds it.
class AotiLibrary {
 public:
  /// The library of a file, an absolute path. Opened once while anyone holds it. Runs the library's initialisers.
  /// Throws ERR_AOTI_PACKAGE if it does not open or lacks a function. Precondition: libtorch is loaded. Any thread.
  static std::shared_ptr<const AotiLibrary> open(const std::string& file);

  explicit AotiLibrary(const std::string& file);
  ~AotiLibrary();
  AotiLibrary(const AotiLibrary&) = delete;
  AotiLibrary& operator=(const AotiLibrary&) = delete;

#define TOKENLEARNER_DECLARE(member, suffix, parameters) AotiStatus(*member) parameters = nullptr;
  TOKENLEARNER_AOTI_FUNCTIONS(TOKENLEARNER_DECLARE)
  TOKENLEARNER_AOTI_OPTIONAL_FUNCTIONS(TOKENLEARNER_DECLARE)
#undef TOKENLEARNER_DECLARE

  /// Calls a function of the library. It reports an error by its status; an exception that it lets through is caught
  /// too. Throws ERR_AOTI_RUN, or what the message says: ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST.
  template <typename F, typename... Args>
  void call(const char* what, F* function, Args... args) const {
    AotiStatus status = 0;
    std::string thrown;
    try {
      status = function(args...);
    } catch (const std::exception& exception) {
      thrown = exception.what();
    } catch (...) {
      thrown = "an exception of an unknown type";
    }
    if (status != 0 || !thrown.empty()) fail(what, thrown);
  }

 private:
  [[noreturn]] void fail(const char* what, const std::string& thrown) const;
  void resolve(const std::string& file);

  void* handle_ = nullptr;
  AotiStatus (*last_error_)(const char**) = nullptr;
};

}  // namespace tokenlearner
