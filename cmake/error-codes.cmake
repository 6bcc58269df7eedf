# TypeScript and C++ share the registry lib/error-codes.json. This file generates a C++ enum from it.

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/lib/error-codes.json")
file(READ "${CMAKE_CURRENT_SOURCE_DIR}/lib/error-codes.json" error_codes_json)
string(JSON error_code_count LENGTH "${error_codes_json}")
math(EXPR error_code_last "${error_code_count} - 1")
set(error_code_enumerators "")
set(error_code_cases "")
foreach(i RANGE ${error_code_last})
  string(JSON name MEMBER "${error_codes_json}" ${i})
  string(APPEND error_code_enumerators "  ${name},\n")
  string(APPEND error_code_cases "    case ErrorCode::${name}:\n      return \"${name}\";\n")
endforeach()
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/generated/error-codes.hpp" @ONLY CONTENT
"// Generated from lib/error-codes.json.
#pragma once

namespace tokenlearner {

enum class ErrorCode {
@error_code_enumerators@};

constexpr const char* name_of(ErrorCode code) {
  switch (code) {
@error_code_cases@  }
  return \"\";
}

}  // namespace tokenlearner
")
