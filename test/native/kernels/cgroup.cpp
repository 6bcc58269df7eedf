// The CPU quota of control groups, out of files as the kernel shows them: the least of the process's own
// cgroup and of those above it, in both versions, in and out of containers.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "kernels/cpu/cgroup.hpp"
#include "support.hpp"

namespace {

using namespace test;
using tokenlearner::kernels::cgroup_cpus;

namespace fs = std::filesystem;

/** cgroup_cpus() on a tree of files. */
double cpus_of(const std::map<std::string, std::string>& files) {
  std::string pattern = (fs::temp_directory_path() / "tokenlearner-cgroup-XXXXXX").string();
  const fs::path root = mkdtemp(pattern.data());
  for (const auto& [name, content] : files) {
    const fs::path file = root / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << content << "\n";
  }
  const double cpus = cgroup_cpus(root.string());
  fs::remove_all(root);
  return cpus;
}

const std::string kV2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
const std::string kV1 = "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct";

void expect(const char* what, double expected, const std::map<std::string, std::string>& files) {
  const double cpus = cpus_of(files);
  CHECK(cpus == expected, "%s: %g CPUs instead of %g", what, cpus, expected);
}

void check_v2() {
  const std::map<std::string, std::string> nested{{"proc/self/mountinfo", kV2},
                                                  {"proc/self/cgroup", "0::/system.slice/my server.service"},
                                                  {"sys/fs/cgroup/system.slice/cpu.max", "max 100000"}};
  const auto with = [&](std::map<std::string, std::string> more) {
    more.insert(nested.begin(), nested.end());
    return more;
  };
  expect("no quota anywhere", INFINITY, nested);
  expect("its own", 1.5, with({{"sys/fs/cgroup/system.slice/my server.service/cpu.max", "150000 100000"}}));
  expect("the one above", 2, with({{"sys/fs/cgroup/cpu.max", "200000 100000"}}));
  expect("the least", 0.5,
         with({{"sys/fs/cgroup/cpu.max", "200000 100000"},
               {"sys/fs/cgroup/system.slice/my server.service/cpu.max", "50000 100000"}}));
}

void check_v1() {
  const std::map<std::string, std::string> files{
      {"proc/self/mountinfo", kV1},
      {"proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/kubepods/pod1\n0::/elsewhere"},
      {"sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_quota_us", "300000"},
      {"sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_period_us", "100000"},
      {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1"},
      {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000"}};
  expect("v1", 3, files);
}

void check_containers() {
  // With a namespace of its own a container is at the root of what it sees.
  expect("a cgroup namespace", 2,
         {{"proc/self/mountinfo", kV2},
          {"proc/self/cgroup", "0::/"},
          {"sys/fs/cgroup/cpu.max", "200000 100000"}});
  // Without one it sees the host's name, and itself at the mount point.
  expect("the host's names", 2,
         {{"proc/self/mountinfo", "30 24 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw"},
          {"proc/self/cgroup", "0::/docker/1"},
          {"sys/fs/cgroup/cpu.max", "200000 100000"}});
  expect("a cgroup outside of what is mounted", 2,
         {{"proc/self/mountinfo", kV2},
          {"proc/self/cgroup", "0::/../other"},
          {"sys/fs/cgroup/cpu.max", "200000 100000"}});
  expect("a mount point with a space", 2,
         {{"proc/self/mountinfo", "30 24 0:26 / /sys/my\\040cgroup rw - cgroup2 cgroup2 rw"},
          {"proc/self/cgroup", "0::/"},
          {"sys/my cgroup/cpu.max", "200000 100000"}});
}

void check_nonsense() {
  expect("nothing at all", INFINITY, {});
  expect("files of another form", INFINITY,
         {{"proc/self/mountinfo", "x\n - \n" + kV2},
          {"proc/self/cgroup", "::\n0"},
          {"sys/fs/cgroup/cpu.max", "?"}});
  expect("a quota of 0", INFINITY,
         {{"proc/self/mountinfo", kV2}, {"proc/self/cgroup", "0::/"}, {"sys/fs/cgroup/cpu.max", "0 100000"}});
}

}  // namespace

int main() {
  check_v2();
  check_v1();
  check_containers();
  check_nonsense();
  return test::finish();
}
