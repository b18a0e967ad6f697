//===- JitSymbolsTest.cpp - conversions of small floats -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compared with APFloat, for every half number and for floats and doubles
// around every rounding boundary.
//
//===----------------------------------------------------------------------===//

#include "JitSymbols.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/TargetSelect.h"
#include "gtest/gtest.h"
#include <bit>
#include <cmath>

#if defined(__x86_64__) || defined(__aarch64__)

namespace {

using Half = _Float16;
using BFloat = __bf16;

/// The helpers as compiled code finds them.
class SmallFloats : public testing::Test {
protected:
  SmallFloats() {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    jit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
    llvm::orc::MangleAndInterner mangle(jit->getExecutionSession(),
                                        jit->getDataLayout());
    symbols = mlir::attn::getJitSymbols(mangle);
  }

  template <typename Function> Function *get(llvm::StringRef name) {
    llvm::orc::MangleAndInterner mangle(jit->getExecutionSession(),
                                        jit->getDataLayout());
    auto found = symbols.find(mangle(name));
    EXPECT_TRUE(found != symbols.end()) << name.str();
    return found->second.getAddress().toPtr<Function *>();
  }

  std::unique_ptr<llvm::orc::LLJIT> jit;
  llvm::orc::SymbolMap symbols;
};

uint16_t round(double value, const llvm::fltSemantics &semantics) {
  llvm::APFloat number(value);
  bool inexact = false;
  number.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &inexact);
  return static_cast<uint16_t>(number.bitcastToAPInt().getZExtValue());
}

bool isNaN(uint16_t bits, const llvm::fltSemantics &semantics) {
  return llvm::APFloat(semantics, llvm::APInt(16, bits)).isNaN();
}

/// Doubles at, and on both sides of, every boundary between small floats.
template <typename Function>
void forEachBoundary(const llvm::fltSemantics &semantics, Function function) {
  for (uint32_t bits = 0; bits < 0x8000; bits += 3) {
    double low = llvm::APFloat(semantics, llvm::APInt(16, bits))
                     .convertToDouble();
    double high = llvm::APFloat(semantics, llvm::APInt(16, bits + 1))
                      .convertToDouble();
    double middle = std::isinf(high) ? low * (1 + 0x1p-9) : (low + high) / 2;
    for (double value : {low, middle, std::nextafter(middle, 0.0),
                         std::nextafter(middle, HUGE_VAL)}) {
      function(value);
      function(-value);
    }
  }
}

TEST_F(SmallFloats, HalvesExtendExactly) {
  auto *extend = get<float(Half)>("__extendhfsf2");
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto half = std::bit_cast<Half>(static_cast<uint16_t>(bits));
    float wanted = llvm::APFloat(llvm::APFloat::IEEEhalf(),
                                 llvm::APInt(16, bits))
                       .convertToDouble();
    float actual = extend(half);
    if (std::isnan(wanted)) {
      EXPECT_TRUE(std::isnan(actual)) << bits;
    } else {
      EXPECT_EQ(actual, wanted) << bits;
      EXPECT_EQ(std::signbit(actual), std::signbit(wanted)) << bits;
    }
  }
}

TEST_F(SmallFloats, DoublesRoundOnce) {
  auto *toHalf = get<Half(double)>("__truncdfhf2");
  auto *toBFloat = get<BFloat(double)>("__truncdfbf2");
  forEachBoundary(llvm::APFloat::IEEEhalf(), [&](double value) {
    auto actual = std::bit_cast<uint16_t>(toHalf(value));
    uint16_t wanted = round(value, llvm::APFloat::IEEEhalf());
    EXPECT_TRUE(actual == wanted ||
                (isNaN(actual, llvm::APFloat::IEEEhalf()) &&
                 isNaN(wanted, llvm::APFloat::IEEEhalf())))
        << value;
  });
  forEachBoundary(llvm::APFloat::BFloat(), [&](double value) {
    auto actual = std::bit_cast<uint16_t>(toBFloat(value));
    uint16_t wanted = round(value, llvm::APFloat::BFloat());
    EXPECT_TRUE(actual == wanted || (isNaN(actual, llvm::APFloat::BFloat()) &&
                                     isNaN(wanted, llvm::APFloat::BFloat())))
        << value;
  });
}

TEST_F(SmallFloats, FloatsRoundToNearestEven) {
  auto *toHalf = get<Half(float)>("__truncsfhf2");
  auto *toBFloat = get<BFloat(float)>("__truncsfbf2");
  forEachBoundary(llvm::APFloat::IEEEhalf(), [&](double wide) {
    auto value = static_cast<float>(wide);
    auto actual = std::bit_cast<uint16_t>(toHalf(value));
    EXPECT_EQ(isNaN(actual, llvm::APFloat::IEEEhalf()), std::isnan(value));
    EXPECT_TRUE(std::isnan(value) ||
                actual == round(value, llvm::APFloat::IEEEhalf()))
        << value;
  });
  forEachBoundary(llvm::APFloat::BFloat(), [&](double wide) {
    auto value = static_cast<float>(wide);
    auto actual = std::bit_cast<uint16_t>(toBFloat(value));
    EXPECT_EQ(isNaN(actual, llvm::APFloat::BFloat()), std::isnan(value));
    EXPECT_TRUE(std::isnan(value) ||
                actual == round(value, llvm::APFloat::BFloat()))
        << value;
  });
}

} // namespace

#endif
