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

#include "attn/Support/Random.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::attn;

namespace {

/// "uniform 0.3 2" or "uniform(0.3, 2)".
struct FillPattern {
  StringRef name;
  SmallVector<double, 2> args;

  double get(size_t index, double fallback) const {
    return index < args.size() ? args[index] : fallback;
  }
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
    double progress = static_cast<double>(i / width % length + 1) /
                      static_cast<double>(length);
    return random.normal() * (0.25 + 4.0 * progress * progress);
  });
}

bool fillFloatPattern(Array &array, const FillPattern &pattern,
                      Random &random) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double scale = pattern.get(0, 1.0);
  StringRef name = pattern.name;
  if (name == "uniform") {
    double low = pattern.args.size() > 1 ? scale : -scale;
    double high = pattern.get(1, scale);
    fillFloats(array,
               [&](int64_t) { return low + (high - low) * random.unit(); });
    return true;
  }
  if (name == "positive") {
    fillFloats(array, [&](int64_t) { return scale * random.unit(); });
    return true;
  }
  if (name == "grid") { // exact in any float type, and so are their sums
    double step = pattern.get(0, 0.25), most = pattern.get(1, 2.0);
    double ratio = std::floor(most / step);
    bool isUsable = ratio >= 0.0 && ratio < 0x1p31;
    int64_t steps = isUsable ? static_cast<int64_t>(ratio) : 0;
    fillFloats(array, [&](int64_t) {
      return static_cast<double>(random.below(2 * steps + 1) - steps) * step;
    });
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
    scale = pattern.get(0, 64.0);
  } else if (name == "tiny") {
    scale = pattern.get(0, 0x1p-12);
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
    position =
        i % width == 0 ? random.below(step) : position + 1 + random.below(step);
    return position;
  });
}

/// Integers in [low, high]; of an array of several, some are the extremes,
/// because those are where kernels go wrong.
void fillRange(Array &array, int64_t low, int64_t high, Random &random) {
  fillInts(array, [&](int64_t i) {
    return i == 1 ? low : i == 2 ? high : low + random.below(high - low + 1);
  });
}

bool fillIntPattern(Array &array, const FillPattern &pattern, Random &random) {
  auto argument = [&](size_t index, int64_t fallback) {
    return static_cast<int64_t>(
        pattern.get(index, static_cast<double>(fallback)));
  };
  StringRef name = pattern.name;
  if (name == "segments") {
    fillSegments(array, argument(0, 3), random);
  } else if (name == "positions") {
    fillPositions(array, std::max<int64_t>(argument(0, 1), 1), random);
  } else if (name == "lengths") {
    fillRange(array, 0, argument(0, 0), random);
  } else if (name == "range") {
    fillRange(array, argument(0, 0), argument(1, 1), random);
  } else if (name == "normal" && array.getType() == ElementType::I8) {
    fillInts(array, [&](int64_t) { return random.below(256) - 128; });
  } else if (name == "table" || name == "normal") {
    int64_t bound = argument(0, 2);
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
  double argument = pattern.get(0, 0.0);
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

llvm::Expected<FillPattern> parsePattern(StringRef text, const SizeMap &sizes) {
  FillPattern pattern;
  SmallVector<StringRef> words;
  llvm::SplitString(text, words, " (),");
  if (words.empty()) {
    return llvm::createStringError("the pattern is empty");
  }
  pattern.name = words.front();
  for (StringRef word : ArrayRef<StringRef>(words).drop_front()) {
    double number = 0.0;
    if (auto size = sizes.find(word); size != sizes.end()) {
      number = static_cast<double>(size->second);
    } else if (word.getAsDouble(number)) {
      return llvm::createStringError("pattern '" + text + "': '" + word +
                                     "' is neither a number nor a dimension");
    }
    pattern.args.push_back(number);
  }
  return pattern;
}

} // namespace

StringRef attn::getPatternHelp() {
  return "  floats    normal(scale) uniform(low, high) positive(scale) large "
         "tiny\n"
         "            grid(step, most) late-max nan-row inf-row neg-inf-row\n"
         "  integers  segments(count) positions(max-step) range(low, high)\n"
         "            lengths(high) table(count)\n"
         "  both      zeros ones constant(x) iota(start)\n"
         "  Arguments are numbers or names of dimensions; 'range 0 N' is the\n"
         "  same as 'range(0, N)'. Most may be left out.\n";
}

/// The number of arguments that a pattern cannot do without.
static size_t getRequiredArguments(StringRef name) {
  return llvm::StringSwitch<size_t>(name)
      .Case("range", 2)
      .Cases({"lengths", "constant", "table"}, 1)
      .Default(0);
}

llvm::Error attn::fillArray(Array &array, StringRef text, const SizeMap &sizes,
                            uint64_t seed) {
  llvm::Expected<FillPattern> pattern = parsePattern(text, sizes);
  if (!pattern) {
    return pattern.takeError();
  }
  if (pattern->args.size() < getRequiredArguments(pattern->name)) {
    return llvm::createStringError(
        "pattern '" + pattern->name + "' needs " +
        llvm::Twine(getRequiredArguments(pattern->name)) +
        " numbers or dimensions after its name");
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
  return llvm::createStringError(
      "unknown pattern '" + pattern->name + "' for elements of " +
      getName(array.getType()) + "; known are\n" + getPatternHelp());
}
