# The compiler of the toolchain files for musl: zig holds clang, musl and libc++. scripts/zig.mjs fetches it into this folder.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_CXX_COMPILER "${CMAKE_CURRENT_LIST_DIR}/../.cache/zig/zig" c++)
set(CMAKE_CXX_COMPILER_TARGET ${tokenlearner_target})
# zig links as a whole by default, which would compile each instruction set's file again with the others.
set(CMAKE_CXX_FLAGS_INIT "-fno-lto")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-s")
# CMake tries the compiler on a library that is not linked: zig would build a libc++ for that alone.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(TOKENLEARNER_GLIBC_FLOOR OFF CACHE STRING "There is no glibc")
