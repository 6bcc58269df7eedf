// Tensors of N(0, 1), the same in every run: the default generator of libtorch starts from a random seed.
#pragma once

#include "engine/memory/generator.hpp"
#include "engine/torch/aten.hpp"

namespace test {

inline tokenlearner::Tensor random_tensor(const tokenlearner::Dims& shape, tokenlearner::DType dtype) {
  static tokenlearner::Generator generator(0);
  const tokenlearner::Tensor x = tokenlearner::Tensor::empty(shape, tokenlearner::DType::float32);
  generator.normal(x);
  return tokenlearner::aten::to_copy(x, dtype, tokenlearner::Device::cpu());
}

}  // namespace test
