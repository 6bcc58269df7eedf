// The CPU time that control groups allow this process.
#pragma once

#include <string>

namespace tokenlearner::platform {

/**
 * The number of CPUs that control groups allow: the smallest quota of the process's own cgroup and those
 * above it (cpu.max in cgroup v2, the CFS quota in v1). Not rounded. Infinity without a quota. `root` is put
 * before every path; tests pass their own.
 */
double cgroup_cpus(const std::string& root = "");

}  // namespace tokenlearner::platform
