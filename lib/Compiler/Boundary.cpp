//===- Boundary.cpp - small passes of the pipelines -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Upstream bufferization may write into the arguments of a function, and may
// return one of them. Callers of a compiled program expect neither: arguments
// stay as they are and every result is a buffer of its own, to be freed by the
// caller. Arguments declared writable, which attn.append writes, are no
// results: the caller has them. `attn-prepare-entries` says so before
// bufferization:
//
//   func.func @f(%a: tensor<?xf32>) -> tensor<?xf32> { return %a }
//   =>
//   func.func @f(%a: tensor<?xf32> {bufferization.writable = false})
//       -> tensor<?xf32> attributes {llvm.emit_c_interface} {
//     %c = bufferization.alloc_tensor(%d) copy(%a)
//     return %c }
//
// `attn-legalize-buffers` runs after it: strided `memref.copy` would become a
// call of a support library, and some scalar ops have no LLVM form.
//
//===----------------------------------------------------------------------===//

#include "Boundary.h"
#include "attn/Support/ScalarMath.h"

#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace {

/// The value of which `value` is a view, as far as tensor ops tell.
Value getViewedTensor(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<tensor::CastOp, tensor::ExtractSliceOp, tensor::CollapseShapeOp,
             tensor::ExpandShapeOp, tensor::ReshapeOp>(op)) {
      return value;
    }
    value = op->getOperand(0);
  }
  return value;
}

struct PrepareEntriesPass
    : PassWrapper<PrepareEntriesPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PrepareEntriesPass)

  StringRef getArgument() const override { return "attn-prepare-entries"; }
  StringRef getDescription() const override {
    return "mark public functions: C interface, arguments are read-only, "
           "results are fresh";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<bufferization::BufferizationDialect, LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (!func.isPublic() || func.isExternal()) {
      return;
    }
    func->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                  UnitAttr::get(&getContext()));
    StringRef writable = bufferization::BufferizationDialect::kWritableAttrName;
    for (BlockArgument arg : func.getArguments()) {
      if (isa<TensorType>(arg.getType()) &&
          !func.getArgAttr(arg.getArgNumber(), writable)) {
        func.setArgAttr(arg.getArgNumber(), writable,
                        BoolAttr::get(&getContext(), false));
      }
    }
    if (failed(dropWrittenArguments(func))) {
      return signalPassFailure();
    }
    SmallVector<tensor::ExtractSliceOp> slices;
    func.walk([&](tensor::ExtractSliceOp op) { slices.push_back(op); });
    for (tensor::ExtractSliceOp op : slices) {
      nameDroppedAxes(op);
    }
    func.walk([](func::ReturnOp op) { copyReturnedArguments(op); });
  }

  /// A slice that keeps one axis of a single place and drops another says with
  /// its type which one. That is not enough for its buffer, whose strides may
  /// be those of either: the axis is dropped by an op of its own.
  static void nameDroppedAxes(tensor::ExtractSliceOp op) {
    llvm::SmallBitVector dropped = op.getDroppedDims();
    auto places = llvm::count_if(op.getMixedSizes(), [](OpFoldResult size) {
      return getConstantIntValue(size) == 1;
    });
    if (dropped.none() || places == static_cast<int64_t>(dropped.count())) {
      return;
    }
    // Dropped axes join the one before them, or the first that is kept.
    SmallVector<ReassociationIndices> groups;
    ReassociationIndices leading;
    for (int64_t axis = 0; axis < op.getSourceType().getRank(); ++axis) {
      if (!dropped[axis]) {
        groups.push_back(std::exchange(leading, {}));
        groups.back().push_back(axis);
      } else if (groups.empty()) {
        leading.push_back(axis);
      } else {
        groups.back().push_back(axis);
      }
    }
    OpBuilder builder(op);
    Value whole = tensor::ExtractSliceOp::create(
        builder, op.getLoc(), op.getSource(), op.getMixedOffsets(),
        op.getMixedSizes(), op.getMixedStrides());
    op.replaceAllUsesWith(tensor::CollapseShapeOp::create(
                              builder, op.getLoc(), op.getType(), whole, groups)
                              .getResult());
    op.erase();
  }

  /// Whether `value` is the buffer of an argument that has been written.
  static bool isWrittenArgument(Value value) {
    auto tensor = value.getDefiningOp<bufferization::ToTensorOp>();
    auto buffer =
        tensor ? tensor.getBuffer().getDefiningOp<bufferization::ToBufferOp>()
               : bufferization::ToBufferOp();
    return buffer && !buffer.getReadOnly() &&
           isa<BlockArgument>(buffer.getTensor());
  }

  /// The caller has them already.
  static LogicalResult dropWrittenArguments(func::FuncOp func) {
    auto op = dyn_cast<func::ReturnOp>(func.front().getTerminator());
    if (!op || !func.getBody().hasOneBlock()) {
      return success();
    }
    BitVector written(op.getNumOperands());
    for (auto [k, operand] : llvm::enumerate(op.getOperands())) {
      written[k] = isWrittenArgument(operand);
    }
    if (written.none()) {
      return success();
    }
    if (!SymbolTable::symbolKnownUseEmpty(func,
                                          func->getParentOfType<ModuleOp>())) {
      return func.emitError("a function that returns a cache it has written "
                            "cannot be called by another one");
    }
    op->eraseOperands(written);
    return func.eraseResults(written);
  }

  /// Copies returned arguments, and tensors that are returned twice.
  static void copyReturnedArguments(func::ReturnOp op) {
    OpBuilder builder(op);
    DenseSet<Value> seen;
    for (OpOperand &operand : op->getOpOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.get().getType());
      if (!type) {
        continue;
      }
      Value viewed = getViewedTensor(operand.get());
      bool firstUse = seen.insert(viewed).second;
      if (firstUse && !isa<BlockArgument>(viewed)) {
        continue;
      }
      operand.set(bufferization::AllocTensorOp::create(
          builder, op.getLoc(), type, ValueRange(), operand.get()));
    }
  }
};

