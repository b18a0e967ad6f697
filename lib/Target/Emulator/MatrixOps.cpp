//===- MatrixOps.cpp - matrices of a warp, and what registers hold --------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fragments cross to the runtime in memory of the thread, one word for every
// register:
//
//   llvm.store %a0, %registers[0]   ...   call @attn_emulator_mma(%form,
//   %registers, %results, site)     ...   llvm.load %results[0]
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "attn_emulator.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

/// The result of an op, one value or a struct, from what lies in registers.
static void replaceWithRegisters(Operation *op, Calls &calls, Value results) {
  Type type = op->getResult(0).getType();
  auto fields = dyn_cast<LLVM::LLVMStructType>(type);
  Value value;
  if (!fields) {
    value = LLVM::LoadOp::create(calls, type, results);
  } else {
    value = LLVM::PoisonOp::create(calls, type);
    for (auto [k, field] : llvm::enumerate(fields.getBody())) {
      Value element = LLVM::LoadOp::create(
          calls, field, calls.registerAt(results, static_cast<int64_t>(k)));
      value = LLVM::InsertValueOp::create(calls, value, element,
                                          static_cast<int64_t>(k));
    }
  }
  op->replaceAllUsesWith(ValueRange{value});
  op->erase();
}

static bool isEightByEight(NVVM::LdStMatrixShapeAttr shape,
                           NVVM::LdStMatrixEltType type) {
  return shape.getM() == 8 && shape.getN() == 8 &&
         type == NVVM::LdStMatrixEltType::B16;
}

static LogicalResult replaceLoad(NVVM::LdMatrixOp op, Calls &calls) {
  if (!isEightByEight(op.getShape(), op.getEltType())) {
    return op.emitOpError(
        "is emulated for matrices of 8 x 8 elements of 16 bits alone");
  }
  Value results = calls.registers(4);
  bool isTransposed = op.getLayout() == NVVM::MMALayout::col;
  calls.call("attn_emulator_ldmatrix", {},
             {op.getPtr(), calls.constant(static_cast<int32_t>(op.getNum())),
              calls.constant(isTransposed), results, calls.site()});
  replaceWithRegisters(op, calls, results);
  return success();
}

static LogicalResult replaceStore(NVVM::StMatrixOp op, Calls &calls) {
  if (!isEightByEight(op.getShape(), op.getEltType())) {
    return op.emitOpError(
        "is emulated for matrices of 8 x 8 elements of 16 bits alone");
  }
  Value sources = calls.registers(4);
  for (auto [k, source] : llvm::enumerate(op.getSources())) {
    LLVM::StoreOp::create(calls, source,
                          calls.registerAt(sources, static_cast<int64_t>(k)));
  }
  bool isTransposed = op.getLayout() == NVVM::MMALayout::col;
  auto count = static_cast<int32_t>(op.getSources().size());
  calls.call("attn_emulator_stmatrix", {},
             {op.getPtr(), calls.constant(count), calls.constant(isTransposed),
              sources, calls.site()});
  op->erase();
  return success();
}

/// The runtime's number of a type, or -1.
static int32_t getType(NVVM::MMATypes type) {
  switch (type) {
  case NVVM::MMATypes::f16:
    return ATTN_EMULATOR_F16;
  case NVVM::MMATypes::bf16:
    return ATTN_EMULATOR_BF16;
  case NVVM::MMATypes::tf32:
    return ATTN_EMULATOR_TF32;
  case NVVM::MMATypes::s8:
    return ATTN_EMULATOR_S8;
  case NVVM::MMATypes::u8:
    return ATTN_EMULATOR_U8;
  case NVVM::MMATypes::f32:
    return ATTN_EMULATOR_F32;
  case NVVM::MMATypes::s32:
    return ATTN_EMULATOR_S32;
  default:
    return -1;
  }
}

