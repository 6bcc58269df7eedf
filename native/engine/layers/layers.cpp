#include "engine/layers/layers.hpp"

#include "engine/error.hpp"

namespace tokenlearner {

namespace {

struct Row {
  const char* kind;
  LayerMaker* make;
};

#define TOKENLEARNER_LAYER_ROW(kind, maker) {kind, maker},
constexpr Row kRows[] = {TOKENLEARNER_LAYERS(TOKENLEARNER_LAYER_ROW)};
#undef TOKENLEARNER_LAYER_ROW

}  // namespace

std::shared_ptr<const Op> make_layer(const std::string& kind, const Config& config, Placement placement,
                                     const Parameters& parameters) {
  for (const Row& row : kRows) {
    if (kind == row.kind) return row.make(config, placement, place(parameters, placement));
  }
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "There is no layer of kind '" + kind + "'");
}

}  // namespace tokenlearner
