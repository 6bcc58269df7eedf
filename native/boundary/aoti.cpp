// Addon methods on compiled programs.

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"
#include "engine/aoti/aoti-op.hpp"
#include "engine/torch/library.hpp"
#include "platform/platform.hpp"

namespace tokenlearner {

namespace {

/// Opens a program on an executor's thread. Its inputs are the weights; it has no outputs.
class OpenOp final : public Op {
 public:
  OpenOp(std::shared_ptr<const Op> op, const AotiOp& program, std::vector<std::string> names)
      : Op({program.placement().dtype, Device::cpu()}, {}),
        op_(std::move(op)),
        program_(program),
        names_(std::move(names)) {}

  Outputs run(Inputs inputs, const CallOptions&) const override {
    AotiWeights weights;
    for (std::size_t i = 0; i < inputs.size(); ++i) weights.emplace(names_.at(i), inputs[i]);
    program_.open(std::move(weights));
    return {};
  }
  bool runs_anywhere() const override { return false; }
  bool places_outputs() const override { return true; }
  std::shared_ptr<const Op> with(Placement, std::vector<Tensor>) const override { return op_; }

 private:
  std::shared_ptr<const Op> op_;
  const AotiOp& program_;
  std::vector<std::string> names_;
};

std::string to_text(Napi::Value value) { return value.ToString().Utf8Value(); }

const AotiOp& aoti_op(const Op& op) {
  const auto* const found = dynamic_cast<const AotiOp*>(&op);
  if (found == nullptr) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a compiled program");
  return *found;
}

const char* name_of(AotiConstant::Type type) {
  switch (type) {
    case AotiConstant::Type::parameter:
      return "parameter";
    case AotiConstant::Type::buffer:
      return "buffer";
    case AotiConstant::Type::tensor:
      return "constant";
    case AotiConstant::Type::folded:
      return "folded";
    case AotiConstant::Type::unknown:
      break;
  }
  return "unknown";
}

Napi::Value from_constant(Napi::Env env, const AotiConstant& constant) {
  auto object = Napi::Object::New(env);
  object.Set("name", constant.name);
  object.Set("originalName", constant.original_name);
  object.Set("type", name_of(constant.type));
  object.Set("dtype", constant.dtype);
  object.Set("isParameter", AotiOp::is_parameter(constant));
  std::vector<napi_value> sizes;
  for (const int64_t size : constant.shape)
    sizes.push_back(Napi::Number::New(env, static_cast<double>(size)));
  object.Set("shape", constant.has_shape ? Napi::Value(from_values(env, sizes)) : env.Null());
  return object;
}

}  // namespace

Napi::Value Addon::missing_torch_symbols(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const std::vector<std::string> names = read_each(info[0], to_text);
    std::vector<napi_value> missing;
    for (const std::string& name : names) {
      if (!torch_exports(name.c_str())) missing.push_back(Napi::String::New(env, name));
    }
    return from_values(env, missing);
  });
}

Napi::Value Addon::memory_file(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const int file = platform::memory_file(to_text(info[0]).c_str());
    if (file < 0) throw Error(ErrorCode::ERR_FILE_IO, "The system has no files in memory");
    return Napi::Number::New(env, file);
  });
}

Napi::Value Addon::open_program(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    std::shared_ptr<const Op> op = unwrap(info[0]).op();
    const AotiOp& program = aoti_op(*op);
    std::vector<std::string> names = read_each(info[1], to_text);
    std::vector<TensorArg> weights = read_each(info[2], read_tensor);
    auto open = std::make_shared<const OpenOp>(std::move(op), program, std::move(names));
    return submit(env, std::move(open), std::move(weights), {}, {});
  });
}

Napi::Value Addon::describe_program(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const std::shared_ptr<const Op> op = unwrap(info[0]).op();
    const AotiProgram& program = aoti_op(*op).program();
    std::vector<napi_value> constants;
    for (const AotiConstant& constant : program.constants())
      constants.push_back(from_constant(env, constant));
    auto object = Napi::Object::New(env);
    object.Set("inSpec", program.in_spec());
    object.Set("outSpec", program.out_spec());
    object.Set("outputs", static_cast<double>(program.num_outputs()));
    object.Set("canUpdate", program.can_update());
    object.Set("constants", from_values(env, constants));
    return object;
  });
}

Napi::Value Addon::none_outputs(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const std::shared_ptr<const Op> op = unwrap(info[0]).op();
    const auto read = [none = aoti_op(*op).program().none_outputs()](const Napi::CallbackInfo& call) {
      std::vector<napi_value> positions;
      for (const std::size_t output : none->get())
        positions.push_back(Napi::Number::New(call.Env(), static_cast<double>(output)));
      return from_values(call.Env(), positions);
    };
    return Napi::Function::New(env, read);
  });
}

}  // namespace tokenlearner
