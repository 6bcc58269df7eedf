#include "engine/aoti/library.hpp"

#include <map>
#include <mutex>

#include "engine/error.hpp"
#include "engine/run/exit-gate.hpp"
#include "platform/platform.hpp"

namespace tokenlearner {

namespace {

/// Never destroyed: handles of programs may end after static objects.
struct OpenLibraries {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<const AotiLibrary>> by_file;
};

OpenLibraries& open_libraries() {
  static OpenLibraries* const instance = new OpenLibraries;
  return *instance;
}

}  // namespace

std::shared_ptr<const AotiLibrary> AotiLibrary::open(const std::string& file) {
  // Each copy in memory has a path of its own.
  if (file.starts_with("/proc/")) return std::make_shared<const AotiLibrary>(file);
  OpenLibraries& libraries = open_libraries();
  const std::lock_guard lock(libraries.mutex);
  std::weak_ptr<const AotiLibrary>& known = libraries.by_file[file];
  if (auto library = known.lock()) return library;
  auto library = std::make_shared<const AotiLibrary>(file);
  known = library;
  return library;
}

AotiLibrary::AotiLibrary(const std::string& file) {
  std::string problem;
  handle_ = platform::open_library(platform::path_from(file), problem);
  if (handle_ == nullptr)
    throw Error(ErrorCode::ERR_AOTI_PACKAGE, "The package's library could not be opened: " + problem);
  try {
    resolve(file);
  } catch (...) {
    platform::close_library(handle_);
    throw;
  }
  ExitGate::install();
}

AotiLibrary::~AotiLibrary() { platform::close_library(handle_); }

void AotiLibrary::resolve(const std::string& file) {
  const auto find = [this](const char* suffix) {
    return platform::find_symbol(handle_, (std::string("AOTInductorModel") + suffix).c_str());
  };
#define TOKENLEARNER_RESOLVE(member, suffix, parameters) \
  member = reinterpret_cast<decltype(member)>(find(suffix));
  TOKENLEARNER_AOTI_FUNCTIONS(TOKENLEARNER_RESOLVE)
  TOKENLEARNER_AOTI_OPTIONAL_FUNCTIONS(TOKENLEARNER_RESOLVE)
#undef TOKENLEARNER_RESOLVE
  last_error_ =
      reinterpret_cast<decltype(last_error_)>(platform::find_symbol(handle_, "AOTInductorGetLastError"));
  const char* missing = nullptr;
#define TOKENLEARNER_DEMAND(member, suffix, parameters) \
  if (missing == nullptr && member == nullptr) missing = suffix;
  TOKENLEARNER_AOTI_FUNCTIONS(TOKENLEARNER_DEMAND)
#undef TOKENLEARNER_DEMAND
  if (missing != nullptr)
    throw Error(ErrorCode::ERR_AOTI_PACKAGE,
                "The package's library lacks the function AOTInductorModel" + std::string(missing) +
                    ": a PyTorch that is too old or too new made it (" + file + ")");
}

void AotiLibrary::fail(const char* what, const std::string& thrown) const {
  std::string detail = thrown;
  const char* text = nullptr;
  if (detail.empty() && last_error_ != nullptr && last_error_(&text) == 0 && text != nullptr) detail = text;
  // A shim function that failed has told libtorch why. The program's own message names only the function.
  const bool of_shim = detail.find("API call failed") != std::string::npos;
  if (const auto get_what = torch().torch_exception_get_what_without_backtrace;
      of_shim && get_what != nullptr) {
    if (const char* why = get_what(); why != nullptr && *why != '\0') detail = why;
  }
  // Not the place in libtorch and the stack.
  detail = detail.substr(0, detail.find("\nException raised from "));
  while (!detail.empty() && (detail.back() == '\n' || detail.back() == ' ')) detail.pop_back();
  const std::string message =
      std::string("The compiled program could not ") + what + (detail.empty() ? "" : ": " + detail);
  const ErrorCode code = torch_error_code(detail);
  throw Error(code == ErrorCode::ERR_LIBTORCH ? ErrorCode::ERR_AOTI_RUN : code, message);
}

}  // namespace tokenlearner
