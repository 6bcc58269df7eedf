// Elements of all dtypes, and what a conversion of one gives. Independent of the kernels: plain arithmetic in
// double and 64-bit integers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/dtype.hpp"

namespace test {

using namespace tokenlearner::kernels;

inline constexpr DType kAllDTypes[] = {DType::uint8,   DType::int32,   DType::int64,   DType::float16,
                                       DType::float32, DType::float64, DType::boolean, DType::bfloat16};

/** One element: a whole number if its dtype is an integer or bool, otherwise a real one. Both are exact. */
struct Number {
  bool whole = false;
  std::int64_t integer = 0;
  double real = 0;
};

/** A 16-bit float of `mantissa` stored bits. */
inline double decode_16(std::uint16_t bits, int mantissa) {
  const int exponent_bits = 15 - mantissa;
  const int exponent = (bits >> mantissa) & ((1 << exponent_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double fraction = bits & ((1 << mantissa) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? NAN : sign * INFINITY;
  const int shift = (exponent == 0 ? 1 : exponent) - bias - mantissa;
  return sign * std::ldexp(exponent == 0 ? fraction : fraction + (1 << mantissa), shift);
}

/** Rounds to nearest, ties to even. NaN gives the positive quiet NaN without payload. */
inline std::uint16_t encode_16(double value, int mantissa) {
  const int bias = (1 << (14 - mantissa)) - 1;
  const unsigned infinity = ((1u << (15 - mantissa)) - 1) << mantissa;
  if (std::isnan(value)) return static_cast<std::uint16_t>(infinity | (1u << (mantissa - 1)));
  const unsigned sign = std::signbit(value) ? 0x8000u : 0;
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return static_cast<std::uint16_t>(sign);
  if (std::isinf(magnitude)) return static_cast<std::uint16_t>(sign | infinity);
  const int exponent = std::max(std::ilogb(magnitude), 1 - bias);
  // In units of the last place. std::nearbyint rounds ties to even.
  const auto units = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, mantissa - exponent)));
  // Adding a carry of the mantissa into the exponent gives the next binade, or infinity.
  const unsigned bits = (static_cast<unsigned>(exponent + bias - 1) << mantissa) + units;
  return static_cast<std::uint16_t>(sign | std::min(bits, infinity));
}

template <typename T>
T load_as(const unsigned char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void store_as(unsigned char* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

inline Number read_element(const unsigned char* at, DType dtype) {
  const auto whole = [](std::int64_t value) { return Number{true, value, static_cast<double>(value)}; };
  const auto real = [](double value) { return Number{false, 0, value}; };
  switch (dtype) {
    case DType::uint8:
      return whole(*at);
    case DType::boolean:
      return whole(*at != 0);
    case DType::int32:
      return whole(load_as<std::int32_t>(at));
    case DType::int64:
      return whole(load_as<std::int64_t>(at));
    case DType::float16:
      return real(decode_16(load_as<std::uint16_t>(at), 10));
    case DType::bfloat16:
      return real(decode_16(load_as<std::uint16_t>(at), 7));
    case DType::float32:
      return real(static_cast<double>(load_as<float>(at)));
    case DType::float64:
      return real(load_as<double>(at));
  }
  return {};
}

/** Truncated to an integer of `bits` bits, or the smallest one if it does not fit. */
inline std::int64_t truncate(const Number& number, int bits) {
  if (number.whole) return number.integer;
  const double limit = std::ldexp(1.0, bits - 1);
  const double whole = std::trunc(number.real);
  if (!(whole >= -limit && whole < limit)) return -static_cast<std::int64_t>(std::ldexp(1.0, bits - 2)) * 2;
  return static_cast<std::int64_t>(whole);
}

inline float to_float(const Number& number) {
  return number.whole ? static_cast<float>(number.integer) : static_cast<float>(number.real);
}

inline void write_element(unsigned char* at, DType dtype, const Number& number) {
  const bool is_true = number.whole ? number.integer != 0 : number.real != 0;
  switch (dtype) {
    case DType::uint8:
      return store_as(at, static_cast<std::uint8_t>(truncate(number, 64)));
    case DType::boolean:
      return store_as(at, static_cast<std::uint8_t>(is_true));
    case DType::int32:
      return store_as(at, static_cast<std::int32_t>(truncate(number, 32)));
    case DType::int64:
      return store_as(at, truncate(number, 64));
    case DType::float16:
      return store_as(at, encode_16(static_cast<double>(to_float(number)), 10));
    case DType::bfloat16:
      return store_as(at, encode_16(static_cast<double>(to_float(number)), 7));
    case DType::float32:
      return store_as(at, to_float(number));
    case DType::float64:
      return store_as(at, number.whole ? static_cast<double>(number.integer) : number.real);
  }
}

/** Replaces NaN by one and the same NaN, so that elements compare bit for bit. */
inline void unify_nan(unsigned char* at, DType dtype) {
  if (is_floating(dtype) && std::isnan(read_element(at, dtype).real)) {
    write_element(at, dtype, {false, 0, std::numeric_limits<double>::quiet_NaN()});
  }
}

/** `count` elements: the values where a rule of the conversions changes, then random bits and sizes. */
inline std::vector<unsigned char> interesting_elements(DType dtype, std::size_t count) {
  static const double kValues[] = {0.0,
                                   -0.0,
                                   0.5,
                                   -0.5,
                                   1,
                                   -1,
                                   1.5,
                                   -1.5,
                                   2.5,
                                   127.9,
                                   255,
                                   255.9,
                                   256,
                                   257,
                                   300,
                                   -2.9,
                                   -128,
                                   -129,
                                   -256,
                                   -300,
                                   32768,
                                   65504,
                                   65519,
                                   65520,
                                   65536,
                                   -70000,
                                   16777217,
                                   2147483520,
                                   2147483647,
                                   2147483648,
                                   2147483904,
                                   4294967295,
                                   4294967296,
                                   4294967298,
                                   4294968320,
                                   -2147483648,
                                   -2147483649,
                                   -2147483904,
                                   -4294967296,
                                   1e10,
                                   -1e10,
                                   9007199254740992,
                                   9.2e18,
                                   9.3e18,
                                   -9.2e18,
                                   -9.3e18,
                                   1.8e19,
                                   1e30,
                                   -1e30,
                                   3.4028236e38,
                                   1e39,
                                   1e-5,
                                   6e-8,
                                   2.98e-8,
                                   2.99e-8,
                                   1e-40,
                                   1e-46,
                                   1.0009765625,
                                   1.00048828125,
                                   1.000488281250001,
                                   1.00390625,
                                   1.01171875,
                                   INFINITY,
                                   -INFINITY,
                                   NAN};
  const std::size_t item = item_size(dtype);
  std::vector<unsigned char> bytes(count * item);
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  for (std::size_t i = 0; i < count; ++i) {
    unsigned char* at = bytes.data() + i * item;
    const std::uint64_t bits = random();
    std::memcpy(at, &bits, item);
    if (i < std::size(kValues)) {
      write_element(at, dtype, {false, 0, kValues[i]});
    } else if (i % 3 == 0) {
      write_element(at, dtype,
                    {false, 0, normal(random) * std::pow(10, static_cast<double>(random() % 24) - 6)});
    } else if (i % 3 == 1) {
      write_element(at, dtype, {true, static_cast<std::int64_t>(bits) >> (random() % 64), 0});
    }
  }
  return bytes;
}

}  // namespace test
