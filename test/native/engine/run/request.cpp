#include "engine/run/request.hpp"

#include <doctest.h>

#include "fake-op.hpp"

using namespace test;

TEST_SUITE_BEGIN("engine/request");

TEST_CASE("a request runs and completes with its outputs") {
  Made made = make_request(plus(2), 1);
  made.request->run();
  CHECK(std::get<float>(made.outcome.get()) == 3);
}

TEST_CASE("what the operator throws becomes the failure") {
  const auto code_of = [](FakeOp::Function function) {
    Made made = make_request(op(std::move(function)));
    made.request->run();
    return std::get<ErrorCode>(made.outcome.get());
  };
  CHECK(code_of([](Inputs) -> Outputs { throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "x"); }) ==
        ErrorCode::ERR_SHAPE_MISMATCH);
  CHECK(code_of([](Inputs) -> Outputs { throw std::bad_alloc(); }) == ErrorCode::ERR_OUT_OF_MEMORY);
  CHECK(code_of([](Inputs) -> Outputs { throw std::runtime_error("x"); }) == ErrorCode::ERR_LIBTORCH);
  CHECK(code_of([](Inputs) -> Outputs { throw 3; }) == ErrorCode::ERR_LIBTORCH);
}

TEST_CASE("a request that is past its deadline does not run") {
  bool ran = false;
  Made made = make_request(op([&](Inputs) {
    ran = true;
    return Outputs{number(0)};
  }));
  made.request->set_deadline(Request::Clock::now() - std::chrono::milliseconds(1));
  made.request->run();
  CHECK(std::get<ErrorCode>(made.outcome.get()) == ErrorCode::ERR_TIMEOUT);
  CHECK_FALSE(ran);
}

TEST_CASE("a cancelled request drops the outputs that it has made") {
  std::weak_ptr<void> memory;
  Request* self = nullptr;
  Made made = make_request(op([&](Inputs) {
    self->cancel();
    Tensor output = number(1);
    memory = output.storage.owner();
    return Outputs{output};
  }));
  self = made.request.get();
  made.request->run();
  CHECK(std::get<ErrorCode>(made.outcome.get()) == ErrorCode::ERR_CLOSED);
  CHECK(memory.expired());
}

TEST_CASE("inputs are freed before the completion is called") {
  class Observer final : public Completion {
   public:
    explicit Observer(std::weak_ptr<void> input, bool& freed) : input_(std::move(input)), freed_(freed) {}
    void succeed(Outputs) noexcept override { freed_ = input_.expired(); }
    void fail(Failure) noexcept override {}

   private:
    std::weak_ptr<void> input_;
    bool& freed_;
  };
  bool freed = false;
  Tensor input = number(1);
  auto observer = std::make_unique<Observer>(input.storage.owner(), freed);
  std::vector<Tensor> inputs{std::move(input)};
  Request request(plus(1), Device::cpu(), std::move(inputs), {}, std::move(observer));
  input = Tensor();
  request.run();
  CHECK(freed);
}

TEST_SUITE_END();
