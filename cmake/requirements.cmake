# lib/requirements.json says the oldest versions that the package supports: TypeScript, the scripts and C++ share it.

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/lib/requirements.json")
file(READ "${CMAKE_CURRENT_SOURCE_DIR}/lib/requirements.json" requirements_json)
string(JSON TOKENLEARNER_OLDEST_GLIBC GET "${requirements_json}" glibc)
string(JSON TOKENLEARNER_OLDEST_TORCH GET "${requirements_json}" libtorch)

# libtorch's headers write a version as 0xMMmm followed by six zero bytes.
string(REGEX MATCH "^([0-9]+)\\.([0-9]+)$" matched "${TOKENLEARNER_OLDEST_TORCH}")
math(EXPR torch_target "(${CMAKE_MATCH_1} << 8 | ${CMAKE_MATCH_2}) << 48" OUTPUT_FORMAT HEXADECIMAL)
set(TOKENLEARNER_TORCH_TARGET_VERSION "${torch_target}")
