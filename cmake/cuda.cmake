# Decides if the CUDA kernels are part of this build, and prints the decision.

set(TOKENLEARNER_CUDA_ENABLED OFF)
if(NOT TOKENLEARNER_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(TOKENLEARNER_CUDA_ENABLED ON)
  elseif(TOKENLEARNER_CUDA STREQUAL "ON")
    message(FATAL_ERROR "TOKENLEARNER_CUDA is ON, and no CUDA compiler (nvcc) was found")
  endif()
endif()

if(TOKENLEARNER_CUDA_ENABLED)
  # CUDAARCHS in the environment is CMake's own way to choose others.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    # PTX of the oldest and of the newest: devices between them, such as 8.7 and 11.0, need it.
    set(CMAKE_CUDA_ARCHITECTURES 80 86-real 89-real 90a-real 100-real 120)
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  message(STATUS "tokenlearner: CUDA kernels for ${CMAKE_CUDA_ARCHITECTURES}, compiled by ${CMAKE_CUDA_COMPILER}")
else()
  message(STATUS "tokenlearner: built WITHOUT CUDA kernels (nvcc not found, or TOKENLEARNER_CUDA=OFF); CUDA runs on libtorch's operators alone")
endif()
