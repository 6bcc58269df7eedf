# Decides if the CUDA kernels are part of this build, and prints the decision.

set(TOKENLEARNER_CUDA_ENABLED OFF)
# The first that knows compute capability 10.0 and 12.0. CUDAARCHS can do without them.
set(TOKENLEARNER_CUDA_MINIMUM 12.8)
set(TOKENLEARNER_CUDA_REASON "TOKENLEARNER_CUDA=OFF")
if(NOT TOKENLEARNER_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --version OUTPUT_VARIABLE nvcc_text ERROR_QUIET)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS}
       AND nvcc_text MATCHES "release ([0-9]+\\.[0-9]+)" AND CMAKE_MATCH_1 VERSION_LESS TOKENLEARNER_CUDA_MINIMUM)
      set(TOKENLEARNER_CUDA_REASON "nvcc ${CMAKE_MATCH_1} is too old: CUDA ${TOKENLEARNER_CUDA_MINIMUM} or later is needed")
    else()
      set(TOKENLEARNER_CUDA_ENABLED ON)
    endif()
  else()
    set(TOKENLEARNER_CUDA_REASON "nvcc was not found")
  endif()
  if(TOKENLEARNER_CUDA STREQUAL "ON" AND NOT TOKENLEARNER_CUDA_ENABLED)
    message(FATAL_ERROR "TOKENLEARNER_CUDA is ON, and ${TOKENLEARNER_CUDA_REASON}")
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
  message(STATUS "tokenlearner: built WITHOUT CUDA kernels (${TOKENLEARNER_CUDA_REASON}); CUDA runs on libtorch's operators alone")
endif()
