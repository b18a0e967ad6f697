//===- WaveOps.cpp - ops of AMD's GPUs ------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %x = rocdl.ds_bpermute %address, %value : (i32, i32) -> i32
//   ->
//   %x = llvm.call @attn_emulator_bpermute(%address, %value, site)
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "attn_emulator.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

/// The number of a special register, or -1.
static int32_t getRegister(StringRef name) {
  return llvm::StringSwitch<int32_t>(name)
      .Case("rocdl.workitem.id.x", ATTN_EMULATOR_THREAD_X)
      .Case("rocdl.workitem.id.y", ATTN_EMULATOR_THREAD_Y)
      .Case("rocdl.workitem.id.z", ATTN_EMULATOR_THREAD_Z)
      .Case("rocdl.workgroup.id.x", ATTN_EMULATOR_BLOCK_X)
      .Case("rocdl.workgroup.id.y", ATTN_EMULATOR_BLOCK_Y)
      .Case("rocdl.workgroup.id.z", ATTN_EMULATOR_BLOCK_Z)
      .Default(-1);
}

static void replaceWith(Operation *op, Value result) {
  op->replaceAllUsesWith(ValueRange{result});
  op->erase();
}

static bool isWord(Type type) {
  return type.isIntOrFloat() && type.getIntOrFloatBitWidth() == 32;
}

static Value toWord(Calls &calls, Value value) {
  return value.getType() == calls.getI32Type() ? value : calls.bits(value);
}

static Value fromWord(Calls &calls, Value word, Type type) {
  return type == word.getType()
             ? word
             : LLVM::BitcastOp::create(calls, type, word).getResult();
}

/// a * b + c of 16 x 16 matrices, operands of `type`.
static void replaceMatrix(Operation *op, Calls &calls, int32_t kind,
                          int32_t type) {
  // Of words, not of vectors.
  constexpr unsigned kAlignment = 4;
  constexpr int64_t kMostWords = 24, kMostSums = 8;
  Value operands = calls.registers(kMostWords);
  Value results = calls.registers(kMostSums);
  int64_t place = 0;
  for (Value operand : op->getOperands().take_front(3)) {
    LLVM::StoreOp::create(calls, operand, calls.registerAt(operands, place),
                          kAlignment);
    auto vector = cast<VectorType>(operand.getType());
    place += vector.getNumElements() * vector.getElementTypeBitWidth() / 32;
  }
  calls.call("attn_emulator_wave_mma", {},
             {calls.constant(kind), calls.constant(type), operands, results,
              calls.site()});
  replaceWith(op, LLVM::LoadOp::create(calls, op->getResult(0).getType(),
                                       results, kAlignment));
}

static int32_t getWaveKind(Value operand) {
  constexpr int64_t kDuplicated = 16;
  auto vector = cast<VectorType>(operand.getType());
  return vector.getNumElements() == kDuplicated ? ATTN_EMULATOR_WMMA_GFX11
                                                : ATTN_EMULATOR_WMMA_GFX12;
}

/// The instruction has 0 for every result below the normal numbers.
static void replacePower(ROCDL::ROCDLExp2 op, Calls &calls) {
  Type f32 = calls.getF32Type();
  auto number = [&](double value) -> Value {
    return LLVM::ConstantOp::create(calls, f32, calls.getF32FloatAttr(value));
  };
  Value x = op->getOperand(0);
  Value power = LLVM::Exp2Op::create(calls, f32, x);
  Value below =
      LLVM::FCmpOp::create(calls, LLVM::FCmpPredicate::olt, x, number(-126.0));
  replaceWith(op, LLVM::SelectOp::create(calls, below, number(0.0), power));
}

