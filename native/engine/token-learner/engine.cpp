#include "engine/token-learner/engine.hpp"

#include <map>
#include <utility>

#include "engine/run/joined.hpp"

namespace tokenlearner {

std::vector<TokensAndMaps> TokenLearnerEngine::run_list(std::span<const ListedImages> list,
                                                        Device device) const {
  std::map<std::pair<int64_t, int64_t>, std::vector<std::size_t>> sizes;
  for (std::size_t i = 0; i < list.size(); ++i) sizes[{list[i].x.shape[2], list[i].x.shape[3]}].push_back(i);

  std::vector<TokensAndMaps> results(list.size());
  for (const auto& [size, members] : sizes) {
    std::vector<Tensor> images;
    for (const std::size_t i : members) images.push_back(list[i].x);
    ForwardOptions options = *list[members.front()].options;
    options.call = nullptr;
    const TokensAndMaps joined = run(join(images, device), options);
    const std::vector<int64_t> counts = leading_sizes(images);
    const std::vector<Tensor> tokens = split(joined.tokens, counts);
    const std::vector<Tensor> maps =
        options.return_attention ? split(joined.maps, counts) : std::vector<Tensor>(members.size());
    for (std::size_t k = 0; k < members.size(); ++k) results[members[k]] = {tokens[k], maps[k]};
  }
  return results;
}

}  // namespace tokenlearner
