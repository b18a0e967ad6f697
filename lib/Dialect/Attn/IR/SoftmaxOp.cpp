//===- SoftmaxOp.cpp - attn.softmax -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/Attn.h"

using namespace mlir;
using namespace mlir::attn;

LogicalResult SoftmaxOp::verify() {
  ScoresType type = getInput().getType();
  double base = getBase().convertToDouble();
  if (!(base >= 0) || base == 1 || std::isinf(base)) {
    return emitOpError() << "C1: base is 0 (for e) or positive and not 1, got "
                         << base;
  }
  if (Value temperature = getTemperature()) {
    auto got = cast<RankedTensorType>(temperature.getType());
    bool fits = got.getRank() == 3;
    for (unsigned d = 0; fits && d < 3; ++d) {
      fits = got.getDimSize(d) == 1 || got.getDimSize(d) == type.getDim(d);
    }
    if (!fits) {
      return emitOpError()
             << "C2: temperature has shape [B or 1, H or 1, M or 1], got "
             << got;
    }
  }
  if (Value sink = getSink()) {
    auto got = cast<RankedTensorType>(sink.getType());
    if (got.getRank() != 1 ||
        (got.getDimSize(0) != 1 && got.getDimSize(0) != type.getDim(1))) {
      return emitOpError() << "C3: sink has shape [H] or [1], got " << got;
    }
  }
  return success();
}

SmallVector<OpFoldResult> SoftmaxOp::reifyScoresShape(OpBuilder &builder) {
  return getScoresShape(builder, getInput());
}
