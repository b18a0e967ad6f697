//===- Bounds.h - what is known of a number before a call -------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Numbers of a bufferized program as expressions of the extents, strides and
// scalars that a public function is called with. Where a number depends on
// data, what bounds it counts.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_BOUNDS_H
#define ATTN_LIB_COMPILER_BOUNDS_H

#include "Expression.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::attn {

/// Expressions between which a number lies; empty where there is none.
struct Bounds {
  ExtentExpression lower, upper;
  /// Never less than zero.
  bool isNonNegative = false;

  bool isExact() const { return !upper.empty() && lower == upper; }

  static Bounds getExact(ExtentExpression value, bool isNonNegative) {
    return {value, value, isNonNegative};
  }
};

/// Reads numbers in the body of one public function, and in the bodies of what
/// it calls, as that call sees them.
class BoundsReader {
public:
  explicit BoundsReader(func::FuncOp entry);

  Bounds read(Value value);
  Bounds readDim(Value buffer, unsigned axis);
  /// 1 where a condition holds and 0 where not; empty if only data can tell.
  ExtentExpression readCondition(Value value);

  /// Parameters of a function stand for these values until `leave`.
  void enter(Block &body, ValueRange operands);
  void leave(Block &body);
  /// What is known of a value from elsewhere, for as long as the reader lives.
  void give(Value value, Bounds bounds) { given[value] = std::move(bounds); }
  /// Whether `body` calls itself.
  bool isEntered(Block &body) const {
    return llvm::is_contained(entered, &body);
  }

private:
  Bounds compute(Value value);
  Bounds computeParameter(BlockArgument argument);
  Bounds computeDim(Value buffer, unsigned axis);
  Bounds readEntryDim(BlockArgument argument, unsigned axis) const;
  /// The same in every round, and before the first.
  Bounds readCarriedDim(scf::ForOp loop, BlockArgument carried, unsigned axis);
  /// What a function returns for the operands of a call.
  Bounds readResult(func::CallOp call, unsigned result,
                    llvm::function_ref<Bounds(Value)> read);
  Bounds readAffine(AffineExpr expr, ValueRange dims, ValueRange symbols);
  Bounds read(OpFoldResult value);
  Bounds readStride(Value buffer, unsigned axis);
  Bounds readMetadata(memref::ExtractStridedMetadataOp op, unsigned result);
  /// What a value is under another name: an operand of the call that its
  /// function stands for, or what was stored for a kernel.
  Value look(Value value);
  Value findStored(LLVM::LoadOp load);
  bool isEntryParameter(BlockArgument argument) {
    return argument.getOwner() == &entry.front();
  }

  func::FuncOp entry;
  unsigned numArguments;
  /// Of the buffers that the caller passes for results.
  SmallVector<SmallVector<ExtentExpression>> passed;
  SmallVector<Block *> entered;
  DenseMap<Value, Value> bindings;
  DenseMap<Value, Bounds> numbers, given;
  using Axis = std::pair<Value, unsigned>;
  DenseMap<Axis, Bounds> dims, assumed;
};

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_BOUNDS_H
