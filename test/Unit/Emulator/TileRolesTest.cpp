//===- TileRolesTest.cpp - a kernel of the tile dialect, with roles -------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Faults are planted in the threads that the compiler has made of the roles, as
// a wrong lowering of channels would leave them.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "gtest/gtest.h"

#include <bit>

using namespace mlir;
using namespace mlir::attn::test;

namespace {

class EmulatedTileRoles : public testing::TestWithParam<const char *> {};

TEST_P(EmulatedTileRoles, AddUpWhatIsBrought) {
  Program program("tile-roles.mlir", {}, {GetParam(), {}});
  ASSERT_TRUE(program.isCompiled());
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Memory memory("tile-roles.mlir");
    std::vector<float> wanted(16 * 8);
    for (size_t i = 0; i < memory.words[0].size(); ++i) {
      auto value = static_cast<float>(i * i % 101);
      memory.words[0][i] = std::bit_cast<int32_t>(value);
      wanted[i % wanted.size()] += value;
    }
    ASSERT_EQ(program.run(memory.getViews(), seed), "") << seed;
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(std::bit_cast<float>(memory.words[1][i]), wanted[i]) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, EmulatedTileRoles,
                         testing::Values("sm_80", "sm_90"));

enum Side { Consumer, Producer };

/// The op of a kind on one side; the consumer's code comes first.
template <typename Op> Op find(ModuleOp module, unsigned number) {
  SmallVector<Op> all;
  module.walk([&](Op op) { all.push_back(op); });
  EXPECT_LT(number, all.size());
  return all[number];
}

Value makeConstant(OpBuilder &builder, Operation *op, Type type,
                   int64_t value) {
  builder.setInsertionPoint(op);
  return LLVM::ConstantOp::create(builder, op->getLoc(), type,
                                  builder.getIntegerAttr(type, value));
}

template <typename Op> void eraseArrival(ModuleOp module, unsigned number) {
  find<Op>(module, number)->erase();
}

/// Goes on as if what is waited for had come.
template <typename Op> void skipWait(ModuleOp module, Side side) {
  auto wait = find<Op>(module, side);
  OpBuilder builder(module.getContext());
  Value truth = makeConstant(builder, wait, builder.getI1Type(), 1);
  wait->replaceAllUsesWith(ValueRange{truth});
  wait->erase();
}

template <typename Op> void turnPhase(ModuleOp module, Side side) {
  auto wait = find<Op>(module, side);
  OpBuilder builder(module.getContext());
  Value one = makeConstant(builder, wait, builder.getI32Type(), 1);
  Value turned =
      LLVM::XOrOp::create(builder, wait.getLoc(), wait.getStateOrPhase(), one);
  wait.getStateOrPhaseMutable().assign(turned);
}

/// Of the first stage: the barrier of copies, then that of the consumer.
void addToCount(ModuleOp module, unsigned number, int64_t count) {
  auto init = find<NVVM::MBarrierInitOp>(module, number);
  OpBuilder builder(module.getContext());
  Value more = makeConstant(builder, init, builder.getI32Type(), count);
  Value sum =
      LLVM::AddOp::create(builder, init.getLoc(), init.getCount(), more);
  init.getCountMutable().assign(sum);
}

struct Damage {
  const char *name, *chip;
  void (*plant)(ModuleOp);
  /// Some between bars: one of them is a part of every report.
  const char *report;
};

void PrintTo(const Damage &damage, std::ostream *stream) {
  *stream << damage.name;
}

constexpr const char *kStuck = "waits|deadlock|no thread";
constexpr const char *kRace = "copy|with no barrier|has written|lacks";

using TestWait = NVVM::MBarrierTestWaitOp;
using TryWait = NVVM::MBarrierTryWaitOp;
using Arrive = NVVM::MBarrierArriveOp;

const Damage kDamages[] = {
    {"NothingIsReleased", "sm_80",
     [](ModuleOp m) { eraseArrival<Arrive>(m, Consumer); }, kStuck},
    {"StoresAreNotCommitted", "sm_80",
     [](ModuleOp m) { eraseArrival<Arrive>(m, Producer); }, kStuck},
    {"CopiesAreNotCommitted", "sm_80",
     [](ModuleOp m) { eraseArrival<NVVM::CpAsyncMBarrierArriveOp>(m, 0); },
     kStuck},
    {"TheConsumerDoesNotWait", "sm_80",
     [](ModuleOp m) { skipWait<TestWait>(m, Consumer); }, kRace},
    {"TheProducerDoesNotWait", "sm_80",
     [](ModuleOp m) { skipWait<TestWait>(m, Producer); }, kRace},
    {"TheConsumerIsInTheOtherPhase", "sm_80",
     [](ModuleOp m) { turnPhase<TestWait>(m, Consumer); }, kRace},
    {"TheProducerIsInTheOtherPhase", "sm_80",
     [](ModuleOp m) { turnPhase<TestWait>(m, Producer); }, kStuck},
    {"OneArrivalTooManyIsAwaited", "sm_80",
     [](ModuleOp m) { addToCount(m, 0, 1); }, kStuck},
    {"OneArrivalTooFewIsAwaited", "sm_80",
     [](ModuleOp m) { addToCount(m, 0, -1); }, kRace},
    {"OneReleaseTooManyIsAwaited", "sm_80",
     [](ModuleOp m) { addToCount(m, 1, 1); }, kStuck},
    {"OneReleaseTooFewIsAwaited", "sm_80",
     [](ModuleOp m) { addToCount(m, 1, -1); }, kRace},
    {"BytesAreNotExpected", "sm_90",
     [](ModuleOp m) { eraseArrival<NVVM::MBarrierExpectTxOp>(m, 0); }, "bytes"},
    {"BulkIsNotWaitedFor", "sm_90",
     [](ModuleOp m) { skipWait<TryWait>(m, Consumer); }, kRace},
    {"BulkComesToWhatIsRead", "sm_90",
     [](ModuleOp m) { skipWait<TryWait>(m, Producer); }, kRace},
    {"BulkIsInTheOtherPhase", "sm_90",
     [](ModuleOp m) { turnPhase<TryWait>(m, Consumer); }, kRace},
    {"BarriersAreNotFenced", "sm_90",
     [](ModuleOp m) { eraseArrival<NVVM::FenceMbarrierInitOp>(m, 0); },
     "with no fence.mbarrier.init"},
};

class DamagedTileRoles : public testing::TestWithParam<Damage> {};

TEST_P(DamagedTileRoles, AreReported) {
  Program program("tile-roles.mlir", {}, {GetParam().chip, GetParam().plant});
  ASSERT_TRUE(program.isCompiled());
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Memory memory("tile-roles.mlir");
    StringRef parts = GetParam().report;
    std::string report = program.run(memory.getViews(), seed);
    bool isMeant = false;
    while (!parts.empty()) {
      auto [part, rest] = parts.split('|');
      isMeant |= StringRef(report).contains(part);
      parts = rest;
    }
    EXPECT_TRUE(isMeant) << report << "; seed " << seed;
    EXPECT_NE(report.find("kernel 'tiles'"), std::string::npos) << report;
  }
}

INSTANTIATE_TEST_SUITE_P(TileRoles, DamagedTileRoles,
                         testing::ValuesIn(kDamages), [](const auto &info) {
                           return std::string(info.param.name);
                         });

} // namespace