/// memref.copy of strided buffers as an elementwise linalg.generic.
struct StridedCopy : OpRewritePattern<memref::CopyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(memref::CopyOp op,
                                PatternRewriter &rewriter) const override {
    auto isPlain = [](Value buffer) {
      auto type = dyn_cast<MemRefType>(buffer.getType());
      return type && type.getLayout().isIdentity();
    };
    if (!isa<MemRefType>(op.getSource().getType()) ||
        !isa<MemRefType>(op.getTarget().getType()) ||
        (isPlain(op.getSource()) && isPlain(op.getTarget()))) {
      return failure();
    }
    linalg::makeMemRefCopyOp(rewriter, op.getLoc(), op.getSource(),
                             op.getTarget());
    rewriter.eraseOp(op);
    return success();
  }
};

struct ScalarMath : RewritePattern {
  explicit ScalarMath(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    attn::Emit e(op->getLoc(), rewriter);
    SmallVector<Value> values = attn::expandScalarMath(e, op);
    if (values.empty()) {
      return failure();
    }
    rewriter.replaceOp(op, values);
    return success();
  }
};

struct LegalizeBuffersPass
    : PassWrapper<LegalizeBuffersPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LegalizeBuffersPass)

  explicit LegalizeBuffersPass(bool expandScalars = true)
      : expandScalars(expandScalars) {}

  StringRef getArgument() const override { return "attn-legalize-buffers"; }
  StringRef getDescription() const override {
    return "strided copies as linalg, rounding divisions, whole powers and the "
           "like as arithmetic; drops attributes for tools";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<linalg::LinalgDialect, arith::ArithDialect>();
  }

  void runOnOperation() override {
    dropToolAttributes(getOperation());
    RewritePatternSet patterns(&getContext());
    patterns.add<StridedCopy>(&getContext());
    if (expandScalars) {
      patterns.add<ScalarMath>(&getContext());
      arith::populateCeilFloorDivExpandOpsPatterns(patterns);
    }
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }

  /// attn.name and the like have said what they had to say.
  static void dropToolAttributes(func::FuncOp func) {
    auto keep = [](DictionaryAttr attrs) {
      SmallVector<NamedAttribute> kept;
      for (NamedAttribute attr : attrs) {
        if (!attr.getName().strref().starts_with("attn.")) {
          kept.push_back(attr);
        }
      }
      return kept;
    };
    for (unsigned k = 0; k < func.getNumArguments(); ++k) {
      if (DictionaryAttr attrs = func.getArgAttrDict(k)) {
        func.setArgAttrs(k, keep(attrs));
      }
    }
    for (unsigned k = 0; k < func.getNumResults(); ++k) {
      if (DictionaryAttr attrs = func.getResultAttrDict(k)) {
        func.setResultAttrs(k, keep(attrs));
      }
    }
  }

  bool expandScalars;
};

} // namespace

std::unique_ptr<Pass> attn::createPrepareEntriesPass() {
  return std::make_unique<PrepareEntriesPass>();
}

std::unique_ptr<Pass> attn::createLegalizeBuffersPass(bool expandScalars) {
  return std::make_unique<LegalizeBuffersPass>(expandScalars);
}

void attn::registerBoundaryPasses() {
  PassRegistration<PrepareEntriesPass>();
  PassRegistration<LegalizeBuffersPass>();
  registerPass([] { return createPassResultsPass(); });
  registerPass([] { return createMeasureWorkspacePass(); });
}
