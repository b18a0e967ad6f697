//===- Patterns.cpp - operands from seeds ---------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same seed gives the same numbers on every machine: nothing here depends
// on the C++ library's distributions.
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Inputs.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::attn;

namespace {

/// SplitMix64: one multiplication chain per number, good enough for operands.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  /// Uniform in (0, 1).
  double unit() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }

  double normal() {
    double radius = std::sqrt(-2.0 * std::log(unit()));
    return radius * std::cos(6.283185307179586 * unit());
  }

  /// Uniform in [0, bound).
  int64_t below(int64_t bound) {
    return bound <= 0 ? 0
                      : static_cast<int64_t>(next() %
                                             static_cast<uint64_t>(bound));
  }

private:
  uint64_t state;
};

struct FillPattern {
  StringRef name;
  std::optional<double> argument;
};

int64_t getLastExtent(const Array &array) {
  return array.getShape().empty() ? 1 : array.getShape().back();
}

void fillFloats(Array &array, llvm::function_ref<double(int64_t)> value) {
  for (int64_t i = 0; i < array.size(); ++i) {
    array.setFloat(i, value(i));
  }
}

void fillInts(Array &array, llvm::function_ref<int64_t(int64_t)> value) {
  for (int64_t i = 0; i < array.size(); ++i) {
    array.setInt(i, value(i));
  }
}

/// Overwrites one row (along the last axis) per 16 rows, and at least one.
void plantRows(Array &array, double value, Random &random) {
  int64_t width = std::max<int64_t>(getLastExtent(array), 1);
  int64_t rows = array.size() / width;
  for (int64_t planted = 0; planted < rows; planted += 16) {
    int64_t row = random.below(rows);
    for (int64_t k = 0; k < width; ++k) {
      array.setFloat(row * width + k, value);
    }
  }
}

/// Numbers whose size grows along the axis before the last, so that running
/// maxima keep moving until the end.
void fillLateMax(Array &array, Random &random) {
  int64_t width = std::max<int64_t>(getLastExtent(array), 1);
  size_t rank = array.getShape().size();
  int64_t length = rank >= 2 ? array.getShape()[rank - 2] : 1;
  fillFloats(array, [&](int64_t i) {
    double progress =
        static_cast<double>(i / width % length + 1) / static_cast<double>(length);
    return random.normal() * (0.25 + 4.0 * progress * progress);
  });
}

bool fillFloatPattern(Array &array, const FillPattern &pattern, Random &random) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double scale = pattern.argument.value_or(1.0);
  StringRef name = pattern.name;
  if (name == "uniform") {
    fillFloats(array,
               [&](int64_t) { return scale * (2.0 * random.unit() - 1.0); });
    return true;
  }
  if (name == "positive") {
    fillFloats(array, [&](int64_t) { return scale * random.unit(); });
    return true;
  }
  if (name == "late-max") {
    fillLateMax(array, random);
    return true;
  }
  std::optional<double> planted =
      llvm::StringSwitch<std::optional<double>>(name)
          .Case("nan-row", std::nan(""))
          .Case("inf-row", infinity)
          .Case("neg-inf-row", -infinity)
          .Default(std::nullopt);
  if (name == "large") {
    scale = pattern.argument.value_or(64.0);
  } else if (name == "tiny") {
    scale = pattern.argument.value_or(0x1p-12);
  } else if (name != "normal" && !planted) {
    return false;
  }
  fillFloats(array, [&](int64_t) { return scale * random.normal(); });
  if (planted) {
    plantRows(array, *planted, random);
  }
  return true;
}

/// Sorted ids 0 .. count - 1 along the last axis, of random lengths.
void fillSegments(Array &array, int64_t count, Random &random) {
  int64_t width = std::max<int64_t>(getLastExtent(array), 1);
  for (int64_t row = 0; row < array.size() / width; ++row) {
    SmallVector<int64_t> starts;
    for (int64_t k = 1; k < count; ++k) {
      starts.push_back(random.below(width));
    }
    for (int64_t k = 0; k < width; ++k) {
      array.setInt(row * width + k, llvm::count_if(starts, [&](int64_t start) {
                     return start <= k;
                   }));
    }
  }
}

/// Increasing along the last axis, by steps of 1 to `step`.
void fillPositions(Array &array, int64_t step, Random &random) {
  int64_t width = std::max<int64_t>(getLastExtent(array), 1);
  int64_t position = 0;
  fillInts(array, [&](int64_t i) {
    position = i % width == 0 ? random.below(step) : position + 1 +
                                                         random.below(step);
    return position;
  });
}