static LogicalResult replaceProduct(NVVM::MmaOp op, Calls &calls) {
  NVVM::MMAShapeAttr shape = op.getShape();
  int32_t types[] = {getType(*op.getMultiplicandAPtxType()),
                     getType(*op.getMultiplicandBPtxType()),
                     getType(op.accumPtxType()), getType(op.resultPtxType())};
  if (shape.getM() != 16 || shape.getN() != 8 ||
      llvm::is_contained(types, -1)) {
    return op.emitOpError("is emulated for 16 x 8 results of f16, bf16, tf32 "
                          "and 8-bit integers alone");
  }
  bool saturates =
      op.getIntOverflowBehavior() == NVVM::MMAIntOverflow::satfinite;
  SmallVector<int32_t> form{static_cast<int32_t>(shape.getK())};
  form.append(std::begin(types), std::end(types));
  form.push_back(saturates);
  Value formAt = calls.registers(static_cast<int64_t>(form.size()));
  for (auto [k, field] : llvm::enumerate(form)) {
    LLVM::StoreOp::create(calls, calls.constant(field),
                          calls.registerAt(formAt, static_cast<int64_t>(k)));
  }
  // At most four of A, two of B and four of C.
  Value operands = calls.registers(10), results = calls.registers(4);
  for (auto [k, operand] : llvm::enumerate(op->getOperands())) {
    LLVM::StoreOp::create(calls, operand,
                          calls.registerAt(operands, static_cast<int64_t>(k)));
  }
  calls.call("attn_emulator_mma", {},
             {formAt, operands, results, calls.site()});
  replaceWithRegisters(op, calls, results);
  return success();
}

/// Two floats in one register.
static LogicalResult replacePair(Operation *op, Calls &calls, Value high,
                                 Value low, bool isPlain) {
  if (!isPlain) {
    return op->emitOpError("is emulated for rounding to nearest alone");
  }
  auto type = cast<VectorType>(op->getResult(0).getType());
  Value pair = LLVM::PoisonOp::create(calls, type);
  for (auto [k, value] : llvm::enumerate(ArrayRef<Value>{low, high})) {
    Value rounded =
        LLVM::FPTruncOp::create(calls, type.getElementType(), value);
    pair = LLVM::InsertElementOp::create(
        calls, pair, rounded, calls.constant(static_cast<int32_t>(k)));
  }
  op->replaceAllUsesWith(ValueRange{pair});
  op->erase();
  return success();
}

template <typename Op> static bool isPlain(Op op) {
  return op.getRnd() == NVVM::FPRoundingMode::RN && !op.getRelu() &&
         op.getSat() == NVVM::SaturationMode::NONE && !op.getRandomBits();
}

static LogicalResult replaceRounding(NVVM::ConvertFloatToTF32Op op,
                                     Calls &calls) {
  bool isEven = op.getRnd() == NVVM::FPRoundingMode::RN;
  if ((!isEven && op.getRnd() != NVVM::FPRoundingMode::RNA) || op.getRelu() ||
      op.getSat() != NVVM::SaturationMode::NONE) {
    return op.emitOpError("is emulated for rounding to nearest alone");
  }
  Value result = calls.call("attn_emulator_round_tf32", calls.getI32Type(),
                            {op.getSrc(), calls.constant(isEven)});
  op->replaceAllUsesWith(ValueRange{result});
  op->erase();
  return success();
}

FailureOr<bool> emulator::replaceMatrixOp(Operation *op, Calls &calls) {
  auto toResult = [](LogicalResult result) -> FailureOr<bool> {
    return failed(result) ? FailureOr<bool>(failure()) : true;
  };
  return TypeSwitch<Operation *, FailureOr<bool>>(op)
      .Case([&](NVVM::LdMatrixOp load) {
        return toResult(replaceLoad(load, calls));
      })
      .Case([&](NVVM::StMatrixOp store) {
        return toResult(replaceStore(store, calls));
      })
      .Case([&](NVVM::MmaOp product) {
        return toResult(replaceProduct(product, calls));
      })
      .Case<NVVM::ConvertF32x2ToF16x2Op, NVVM::ConvertF32x2ToBF16x2Op>(
          [&](auto pair) {
            return toResult(replacePair(op, calls, pair.getSrcHi(),
                                        pair.getSrcLo(), isPlain(pair)));
          })
      .Case([&](NVVM::ConvertFloatToTF32Op round) {
        return toResult(replaceRounding(round, calls));
      })
      .Case([&](NVVM::PermuteOp permute) {
        Value high = permute.getHi();
        Value result =
            calls.call("attn_emulator_permute", calls.getI32Type(),
                       {calls.constant(static_cast<int32_t>(permute.getMode())),
                        permute.getLo(), high ? high : calls.constant(0),
                        permute.getSelector()});
        op->replaceAllUsesWith(ValueRange{result});
        op->erase();
        return true;
      })
      // What a card approximates.
      .Case([&](NVVM::RcpApproxFtzF32Op rcp) {
        Value one = LLVM::ConstantOp::create(calls, calls.getF32Type(),
                                             calls.getF32FloatAttr(1.0));
        Value result = LLVM::FDivOp::create(calls, one, rcp.getArg());
        op->replaceAllUsesWith(ValueRange{result});
        op->erase();
        return true;
      })
      .Default([](Operation *) { return false; });
}
