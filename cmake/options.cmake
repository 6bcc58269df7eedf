# The options of the build, and the settings of all targets.

set(TOKENLEARNER_TORCH_INCLUDE "" CACHE PATH "libtorch's include folder (headers of the stable ABI only; nothing is linked)")
set(TOKENLEARNER_CUDA "AUTO" CACHE STRING "CUDA kernels: ON, OFF, or AUTO (ON where an nvcc of CUDA 12.8 or later is found)")
set_property(CACHE TOKENLEARNER_CUDA PROPERTY STRINGS AUTO ON OFF)
# cmake-js defines CMAKE_JS_INC. A plain `cmake` builds native/kernels, native/engine and their tests without
# Node.
if(DEFINED CMAKE_JS_INC)
  set(TOKENLEARNER_BUILD_ADDON ON)
else()
  set(TOKENLEARNER_BUILD_ADDON OFF)
endif()

# node-gyp-build takes the addon of build/Release, so that is only for one which this machine runs.
if(CMAKE_CROSSCOMPILING)
  set(TOKENLEARNER_ADDON_FOLDER "${CMAKE_BINARY_DIR}/Release")
else()
  set(TOKENLEARNER_ADDON_FOLDER "${PROJECT_SOURCE_DIR}/build/Release")
endif()

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(tokenlearner_warnings INTERFACE)
if(CMAKE_CXX_COMPILER_FRONTEND_VARIANT STREQUAL "MSVC")
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "MSVC has no GNU vector types, which the kernels use. Choose clang-cl: cmake-js --toolset ClangCL")
  endif()
  # clang-cl takes clang's own options behind this.
  set(TOKENLEARNER_CLANG_OPTION "/clang:")
  target_compile_options(tokenlearner_warnings INTERFACE /W4 /WX /clang:-Wshadow)
  target_compile_definitions(tokenlearner_warnings INTERFACE _CRT_SECURE_NO_WARNINGS NOMINMAX)
else()
  set(TOKENLEARNER_CLANG_OPTION "")
  target_compile_options(tokenlearner_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Werror>)
endif()

file(READ "${CMAKE_CURRENT_SOURCE_DIR}/package.json" package_json)
string(JSON TOKENLEARNER_VERSION GET "${package_json}" version)
