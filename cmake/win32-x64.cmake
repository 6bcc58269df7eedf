# Compiles the levels below the addon for Windows with Debian's g++-mingw-w64-x86-64-posix, and runs tests in wine. A check only: the
# release workflow builds the addon with clang-cl, and MinGW's GCC does not align vectors on the stack.
#   cmake -B build/win32-x64 --toolchain cmake/win32-x64.cmake -DTOKENLEARNER_CUDA=OFF -DTOKENLEARNER_TORCH_INCLUDE=FOLDER
#   cmake --build build/win32-x64 --target tokenlearner_engine platform-tests
#   ctest --test-dir build/win32-x64 -R ^platform
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")
set(CMAKE_CROSSCOMPILING_EMULATOR wine)
