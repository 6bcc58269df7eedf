# Builds for the sanitizers: "address" means AddressSanitizer and UndefinedBehaviorSanitizer, "thread" means
# ThreadSanitizer. scripts/sanitize.mjs builds and runs them.

set(TOKENLEARNER_SANITIZE "" CACHE STRING "Sanitizers: empty, address or thread")
set_property(CACHE TOKENLEARNER_SANITIZE PROPERTY STRINGS "" address thread)

if(TOKENLEARNER_SANITIZE STREQUAL "address")
  set(sanitizers address,undefined)
elseif(TOKENLEARNER_SANITIZE STREQUAL "thread")
  set(sanitizers thread)
  # It does not see fences. The only one is in the addon, which no test of this kind loads. In instrumented code GCC 12
  # takes the empty vectors of moved variants for uninitialised ones.
  add_compile_options("$<$<CXX_COMPILER_ID:GNU>:-Wno-tsan;-Wno-maybe-uninitialized>")
elseif(TOKENLEARNER_SANITIZE)
  message(FATAL_ERROR "Expected address or thread for TOKENLEARNER_SANITIZE but received ${TOKENLEARNER_SANITIZE}")
endif()

# How far the compiler goes in the kernels, and options for everything that does no arithmetic.
set(TOKENLEARNER_OPTIMIZATION O3)
set(TOKENLEARNER_LOGIC_OPTIONS "")
if(TOKENLEARNER_SANITIZE)
  # The instrumented kernels take minutes at -O3. Contraction to fused multiply-adds, which the kernels need for bits that do not
  # depend on the batch, is one of GCC's expensive optimizations and not part of -O1.
  set(TOKENLEARNER_OPTIMIZATION O1)
  # Instrumented templates of the C++ library take the compiler twice the time with any optimization.
  set(TOKENLEARNER_LOGIC_OPTIONS -O0)
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    string(APPEND CMAKE_CXX_FLAGS_RELEASE " -fexpensive-optimizations")
  endif()
  add_compile_options(-fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${sanitizers})
  # In a folder of its own, so that nothing mistakes it for the addon that is shipped. Linked as the toolchain
  # does by default.
  set(TOKENLEARNER_ADDON_FOLDER "${CMAKE_BINARY_DIR}/Release")
  set(TOKENLEARNER_GLIBC_FLOOR "OFF")
endif()
