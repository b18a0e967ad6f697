//===- ExactCheck.cpp - results that are equal or not ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/ExactCheck.h"

#include "attn/Runner/Check.h"
#include "attn/Support/Ring.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/xxhash.h"
#include <bit>
#include <cstring>

using namespace mlir;
using namespace mlir::attn;

/// The bytes of an element as a number; programs run on little-endian machines.
static uint64_t loadBits(const Array &array, int64_t index) {
  uint64_t bits = 0;
  std::memcpy(&bits, array.getAddress(index), getByteWidth(array.getType()));
  return bits;
}

ExecutableOptions attn::getExactOptions(ExecutableOptions options) {
  options.exact = true;
  return options;
}

ExecutableOptions attn::getExactReferenceOptions() {
  ExecutableOptions options;
  options.mode = ExecutionMode::Reference;
  options.exact = true;
  return options;
}

bool attn::saysNotExact(StringRef message) {
  return message.contains("exact mode does not apply: ");
}

llvm::Expected<std::vector<Array>> attn::embedInputs(const Signature &signature,
                                                     ArrayRef<Array> inputs,
                                                     uint64_t seed) {
  std::vector<Array> result;
  for (auto [parameter, input] : llvm::zip_equal(signature.arguments, inputs)) {
    std::optional<Array> copy = input.convertTo(input.getType());
    if (copy && isFloat(input.getType())) {
      int64_t width = getByteWidth(input.getType());
      uint64_t own = seed ^ llvm::xxh3_64bits(parameter.name);
      for (int64_t i = 0; i < copy->size(); ++i) {
        uint64_t bits = embedOperand(input.getFloat(i), 8 * width,
                                     mixBits(own) + static_cast<uint64_t>(i));
        std::memcpy(copy->getAddress(i), &bits, width);
      }
    }
    // A view stays one.
    bool strided = !input.getStrides().empty() && input.getStrides().back() > 1;
    if (copy && strided) {
      copy = copy->createStrided();
    }
    if (!copy) {
      return llvm::createStringError("not enough memory for argument '" +
                                     parameter.name + "'");
    }
    result.push_back(std::move(*copy));
  }
  return result;
}

llvm::Expected<ExactComparison> attn::compareBits(const Parameter &parameter,
                                                  unsigned determined,
                                                  const Array &wanted,
                                                  const Array &actual) {
  if (wanted.getShape() != actual.getShape()) {
    return llvm::createStringError("result '" + parameter.name +
                                   "' differs in shape between the reference "
                                   "and the program under test");
  }
  ExactComparison result;
  result.name = parameter.name;
  result.type = parameter.type;
  auto width = static_cast<unsigned>(8 * getByteWidth(parameter.type));
  result.required =
      isFloat(parameter.type) ? std::min(determined, width) : width;
  result.equal = width;
  for (int64_t i = 0; i < wanted.size(); ++i) {
    uint64_t difference = loadBits(wanted, i) ^ loadBits(actual, i);
    auto equal = static_cast<unsigned>(std::countr_zero(difference));
    result.equal = std::min(result.equal, equal);
    if (equal < result.required) {
      result.worst = result.mismatches++ == 0 ? i : result.worst;
    }
  }
  return result;
}

std::string attn::formatComparison(const ExactComparison &comparison,
                                   const Array &wanted, const Array &actual) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << comparison.name << " (" << getName(comparison.type) << "): ";
  if (comparison.passes()) {
    os << wanted.size() << " elements equal";
    if (isFloat(comparison.type)) {
      os << " modulo 2^" << std::max(comparison.equal, comparison.required);
    }
    return text;
  }
  auto digits = static_cast<unsigned>(2 * getByteWidth(comparison.type));
  auto hex = [&](const Array &array) {
    return llvm::format_hex(loadBits(array, comparison.worst), digits + 2);
  };
  os << comparison.mismatches << " of " << wanted.size()
     << " elements differ modulo 2^" << comparison.required << ": FAILED\n  at "
     << formatPosition(wanted, comparison.worst) << " it is " << hex(actual)
     << ", in the reference " << hex(wanted);
  return text;
}

llvm::Expected<ExactReport> attn::compareExactly(const Executable &subject,
                                                 const Executable &reference,
                                                 ArrayRef<Array> wanted,
                                                 ArrayRef<Array> actual) {
  ExactReport report;
  unsigned determined =
      std::min(subject.getExactBits(), reference.getExactBits());
  for (auto [index, parameter] :
       llvm::enumerate(subject.getSignature().results)) {
    auto comparison =
        compareBits(parameter, determined, wanted[index], actual[index]);
    if (!comparison) {
      return comparison.takeError();
    }
    report.passes = report.passes && comparison->passes();
    report.text +=
        formatComparison(*comparison, wanted[index], actual[index]) + "\n";
  }
  return report;
}
