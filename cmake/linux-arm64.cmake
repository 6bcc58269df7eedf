# Cross-builds for Linux on arm64 with Debian's g++-aarch64-linux-gnu. Tests run in qemu-user-static:
#   npm run prebuild -- --platform linux-arm64
#   npm run test:arm64
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-aarch64-static;-L;/usr/aarch64-linux-gnu")
