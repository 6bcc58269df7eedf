# Cross-builds for Linux on x64 with musl (Alpine). Tests run under musl's own loader:
#   npm run prebuild -- --platform linux-x64-musl
#   npm run test:musl
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(tokenlearner_target x86_64-linux-musl)
include("${CMAKE_CURRENT_LIST_DIR}/zig.cmake")