FailureOr<bool> emulator::replaceWaveOp(Operation *op, Calls &calls) {
  Type i32 = calls.getI32Type();
  int32_t which = getRegister(op->getName().getStringRef());
  if (which >= 0) {
    replaceWith(op, calls.call("attn_emulator_register", i32,
                               ValueRange{calls.constant(which)}));
    return true;
  }
  auto count = [&](Value mask, Value base, bool high) {
    replaceWith(op, calls.call("attn_emulator_mbcnt", i32,
                               {calls.constant(high), mask, base}));
  };
  auto operand = [&](unsigned k) { return op->getOperand(k); };
  return TypeSwitch<Operation *, FailureOr<bool>>(op)
      .Case<ROCDL::BarrierOp, ROCDL::SBarrierOp>([&](auto) {
        calls.call("attn_emulator_barrier", i32,
                   {calls.constant(0), calls.constant(-1),
                    calls.constant(ATTN_EMULATOR_REDUCE_NONE),
                    calls.constant(0), calls.site()});
        op->erase();
        return true;
      })
      .Case([&](ROCDL::DsBpermuteOp) {
        replaceWith(op, calls.call("attn_emulator_bpermute", i32,
                                   {operand(0), operand(1), calls.site()}));
        return true;
      })
      .Case([&](ROCDL::DPPUpdateOp dpp) -> FailureOr<bool> {
        Type type = dpp.getType();
        if (!isWord(type)) {
          return op->emitOpError("is emulated for 32 bits alone");
        }
        Value word = calls.call(
            "attn_emulator_dpp", i32,
            {toWord(calls, dpp.getOld()), toWord(calls, dpp.getSrc()),
             calls.constant(dpp.getDppCtrl()), calls.constant(dpp.getRowMask()),
             calls.constant(dpp.getBankMask()),
             calls.constant(dpp.getBoundCtrl()), calls.site()});
        replaceWith(op, fromWord(calls, word, type));
        return true;
      })
      .Case([&](ROCDL::PermlaneX16Op permute) -> FailureOr<bool> {
        Type type = permute.getType();
        if (!isWord(type)) {
          return op->emitOpError("is emulated for 32 bits alone");
        }
        Value word = calls.call(
            "attn_emulator_permlanex16", i32,
            {toWord(calls, permute.getOld()), toWord(calls, permute.getSrc0()),
             permute.getSrc1(), permute.getSrc2(),
             calls.constant(permute.getFi()),
             calls.constant(permute.getBoundControl()), calls.site()});
        replaceWith(op, fromWord(calls, word, type));
        return true;
      })
      .Case([&](ROCDL::DsSwizzleOp swizzle) -> FailureOr<bool> {
        // Patterns above are rotations, and orders for Fourier transforms.
        constexpr uint64_t kQuadsEnd = 0x8100;
        APInt pattern;
        if (!matchPattern(swizzle.getOffset(), m_ConstantInt(&pattern)) ||
            !pattern.ult(kQuadsEnd)) {
          return op->emitOpError(
              "is emulated for patterns of masks, or of four "
              "lanes, alone");
        }
        replaceWith(op, calls.call("attn_emulator_swizzle", i32,
                                   {operand(0), operand(1), calls.site()}));
        return true;
      })
      .Case<ROCDL::ReadlaneOp, ROCDL::ReadfirstlaneOp>(
          [&](auto read) -> FailureOr<bool> {
            Type type = op->getResult(0).getType();
            if (!isWord(type)) {
              return op->emitOpError("is emulated for 32 bits alone");
            }
            // All lanes of the wave come here, so that the first is lane 0.
            Value lane =
                op->getNumOperands() == 2 ? operand(1) : calls.constant(0);
            Value word =
                calls.call("attn_emulator_readlane", i32,
                           {toWord(calls, operand(0)), lane, calls.site()});
            replaceWith(op, fromWord(calls, word, type));
            return true;
          })
      .Case([&](ROCDL::MbcntLoOp mbcnt) {
        count(mbcnt.getIn0(), mbcnt.getIn1(), /*high=*/false);
        return true;
      })
      .Case([&](ROCDL::MbcntHiOp mbcnt) {
        count(mbcnt.getIn0(), mbcnt.getIn1(), /*high=*/true);
        return true;
      })
      .Case<ROCDL::mfma_f32_16x16x16f16, ROCDL::mfma_f32_16x16x16bf16_1k>(
          [&](auto product) -> FailureOr<bool> {
            // Broadcasts of blocks and of lanes.
            for (Value flag : op->getOperands().drop_front(3)) {
              auto constant = flag.getDefiningOp<LLVM::ConstantOp>();
              auto value = constant ? dyn_cast<IntegerAttr>(constant.getValue())
                                    : IntegerAttr();
              if (!value || !value.getValue().isZero()) {
                return op->emitOpError(
                    "is emulated without broadcasts of its operands");
              }
            }
            bool isHalf = isa<ROCDL::mfma_f32_16x16x16f16>(op);
            replaceMatrix(op, calls, ATTN_EMULATOR_MFMA,
                          isHalf ? ATTN_EMULATOR_F16 : ATTN_EMULATOR_BF16);
            return true;
          })
      .Case<ROCDL::wmma_f32_16x16x16_f16, ROCDL::wmma_f32_16x16x16_bf16>(
          [&](auto product) -> FailureOr<bool> {
            constexpr int64_t kSums = 8;
            auto sums = cast<VectorType>(op->getResult(0).getType());
            if (sums.getNumElements() != kSums) {
              return op->emitOpError("is emulated for waves of 32 lanes alone");
            }
            bool isHalf = isa<ROCDL::wmma_f32_16x16x16_f16>(op);
            replaceMatrix(op, calls, getWaveKind(operand(0)),
                          isHalf ? ATTN_EMULATOR_F16 : ATTN_EMULATOR_BF16);
            return true;
          })
      .Case([&](ROCDL::ROCDLExp2 power) -> FailureOr<bool> {
        if (!power.getType().isF32()) {
          return op->emitOpError("is emulated for f32 alone");
        }
        replacePower(power, calls);
        return true;
      })
      .Default([](Operation *) { return false; });
}
