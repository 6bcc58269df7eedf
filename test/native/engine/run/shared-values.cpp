#include "engine/run/shared-values.hpp"

#include <doctest.h>

#include <atomic>
#include <thread>

#include "fake-op.hpp"

using namespace test;

namespace {

using Kind = SharedValues::Kind;

SharedValue module_of(float addend) {
  SharedValue value;
  value.ops.push_back(plus(addend));
  return value;
}

SharedValue tensor_of(float value, bool once) {
  SharedValue shared;
  shared.tensor = number(value);
  shared.once = once;
  return shared;
}

ErrorCode failure_of(SharedValues& values, const std::string& id, Kind kind) {
  try {
    static_cast<void>(values.open(id, kind));
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::ERR_CLOSED;
}

}  // namespace

TEST_SUITE_BEGIN("engine/shared-values");

TEST_CASE("ids are 32 hexadecimal digits, each time others") {
  SharedValues values;
  const std::string a = values.add(module_of(1));
  const std::string b = values.add(module_of(1));
  CHECK(a != b);
  for (const std::string& id : {a, b}) {
    CHECK(id.size() == 32);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
  }
}

TEST_CASE("a value is opened any number of times, and what was opened outlives it") {
  SharedValues values;
  const std::string id = values.add(module_of(1));
  const SharedValue opened = values.open(id, Kind::module);
  CHECK(values.open(id, Kind::module).ops == opened.ops);
  CHECK(values.size() == 1);
  CHECK(values.remove(id));
  CHECK_FALSE(values.remove(id));
  CHECK(failure_of(values, id, Kind::module) == ErrorCode::ERR_SHARED_NOT_FOUND);
  const std::vector<Tensor> inputs{number(2)};
  CHECK(value_of(opened.ops.at(0)->run(inputs, {}).at(0)) == 3);
}

TEST_CASE("a value of another kind is refused and stays") {
  SharedValues values;
  const std::string module = values.add(module_of(1));
  const std::string tensor = values.add(tensor_of(5, true));
  CHECK(failure_of(values, module, Kind::tensor) == ErrorCode::ERR_INVALID_ARG_VALUE);
  CHECK(failure_of(values, tensor, Kind::module) == ErrorCode::ERR_INVALID_ARG_VALUE);
  CHECK(values.size() == 2);
}

TEST_CASE("of many threads one gets a value that is opened once") {
  SharedValues values;
  const std::string id = values.add(tensor_of(5, true));
  std::atomic<int> got = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      try {
        if (value_of(*values.open(id, Kind::tensor).tensor) == 5) ++got;
      } catch (const Error&) {
        // Another thread has it.
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(got == 1);
  CHECK(values.size() == 0);
}

TEST_SUITE_END();
