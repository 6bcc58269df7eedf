# Cross-builds for Linux on arm64 with musl (Alpine):
#   npm run prebuild -- --platform linux-arm64-musl
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(tokenlearner_target aarch64-linux-musl)
include("${CMAKE_CURRENT_LIST_DIR}/zig.cmake")
# The tests are linked statically: they need no loader.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
