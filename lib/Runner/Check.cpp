//===- Check.cpp - results against their error budget ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fused kernel rounds in another order than the program as written, so its
// results cannot be compared bit by bit. They are allowed twice the error that
// computing every matrix in full would make in the same types, both measured
// against the same program on f64.
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Check.h"

#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::attn;

/// Whether two numbers are the same kind of non-finite number, or both finite.
static bool haveSameClass(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) {
    return std::isnan(a) && std::isnan(b);
  }
  if (std::isinf(a) || std::isinf(b)) {
    return a == b;
  }
  return true;
}

static double getFloorUlps(ElementType type) {
  return type == ElementType::F64 ? kFloorUlpsF64 : kFloorUlps;
}

static void compareFloats(Comparison &result, const Array &exact,
                          const Array &materialised, const Array &actual) {
  for (int64_t i = 0; i < exact.size(); ++i) {
    double wanted = exact.getFloat(i);
    double plain = materialised.getFloat(i);
    double got = actual.getFloat(i);
    // Where the materialised computation underflows, 0 times infinity is NaN.
    bool isTruth = !std::isfinite(wanted) && haveSameClass(wanted, got);
    if (!haveSameClass(plain, got) && !isTruth) {
      result.worst = result.mismatches++ == 0 ? i : result.worst;
      continue;
    }
    if (!std::isfinite(wanted) || !std::isfinite(got)) {
      continue;
    }
    result.magnitude = std::max(result.magnitude, std::fabs(wanted));
    result.materialisedError =
        std::max(result.materialisedError, std::fabs(plain - wanted));
    double error = std::fabs(got - wanted);
    if (error > result.error) {
      result.error = error;
      result.worst = result.mismatches == 0 ? i : result.worst;
    }
  }
  result.budget = 2.0 * result.materialisedError + getFloorUlps(result.type) *
                                                       getEpsilon(result.type) *
                                                       result.magnitude;
}

static void compareIntegers(Comparison &result, const Array &exact,
                            const Array &materialised, const Array &actual) {
  for (int64_t i = 0; i < exact.size(); ++i) {
    int64_t got = actual.getInt(i);
    if (got == materialised.getInt(i)) {
      continue;
    }
    if (got == exact.getInt(i)) {
      ++result.ties;
      continue;
    }
    result.worst = result.mismatches++ == 0 ? i : result.worst;
  }
}

llvm::Expected<Comparison> attn::compareResults(const Parameter &parameter,
                                                const Array &exact,
                                                const Array &materialised,
                                                const Array &actual) {
  if (exact.getShape() != materialised.getShape() ||
      exact.getShape() != actual.getShape()) {
    return llvm::createStringError(
        "result '" + parameter.name +
        "' differs in shape between the f64 reference, the materialised "
        "computation and the program under test");
  }
  Comparison result;
  result.name = parameter.name;
  result.type = parameter.type;
  if (isFloat(parameter.type)) {
    compareFloats(result, exact, materialised, actual);
  } else {
    compareIntegers(result, exact, materialised, actual);
  }
  return result;
}

std::string attn::formatPosition(const Array &array, int64_t index) {
  SmallVector<int64_t> position;
  for (int64_t extent : llvm::reverse(array.getShape())) {
    position.push_back(index % extent);
    index /= extent;
  }
  std::string text = "[";
  for (int64_t k : llvm::reverse(position)) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(k);
  }
  return text + "]";
}

std::string attn::formatComparison(const Comparison &comparison,
                                   const Array &exact,
                                   const Array &materialised,
                                   const Array &actual) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << comparison.name << " (" << getName(comparison.type) << "): ";
  auto number = [](double value) { return llvm::format("%.3g", value); };
  if (isFloat(comparison.type)) {
    os << "error " << number(comparison.error) << ", materialised "
       << number(comparison.materialisedError) << ", budget "
       << number(comparison.budget) << " (2 x materialised + "
       << number(getFloorUlps(comparison.type)) << " ulp of "
       << number(comparison.magnitude) << ")";
  } else {
    os << (comparison.mismatches ? "integers differ" : "integers equal");
    if (comparison.ties) {
      os << ", " << comparison.ties
         << " of them only to f64 (ties that f32 rounding breaks otherwise)";
    }
  }
  os << (comparison.passes() ? ": ok" : ": FAILED");
  if (comparison.passes() || exact.size() == 0) {
    return text;
  }
  os << "\n  at " << formatPosition(exact, comparison.worst) << " it is "
     << llvm::format("%.9g", actual.getNumber(comparison.worst))
     << ", materialised "
     << llvm::format("%.9g", materialised.getNumber(comparison.worst))
     << ", in f64 " << llvm::format("%.9g", exact.getNumber(comparison.worst));
  if (comparison.mismatches && isFloat(comparison.type)) {
    os << "; " << comparison.mismatches
       << " elements are NaN or infinite in one and not in the other";
  } else if (comparison.mismatches) {
    os << "; " << comparison.mismatches << " elements differ";
  }
  return text;
}

llvm::Expected<std::vector<Array>> attn::widenInputs(ArrayRef<Array> inputs,
                                                     const Signature &widened) {
  std::vector<Array> result;
  for (auto [input, parameter] : llvm::zip_equal(inputs, widened.arguments)) {
    std::optional<Array> converted = input.convertTo(parameter.type);
    if (!converted) {
      return llvm::createStringError("not enough memory for argument '" +
                                     parameter.name + "' in f64");
    }
    result.push_back(std::move(*converted));
  }
  return result;
}
