#include "engine/torch/mapped.hpp"

#if defined(__linux__)
#include <link.h>
#endif

namespace tokenlearner {

#if defined(__linux__)
std::string mapped_torch_dir() {
  std::string found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        const std::string path = info->dlpi_name != nullptr ? info->dlpi_name : "";
        const std::string name = "/libtorch_cpu.so";
        if (path.size() <= name.size() || path.compare(path.size() - name.size(), name.size(), name) != 0)
          return 0;
        *static_cast<std::string*>(data) = path.substr(0, path.size() - name.size());
        return 1;
      },
      &found);
  return found;
}
#else
std::string mapped_torch_dir() { return ""; }
#endif

}  // namespace tokenlearner
