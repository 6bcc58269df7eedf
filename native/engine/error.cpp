#include "engine/error.hpp"

#include <exception>
#include <new>

namespace tokenlearner {

Failure Failure::of_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorCode::ERR_OUT_OF_MEMORY, "Out of memory"};
  } catch (const std::exception& error) {
    return {ErrorCode::ERR_LIBTORCH, error.what()};
  } catch (...) {
    return {ErrorCode::ERR_LIBTORCH, "An unknown native failure"};
  }
}

}  // namespace tokenlearner
