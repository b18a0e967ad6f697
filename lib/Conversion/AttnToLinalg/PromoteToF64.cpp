//===- PromoteToF64.cpp - the same program on f64 -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An error budget needs the result that the program would have without
// rounding. This pass gives the program that computes it: every narrower float
// becomes f64, in types, signatures and constants, and roundings disappear.
//
//   %s = attn.score %q, %k : tensor<1x8x?x64xbf16>, ... ->
//   !attn.scores<...xf32> %o = attn.aggregate %s, %v operand_type(bf16) : ...
// becomes
//   %s = attn.score %q, %k : tensor<1x8x?x64xf64>, ... -> !attn.scores<...xf64>
//   %o = attn.aggregate %s, %v : ...
//
// Constants keep the value that they have in their own type.
//
//===----------------------------------------------------------------------===//

#include "attn/Conversion/Passes.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/DialectResourceBlobManager.h"

namespace mlir::attn {
#define GEN_PASS_DEF_PROMOTETOF64PASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

static bool isNarrow(Type type) {
  auto floating = dyn_cast<FloatType>(type);
  return floating && floating.getWidth() < 64;
}

static APFloat toDouble(APFloat value) {
  bool loses = false;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
  return value;
}

static Attribute promoteElements(DenseFPElementsAttr attr) {
  auto type = cast<ShapedType>(attr.getType());
  if (!isNarrow(type.getElementType())) {
    return attr;
  }
  return attr.mapValues(
      Float64Type::get(attr.getContext()),
      [](const APFloat &value) { return toDouble(value).bitcastToAPInt(); });
}

/// Replaces types and constants wherever they occur in types and attributes.
static AttrTypeReplacer makeReplacer(MLIRContext *context) {
  AttrTypeReplacer replacer;
  Type f64 = Float64Type::get(context);
  replacer.addReplacement([=](FloatType type) -> std::optional<Type> {
    return isNarrow(type) ? f64 : type;
  });
  using Result = std::optional<std::pair<Attribute, WalkResult>>;
  replacer.addReplacement([=](FloatAttr attr) -> Result {
    if (!isNarrow(attr.getType())) {
      return std::make_pair(attr, WalkResult::skip());
    }
    return std::make_pair(FloatAttr::get(f64, toDouble(attr.getValue())),
                          WalkResult::skip());
  });
  // A scheme names a format, not the type of a value.
  replacer.addReplacement([](QuantAttr attr) -> Result {
    return std::make_pair(attr, WalkResult::skip());
  });
  replacer.addReplacement([](DenseFPElementsAttr attr) -> Result {
    return std::make_pair(promoteElements(attr), WalkResult::skip());
  });
  return replacer;
}

/// Whether `op` is a conversion that has become the identity.
static bool isIdentityCast(Operation *op) {
  return isa<arith::ExtFOp, arith::TruncFOp>(op) &&
         op->getOperand(0).getType() == op->getResult(0).getType();
}

/// What has no counterpart in f64: ops that see the bits of a narrow float, and
/// constants that are stored outside of the program.
static LogicalResult verifyPromotable(Operation *op) {
  auto isNarrowValue = [](Type type) {
    return isNarrow(getElementTypeOrSelf(type));
  };
  bool seesBits =
      isa<arith::BitcastOp, tensor::BitcastOp, vector::BitCastOp>(op);
  if (seesBits && (isNarrowValue(op->getOperand(0).getType()) ||
                   isNarrowValue(op->getResult(0).getType()))) {
    return op->emitError() << "'" << op->getName()
                           << "' depends on the width of a float, so there is "
                              "no program on f64 that does the same";
  }
  for (NamedAttribute attr : op->getAttrs()) {
    auto resource = dyn_cast<DenseResourceElementsAttr>(attr.getValue());
    if (resource && isNarrow(resource.getType().getElementType())) {
      return op->emitError() << "'" << attr.getName().getValue()
                             << "' is a resource of narrow floats, which has "
                                "no copy in f64; write it as dense elements";
    }
  }
  return success();
}

namespace {
struct PromoteToF64Pass : attn::impl::PromoteToF64PassBase<PromoteToF64Pass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    WalkResult checked = module.walk([](Operation *op) {
      return failed(verifyPromotable(op)) ? WalkResult::interrupt()
                                          : WalkResult::advance();
    });
    if (checked.wasInterrupted()) {
      return signalPassFailure();
    }
    // The rounding of a contraction's operand goes with the narrow type.
    module.walk([](AggregateOp op) { op.removeOperandTypeAttr(); });
    AttrTypeReplacer replacer = makeReplacer(&getContext());
    replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
    SmallVector<Operation *> casts;
    module.walk([&](Operation *op) {
      if (isIdentityCast(op)) {
        casts.push_back(op);
      }
    });
    for (Operation *op : casts) {
      op->getResult(0).replaceAllUsesWith(op->getOperand(0));
      op->erase();
    }
  }
};
} // namespace
