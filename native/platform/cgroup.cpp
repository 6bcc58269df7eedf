#include "platform/cgroup.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

namespace tokenlearner::platform {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

bool lists(const std::string& comma_separated, const std::string& word) {
  return ("," + comma_separated + ",").find("," + word + ",") != std::string::npos;
}

/** Decodes a path of mountinfo, which writes a space as \040. */
std::string unescaped(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

/** A mounted hierarchy that controls CPU time. */
struct Hierarchy {
  bool is_v2;
  /** The cgroup at the mount point, and the mount point itself. */
  std::string cgroup;
  std::string folder;
};

std::vector<Hierarchy> hierarchies(const std::string& root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream before(line.substr(0, separator));
    std::istringstream after(line.substr(separator + 3));
    std::string id, parent, device, cgroup, folder, type, source, options;
    before >> id >> parent >> device >> cgroup >> folder;
    after >> type >> source >> options;
    const bool is_v2 = type == "cgroup2";
    if (is_v2 || (type == "cgroup" && lists(options, "cpu")))
      found.push_back({is_v2, unescaped(cgroup), unescaped(folder)});
  }
  return found;
}

/** The process's cgroup in the hierarchy. Empty if it has none. */
std::string own_cgroup(const std::string& root, bool is_v2) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // Format: "hierarchy:controllers:path". For v2: "0::path".
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (is_v2 ? controllers.empty() : lists(controllers, "cpu")) return line.substr(second + 1);
  }
  return "";
}

double quota_of(const std::string& folder, bool is_v2) {
  double quota = -1;
  double period = 0;
  if (is_v2) {
    // Without a quota the file says "max 100000".
    std::ifstream(folder + "/cpu.max") >> quota >> period;
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : kNoLimit;
}

/**
 * The path below the mount point. In a container, the cgroup may have the host's path while the mount point
 * shows the container's own cgroup.
 */
std::string below_mount(const std::string& cgroup, const Hierarchy& hierarchy) {
  const std::size_t length = hierarchy.cgroup.size();
  const bool is_inside = hierarchy.cgroup != "/" && cgroup.rfind(hierarchy.cgroup, 0) == 0 &&
                         (cgroup.size() == length || cgroup[length] == '/');
  const std::string below = is_inside ? cgroup.substr(length) : cgroup;
  return below.empty() || below.rfind("/..", 0) == 0 ? "/" : below;
}

}  // namespace

double cgroup_cpus(const std::string& root) {
  double least = kNoLimit;
  for (const Hierarchy& hierarchy : hierarchies(root)) {
    std::string path = below_mount(own_cgroup(root, hierarchy.is_v2), hierarchy);
    // Start at the process's own cgroup and go up to the one at the mount point.
    for (;;) {
      least = std::min(least, quota_of(root + hierarchy.folder + path, hierarchy.is_v2));
      const std::size_t last = path.rfind('/');
      if (path == "/" || last == std::string::npos) break;
      path.erase(last);
    }
  }
  return least;
}

}  // namespace tokenlearner::platform