bool fillIntPattern(Array &array, const FillPattern &pattern, Random &random) {
  auto argument = static_cast<int64_t>(pattern.argument.value_or(0.0));
  StringRef name = pattern.name;
  if (name == "segments") {
    fillSegments(array, pattern.argument ? argument : 3, random);
  } else if (name == "positions") {
    fillPositions(array, pattern.argument ? std::max<int64_t>(argument, 1) : 1,
                  random);
  } else if (name == "lengths") {
    fillInts(array, [&](int64_t i) {
      // The extremes first; they are where kernels go wrong.
      return i == 1 ? 0 : i == 2 ? argument : random.below(argument + 1);
    });
  } else if (name == "table" || name == "normal") {
    int64_t bound = pattern.argument ? argument : 2;
    fillInts(array, [&](int64_t) { return random.below(bound); });
  } else {
    return false;
  }
  return true;
}

bool fillEither(Array &array, const FillPattern &pattern) {
  auto fill = [&](auto value) {
    if (attn::isFloat(array.getType())) {
      fillFloats(array, [&](int64_t i) { return value(i); });
    } else {
      fillInts(array,
               [&](int64_t i) { return static_cast<int64_t>(value(i)); });
    }
  };
  double argument = pattern.argument.value_or(0.0);
  if (pattern.name == "zeros") {
    fill([](int64_t) { return 0.0; });
  } else if (pattern.name == "ones") {
    fill([](int64_t) { return 1.0; });
  } else if (pattern.name == "constant") {
    fill([&](int64_t) { return argument; });
  } else if (pattern.name == "iota") {
    int64_t width = std::max<int64_t>(getLastExtent(array), 1);
    fill([&](int64_t i) { return static_cast<double>(i % width) + argument; });
  } else {
    return false;
  }
  return true;
}

/// The argument of `lengths` and `table` may be left out of the attribute.
llvm::Expected<FillPattern> parsePattern(StringRef text, const SizeMap &sizes) {
  FillPattern pattern{text.trim(), std::nullopt};
  size_t open = pattern.name.find('(');
  if (open == StringRef::npos) {
    return pattern;
  }
  StringRef argument = pattern.name.drop_front(open + 1);
  pattern.name = pattern.name.take_front(open);
  double number = 0.0;
  if (!argument.consume_back(")")) {
    return llvm::createStringError("pattern '" + text +
                                   "' lacks its closing parenthesis");
  }
  if (auto size = sizes.find(argument); size != sizes.end()) {
    number = static_cast<double>(size->second);
  } else if (argument.getAsDouble(number)) {
    return llvm::createStringError("pattern '" + text + "': '" + argument +
                                   "' is neither a number nor a dimension");
  }
  pattern.argument = number;
  return pattern;
}

} // namespace

StringRef attn::getPatternHelp() {
  return "  floats: normal(scale) uniform(scale) positive(scale) large tiny\n"
         "          late-max nan-row inf-row neg-inf-row\n"
         "  integers: segments(count) positions(max-step) lengths(bound)\n"
         "            table(bound)\n"
         "  both: zeros ones constant(x) iota(start)\n"
         "  An argument in parentheses is optional except for lengths and\n"
         "  constant, and may be the name of a dimension.\n";
}

llvm::Error attn::fillArray(Array &array, StringRef text, const SizeMap &sizes,
                            uint64_t seed) {
  llvm::Expected<FillPattern> pattern = parsePattern(text, sizes);
  if (!pattern) {
    return pattern.takeError();
  }
  if ((pattern->name == "lengths" || pattern->name == "constant") &&
      !pattern->argument) {
    return llvm::createStringError("pattern '" + pattern->name +
                                   "' needs a number or a dimension in "
                                   "parentheses");
  }
  Random random(seed);
  if (fillEither(array, *pattern)) {
    return llvm::Error::success();
  }
  bool filled = attn::isFloat(array.getType())
                    ? fillFloatPattern(array, *pattern, random)
                    : fillIntPattern(array, *pattern, random);
  if (filled) {
    return llvm::Error::success();
  }
  return llvm::createStringError("unknown pattern '" + pattern->name +
                                 "' for elements of " +
                                 getName(array.getType()) + "; known are\n" +
                                 getPatternHelp());
}
