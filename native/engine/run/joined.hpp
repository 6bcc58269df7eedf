// Several requests of one operator as one run.
//
// Note: [How requests share a run]
// An operator says which requests may share a run: those with equal Op::batch_key(). There are two ways.
// 1. A list: the operator takes inputs of different sizes as they are and writes each result into the memory
//    of its request. The fused engine on the CPU does this; nothing is gathered or scattered, and each result
//    has the bits that it has alone.
// 2. Joined: inputs that differ in axis 0 only become one tensor, and the outputs are divided again. Where the
//    engine below chooses its algorithm by the size of the batch (BLAS, oneDNN, cuDNN), the last bits of a
//    result can differ from those that it has alone. docs/serving.md lists the layers.
#pragma once

#include <span>
#include <vector>

#include "engine/run/op.hpp"

namespace tokenlearner {

/// The parts one after the other along axis 0, in new memory on `device`: each part is copied once. They have
/// one dtype, and differ in axis 0 only.
Tensor join(std::span<const Tensor> parts, Device device);

/// Views of consecutive slices along axis 0. Throws ERR_SHAPE_MISMATCH if axis 0 is not the sum of `sizes`.
std::vector<Tensor> split(const Tensor& joined, std::span<const int64_t> sizes);

/// The size of axis 0 of each part.
std::vector<int64_t> leading_sizes(std::span<const Tensor> parts);

/// Runs requests with equal keys on `device` (the result of device_for()), as run_on() does one. Each output is
/// in memory of its own, on the device of its request's input. Throws if one of them cannot run; then none has
/// a result. They share a run, unless the operator's JoinTrial has not passed.
std::vector<Outputs> run_list_on(const Op& op, Device device, RequestList list);

/// How many of the first requests one run takes: at least one. See Op::most_joined().
std::size_t count_in_one_run(const Op& op, RequestList list);

/// The same as run_list_on() for at least two requests, in as few runs as take them, whatever the trial says.
std::vector<Outputs> run_joined(const Op& op, Device device, RequestList list);

}  // namespace tokenlearner
