// The CPU quota of control groups, read from files in the kernel's format: the smallest quota of the
// process's own cgroup and of those above it, in both versions, in and out of containers.
#include "platform/cgroup.hpp"

#include <doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace {

using tokenlearner::platform::cgroup_cpus;

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

/** cgroup_cpus() on a tree of files. */
double cpus_of(const Files& files) {
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

const Files kNested{{"proc/self/mountinfo", kV2},
                    {"proc/self/cgroup", "0::/system.slice/my server.service"},
                    {"sys/fs/cgroup/system.slice/cpu.max", "max 100000"}};

Files nested_with(Files more) {
  more.insert(kNested.begin(), kNested.end());
  return more;
}

}  // namespace

TEST_SUITE("platform/cgroup") {
  TEST_CASE("version 2: no quota anywhere") { CHECK(cpus_of(kNested) == INFINITY); }

  TEST_CASE("version 2: its own quota") {
    CHECK(cpus_of(nested_with({{"sys/fs/cgroup/system.slice/my server.service/cpu.max", "150000 100000"}})) ==
          1.5);
  }

  TEST_CASE("version 2: the quota of a cgroup above") {
    CHECK(cpus_of(nested_with({{"sys/fs/cgroup/cpu.max", "200000 100000"}})) == 2);
  }

  TEST_CASE("version 2: the smallest of several") {
    CHECK(cpus_of(nested_with({{"sys/fs/cgroup/cpu.max", "200000 100000"},
                               {"sys/fs/cgroup/system.slice/my server.service/cpu.max", "50000 100000"}})) ==
          0.5);
  }

  TEST_CASE("version 1") {
    CHECK(cpus_of({{"proc/self/mountinfo", kV1},
                   {"proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/kubepods/pod1\n0::/elsewhere"},
                   {"sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_quota_us", "300000"},
                   {"sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_period_us", "100000"},
                   {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1"},
                   {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000"}}) == 3);
  }

  TEST_CASE("a container with its own cgroup namespace sees itself at the root") {
    CHECK(cpus_of({{"proc/self/mountinfo", kV2},
                   {"proc/self/cgroup", "0::/"},
                   {"sys/fs/cgroup/cpu.max", "200000 100000"}}) == 2);
  }

  TEST_CASE("a container without one sees the host's name, and itself at the mount point") {
    CHECK(cpus_of({{"proc/self/mountinfo", "30 24 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw"},
                   {"proc/self/cgroup", "0::/docker/1"},
                   {"sys/fs/cgroup/cpu.max", "200000 100000"}}) == 2);
  }

  TEST_CASE("a cgroup beside the mounted one whose name begins with the same letters") {
    CHECK(cpus_of({{"proc/self/mountinfo", "30 24 0:26 /kubepods/ctr /sys/fs/cgroup ro - cgroup2 cgroup rw"},
                   {"proc/self/cgroup", "0::/kubepods/ctr-app"},
                   {"sys/fs/cgroup/cpu.max", "200000 100000"}}) == 2);
  }

  TEST_CASE("a cgroup outside the mounted tree") {
    CHECK(cpus_of({{"proc/self/mountinfo", kV2},
                   {"proc/self/cgroup", "0::/../other"},
                   {"sys/fs/cgroup/cpu.max", "200000 100000"}}) == 2);
  }

  TEST_CASE("a mount point with a space") {
    CHECK(cpus_of({{"proc/self/mountinfo", "30 24 0:26 / /sys/my\\040cgroup rw - cgroup2 cgroup2 rw"},
                   {"proc/self/cgroup", "0::/"},
                   {"sys/my cgroup/cpu.max", "200000 100000"}}) == 2);
  }

  TEST_CASE("no files at all") { CHECK(cpus_of({}) == INFINITY); }

  TEST_CASE("files in another format") {
    CHECK(cpus_of({{"proc/self/mountinfo", "x\n - \n" + kV2},
                   {"proc/self/cgroup", "::\n0"},
                   {"sys/fs/cgroup/cpu.max", "?"}}) == INFINITY);
  }

  TEST_CASE("a quota of 0 is no quota") {
    CHECK(cpus_of({{"proc/self/mountinfo", kV2},
                   {"proc/self/cgroup", "0::/"},
                   {"sys/fs/cgroup/cpu.max", "0 100000"}}) == INFINITY);
  }
}
