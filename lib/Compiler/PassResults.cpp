//===- PassResults.cpp - attn-pass-results --------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The caller of a public function passes the buffers of its results, where the
// extents of these follow from those of the arguments:
//
//   func.func @f(%q: memref<?x64xf32>) -> memref<?x64xf32> {
//     %n = memref.dim %q, %c0
//     %o = memref.alloc(%n)                // written in place, as far as it is
//     ...                                  // the one buffer that is returned;
//     return %o }                          // another is copied at the end
//   =>
//   func.func @f(%q: memref<?x64xf32>, %o: memref<?x64xf32>)
//       attributes {attn.passed_results = [[extent 0 of %q, 64]]} { ... }
//
// Upstream's bufferization::promoteBufferResultsToOutParams passes all results
// or none, and does not say what their extents are.
//
//===----------------------------------------------------------------------===//

#include "Boundary.h"

#include "Bounds.h"
#include "mlir/IR/Dominance.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

/// The allocation that `value` is, if nothing else can be returned as it.
memref::AllocOp getOwnAllocation(Value value) {
  auto alloc = value.getDefiningOp<memref::AllocOp>();
  return alloc && isa<func::FuncOp>(alloc->getParentOp()) ? alloc
                                                          : memref::AllocOp();
}

struct PassResultsPass : PassWrapper<PassResultsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PassResultsPass)

  StringRef getArgument() const override { return "attn-pass-results"; }
  StringRef getDescription() const override {
    return "results of public functions are written to buffers of the caller";
  }

  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      bool isEntry = func.isPublic() && !func.isExternal() &&
                     func.getBody().hasOneBlock() &&
                     SymbolTable::symbolKnownUseEmpty(func, getOperation());
      if (isEntry) {
        passResults(func);
      }
    }
  }

  /// The extents of a result, if all are known and its rows are compact.
  static std::optional<SmallVector<ExtentExpression>>
  findExtents(BoundsReader &reader, Value value) {
    auto type = dyn_cast<MemRefType>(value.getType());
    if (!type || !type.getLayout().isIdentity()) {
      return std::nullopt;
    }
    SmallVector<ExtentExpression> extents;
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      Bounds extent = reader.readDim(value, axis);
      if (!extent.isExact()) {
        return std::nullopt;
      }
      extents.push_back(extent.lower);
    }
    return extents;
  }

  static void passResults(func::FuncOp func) {
    auto end = cast<func::ReturnOp>(func.front().getTerminator());
    BoundsReader reader(func);
    SmallVector<std::optional<SmallVector<ExtentExpression>>> results;
    for (Value value : end.getOperands()) {
      results.push_back(findExtents(reader, value));
    }
    setPassedResults(func, results);
    BitVector passed(results.size());
    for (auto [k, extents] : llvm::enumerate(results)) {
      if (extents) {
        passed.set(k);
        passResult(func, end, end.getOperand(k));
      }
    }
    end->eraseOperands(passed);
    (void)func.eraseResults(passed);
  }

  static void passResult(func::FuncOp func, func::ReturnOp end, Value value) {
    unsigned number = func.getNumArguments();
    (void)func.insertArgument(number, value.getType(), {}, value.getLoc());
    BlockArgument buffer = func.getArgument(number);
    memref::AllocOp alloc = getOwnAllocation(value);
    if (!alloc) {
      OpBuilder builder(end);
      memref::CopyOp::create(builder, end.getLoc(), value, buffer);
      return;
    }
    // Its extents are those that it was allocated with.
    OpBuilder builder(alloc);
    for (Operation *user : llvm::make_early_inc_range(alloc->getUsers())) {
      auto dim = dyn_cast<memref::DimOp>(user);
      std::optional<int64_t> axis = dim ? dim.getConstantIndex() : std::nullopt;
      auto type = alloc.getType();
      if (axis && type.isDynamicDim(*axis)) {
        dim.replaceAllUsesWith(
            alloc.getDynamicSizes()[type.getDynamicDimIndex(*axis)]);
        dim.erase();
      }
    }
    alloc.replaceAllUsesWith(Value(buffer));
    alloc.erase();
  }
};

} // namespace

std::unique_ptr<Pass> attn::createPassResultsPass() {
  return std::make_unique<PassResultsPass>();
}
