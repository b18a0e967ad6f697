//===- SmallFloats.cpp - bf16 that moves without being computed on --------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A GPU moves 16 bits as they are. LLVM for a CPU carries a bf16 from block to
// block as an f32, and what rounds it back drops subnormal numbers and quiet
// bits. So it goes as an integer:
//
//   llvm.br ^bb1(%x : bf16)
//   ->
//   %bits = llvm.bitcast %x : bf16 to i16
//   llvm.br ^bb1(%bits : i16)
//
//===----------------------------------------------------------------------===//

#include "SmallFloats.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::attn;

static Value castTo(OpBuilder &builder, Location loc, Type type, Value value) {
  return LLVM::BitcastOp::create(builder, loc, type, value);
}

static void moveArgument(BlockArgument argument, Type bits) {
  Block *block = argument.getOwner();
  for (auto it = block->pred_begin(), end = block->pred_end(); it != end;
       ++it) {
    Operation *terminator = (*it)->getTerminator();
    SuccessorOperands operands =
        cast<BranchOpInterface>(terminator)
            .getSuccessorOperands(it.getSuccessorIndex());
    OpBuilder builder(terminator);
    unsigned index = argument.getArgNumber();
    Value value = operands[index];
    terminator->setOperand(operands.getOperandIndex(index),
                           castTo(builder, terminator->getLoc(), bits, value));
  }
  OpBuilder builder = OpBuilder::atBlockBegin(block);
  Type type = argument.getType();
  argument.setType(bits);
  Value value = castTo(builder, argument.getLoc(), type, argument);
  argument.replaceAllUsesExcept(value, value.getDefiningOp());
}

static void moveSelect(LLVM::SelectOp op, Type bits) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value chosen =
      LLVM::SelectOp::create(builder, loc, op.getCondition(),
                             castTo(builder, loc, bits, op.getTrueValue()),
                             castTo(builder, loc, bits, op.getFalseValue()));
  op.replaceAllUsesWith(castTo(builder, loc, op.getType(), chosen));
  op.erase();
}

/// Loads and stores move integers, too: casts beside them would be folded.
static void moveAccess(Operation *op, Type bits) {
  OpBuilder builder(op);
  if (auto store = dyn_cast<LLVM::StoreOp>(op)) {
    store.getValueMutable().assign(
        castTo(builder, op->getLoc(), bits, store.getValue()));
    return;
  }
  Value loaded = op->getResult(0);
  Type type = loaded.getType();
  loaded.setType(bits);
  builder.setInsertionPointAfter(op);
  Value value = castTo(builder, op->getLoc(), type, loaded);
  loaded.replaceAllUsesExcept(value, value.getDefiningOp());
}

void emulator::moveSmallFloatsAsBits(LLVM::LLVMFuncOp function) {
  Type bits = IntegerType::get(function.getContext(), 16);
  for (Block &block : function.getBody()) {
    if (block.isEntryBlock()) {
      continue;
    }
    for (BlockArgument argument : block.getArguments()) {
      if (argument.getType().isBF16()) {
        moveArgument(argument, bits);
      }
    }
  }
  SmallVector<Operation *> ops;
  function.walk([&](Operation *op) {
    auto store = dyn_cast<LLVM::StoreOp>(op);
    if (store ? store.getValue().getType().isBF16()
              : isa<LLVM::LoadOp, LLVM::SelectOp>(op) &&
                    op->getResult(0).getType().isBF16()) {
      ops.push_back(op);
    }
  });
  for (Operation *op : ops) {
    if (auto select = dyn_cast<LLVM::SelectOp>(op)) {
      moveSelect(select, bits);
    } else {
      moveAccess(op, bits);
    }
  }
}
