#include "engine/run/config.hpp"

#include <doctest.h>

#include "engine/error.hpp"

using namespace tokenlearner;

TEST_SUITE_BEGIN("engine/config");

TEST_CASE("values have names and types") {
  Config config;
  config.add("dim", 64.0);
  config.add("bias", true);
  config.add("engine", std::string("fused"));
  config.add("kernel", Dims{3, 5});
  CHECK(config.integer("dim") == 64);
  CHECK(config.number("dim") == 64.0);
  CHECK(config.boolean("bias"));
  CHECK(config.string("engine") == "fused");
  CHECK(config.integers("kernel") == Dims{3, 5});
}

TEST_CASE("a missing value, and one of another type, is an error unless there is a default") {
  Config config;
  config.add("dim", 64.0);
  CHECK_THROWS_AS(config.integer("ffMult"), Error);
  CHECK_THROWS_AS(config.boolean("dim"), Error);
  CHECK_THROWS_AS(config.boolean("dim", true), Error);
  CHECK(config.boolean("bias", true));
  CHECK_FALSE(config.boolean("bias", false));
}

TEST_SUITE_END();
