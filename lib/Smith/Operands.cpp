//===- Operands.cpp - how operands are stored -----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Families.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

Tensor smith::drawOperand(Program &p, const Request &request) {
  return p.numbers(request.prefix, request.getShape(), request.element);
}
