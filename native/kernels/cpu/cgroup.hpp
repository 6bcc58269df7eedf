// The CPU time that control groups allow this process.
#pragma once

#include <string>

namespace tokenlearner::kernels {

/** CPUs that the process's own cgroup and those above it allow (cgroup v2's cpu.max, v1's CFS quota): the
 * least of them, not rounded; infinity without a quota. `root` stands before every path; tests give their
 * own. */
double cgroup_cpus(const std::string& root = "");

}  // namespace tokenlearner::kernels
