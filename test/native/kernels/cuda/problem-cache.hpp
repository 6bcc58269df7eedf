// The problems of a table of cases and PyTorch's errors on them, each computed once, on all cores.
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "problem.hpp"

namespace tokenlearner::kernels::cuda::test {

struct Case {
  Size size;
  Layout layout;
};

class ProblemCache {
 public:
  struct Entry {
    Entry(const Problem& solved, Precision precision)
        : problem(solved), pytorch(problem.pytorch_errors(precision)) {}
    const Problem& problem;
    const Problem::Errors pytorch;
  };

  /** Computes what is missing. Not while another call of this cache runs. */
  void prepare(const std::vector<Case>& cases, const std::vector<Precision>& precisions);

  /** Computes it if prepare() has not. The result lives as long as the cache. */
  const Entry& get(const Case& c, Precision precision);

  /** The number of problems that were computed. float32 and tf32 share one. */
  std::size_t computed() const { return problems_.size(); }

 private:
  using ProblemKey = std::tuple<Size, Layout, DType>;
  using EntryKey = std::tuple<Size, Layout, Precision>;

  /** Null pointers are what prepare() has to compute. */
  std::map<ProblemKey, std::unique_ptr<Problem>> problems_;
  std::map<EntryKey, std::unique_ptr<Entry>> entries_;
};

}  // namespace tokenlearner::kernels::cuda::test
