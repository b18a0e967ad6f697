//===- Microkernel.cpp - the product of packed panels ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Microkernel.h. The accumulators are separate 1-D vectors: a 2-D vector
// would be unrolled into the same, later and slower.
//
//===----------------------------------------------------------------------===//

#include "Microkernel.h"

#include "attn/Dialect/Attn/IR/KernelOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

Value cpu::multiplyAdd(Emit &e, Value a, Value b, Value acc) {
  auto type = cast<VectorType>(a.getType());
  if (!type.getElementType().isInteger(32)) {
    return vector::FMAOp::create(e, a, b, acc);
  }
  if (getElementTypeOrSelf(acc.getType()).isInteger()) {
    return QuadDotOp::create(e, a, b, acc);
  }
  auto pairs = VectorType::get({2 * type.getNumElements()}, e.getBF16Type());
  a = vector::BitCastOp::create(e, pairs, a);
  b = vector::BitCastOp::create(e, pairs, b);
  return x86vector::DotBF16Op::create(e, acc.getType(), acc, a, b);
}

void cpu::emitProduct(KernelState &kernel, const Product &product) {
  Emit &e = kernel.e;
  int64_t rows = kernel.target.kernelRows, lanes = kernel.lanes;
  Type element = cast<MemRefType>(product.out.getType()).getElementType();
  // Of the sums that are carried: those of integers may be f32 at first.
  Type operand = cast<MemRefType>(product.a.getType()).getElementType();
  bool converts = element.isInteger() && isa<FloatType>(operand);
  SmallVector<Value> outRows, aRows, accumulators;
  for (int64_t r = 0; r < rows; ++r) {
    outRows.push_back(e.add(product.outRow, r));
    aRows.push_back(e.add(product.aRow, r));
  }
  auto forEach = [&](auto body) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t v = 0; v < product.vectors; ++v) {
        body(r, v, e.add(product.outColumn, v * lanes));
      }
    }
  };
  Value zero = e.constant(VectorType::get({lanes}, element), 0);
  forEach([&](int64_t r, int64_t, Value column) {
    Value start = zero;
    if (product.accumulate) {
      start = e.loadVector(product.out, {outRows[r], column}, lanes);
    } else if (product.startsWithLast) {
      start = e.broadcast(e.load(product.a, {aRows[r], product.end}), lanes);
    }
    accumulators.push_back(start);
  });
  auto sumOver = [&](Value begin, Value end, ValueRange start) {
    return e.loop(begin, end, 1, start, [&](Value k, ValueRange carried) {
      SmallVector<Value> b, next(carried);
      for (int64_t v = 0; v < product.vectors; ++v) {
        b.push_back(product.loadB(k, v));
      }
      for (int64_t r = 0; r < rows; ++r) {
        Value a = e.broadcast(e.load(product.a, {aRows[r], k}), lanes);
        for (int64_t v = 0; v < product.vectors; ++v) {
          Value &sum = next[r * product.vectors + v];
          sum = multiplyAdd(e, a, b[v], sum);
        }
      }
      return next;
    });
  };
  SmallVector<Value> sums;
  if (converts) {
    Value nothing = e.constant(VectorType::get({lanes}, operand), 0);
    SmallVector<Value> empty(accumulators.size(), nothing);
    sums = e.loop(product.begin, product.end, kExactTerms, accumulators,
                  [&](Value first, ValueRange carried) {
                    Value end = e.min(e.add(first, kExactTerms), product.end);
                    SmallVector<Value> next;
                    for (auto [part, sum] :
                         llvm::zip(sumOver(first, end, empty), carried)) {
                      Value exact =
                          arith::FPToSIOp::create(e, zero.getType(), part);
                      next.push_back(e.add(sum, exact));
                    }
                    return next;
                  });
  } else {
    sums = sumOver(product.begin, product.end, accumulators);
  }
  forEach([&](int64_t r, int64_t v, Value column) {
    e.storeVector(sums[r * product.vectors + v], product.out,
                  {outRows[r], column});
  });
}
