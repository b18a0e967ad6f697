//===- Products.cpp - entries that are sums of products -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sweep inside of an entry (attn.matmul) is a product of matrices that are
// themselves computed entry by entry. Their tiles are filled, for a stretch of
// the shared axis at a time, by the code that fills any tile, seen from their
// own rows and keys, and multiplied by the microkernel:
//
//   for k0 in the shared axis, by 64:
//     A[rows][64]       lanes along k     (its keys are the shared axis)
//     B[64][keys]       lanes along j     (its rows are the shared axis)
//     S[rows][keys] += A B
//
// Absent entries are zeros. Where a tile holds an infinity or a NaN, which a
// zero on the other side would not keep out, it is filled again with marks and
// multiplied entry by entry.
//
//===----------------------------------------------------------------------===//

#include "Sweep.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// Fills out[rows][columns of the tile] with the factor, `absent` (as bits)
/// where it is not present. Returns whether a present entry is not finite.
Value Kernel::emitFactor(KernelState &kernel, FactorPlan &factor, Tile &tile,
                         Value out, Value absent, RowLoop rows) {
  Type element = cast<MemRefType>(out.getType()).getElementType();
  auto type = VectorType::get({kernel.lanes}, element);
  Value flag = scratch.get({kernel.lanes}, element);
  Value zero = e.index(0);
  e.storeVector(e.constant(type, 0), flag, zero);
  rows([&](Scope &row, Value r) {
    e.loop(tile.firstColumn, tile.columns, kernel.lanes, [&](Value c) {
      Entries entries(row, tile, r, c);
      Value product = e.constant(type, 1);
      for (auto [k, value] : llvm::enumerate(factor.values)) {
        Value x = entries.get(value);
        product = k ? arith::MulFOp::create(e, product, x).getResult() : x;
      }
      Value present = entries.getPresence({});
      for (Value condition : factor.conditions) {
        present = e.both(present, entries.get(condition));
      }
      // x - x is 0 for finite x and NaN otherwise, and NaN stays.
      Value difference = arith::SubFOp::create(e, product, product);
      difference = e.select(present, difference, e.constant(type, 0));
      Value seen = e.loadVector(flag, zero, kernel.lanes);
      e.storeVector(arith::AddFOp::create(e, seen, difference), flag, zero);
      Value nothing = e.broadcast(e.fromBits(absent, element), kernel.lanes);
      e.storeVector(e.select(present, product, nothing), out, {r, c});
    });
  });
  Value total = vector::ReductionOp::create(
      e, vector::CombiningKind::ADD, e.loadVector(flag, zero, kernel.lanes),
      arith::FastMathFlags::reassoc);
  return arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, total, total);
}

void Kernel::emitProducts(KernelState &kernel, Scope &scope, Tile &tile,
                          RowLoop rows) {
  for (auto &product : tile.plan.products) {
    emitMatmul(kernel, scope, tile, *product, rows);
  }
}

void Kernel::emitMatmul(KernelState &kernel, Scope &scope, Tile &tile,
                        ProductPlan &product, RowLoop rows) {
  constexpr int64_t depth = 64;
  const TargetInfo &target = kernel.target;
  int64_t lanes = kernel.lanes, panel = target.kernelVectors * lanes;
  Value out = tile.buffers.lookup(product.op.getResult(0));
  auto shape = cast<MemRefType>(out.getType()).getShape();
  Type element = cast<MemRefType>(out.getType()).getElementType();
  auto type = VectorType::get({lanes}, element);
  Value a = scratch.get({shape[0], depth}, element);
  Value b = scratch.get({depth, shape[1]}, element);
  // The rows of this kernel, and what they keep in arrays, seen by the factors.
  auto see = [&](FactorPlan &factor) {
    KernelState own(e, kernel.stream, target, *factor.analysis);
    own.rowArrays = kernel.rowArrays;
    own.rowVectors = kernel.rowVectors;
    own.tiling = kernel.tiling;
    own.allocateRow = kernel.allocateRow;
    return own;
  };
  KernelState left = see(product.ofRows), right = see(product.ofKeys);
  DenseMap<Value, Value> leftTiles, rightTiles;
  allocateEntryTiles(product.ofRows.plan, shape[0], depth, leftTiles);
  allocateEntryTiles(product.ofKeys.plan, depth, shape[1], rightTiles);
  Value zero = e.index(0), nothing = e.constant64(0);
  rows([&](Scope &, Value r) {
    e.loop(tile.firstColumn, tile.columns, lanes,
           [&](Value c) { e.storeVector(e.constant(type, 0), out, {r, c}); });
  });
  Value upper = scope.get(product.op.getUpper());
  e.loop(scope.get(product.op.getLower()), upper, depth, [&](Value first) {
    Value count = e.min(e.index(depth), e.sub(upper, first));
    Tile ofRows{product.ofRows.plan,     leftTiles,     first,          upper,
                tile.firstRow,           tile.rows,     tile.packedRow, zero,
                e.roundUp(count, lanes), tile.globalRow};
    Tile ofKeys{product.ofKeys.plan,
                rightTiles,
                tile.firstKey,
                tile.upper,
                zero,
                count,
                zero,
                tile.firstColumn,
                tile.columns,
                first};
    ofRows.rowExtent = tile.rowExtent;
    ofKeys.halo = tile.halo;
    ofKeys.table = tile.table;
    ofKeys.scattered = tile.scattered;
    auto eachRow = [&](llvm::function_ref<void(Scope &, Value)> body) {
      rows([&](Scope &row, Value r) {
        Scope place(left, &row);
        body(place, r);
      });
    };
    auto eachInner = [&](llvm::function_ref<void(Scope &, Value)> body) {
      e.loop(zero, count, 1, [&](Value k) {
        Scope place(right, &scope);
        place.bind(product.op.getKeyArg(), e.add(first, k));
        body(place, k);
      });
    };
    Scope leftScope(left, &scope), rightScope(right, &scope);
    emitPairs(left, ofRows, eachRow);
    emitProducts(left, leftScope, ofRows, eachRow);
    emitFilled(left, ofRows, 0, eachRow);
    emitPairs(right, ofKeys, eachInner);
    emitProducts(right, rightScope, ofKeys, eachInner);
    emitFilled(right, ofKeys, 0, eachInner);
    Value odd = arith::OrIOp::create(
        e, emitFactor(left, product.ofRows, ofRows, a, nothing, eachRow),
        emitFactor(right, product.ofKeys, ofKeys, b, nothing, eachInner));
    auto emitMarked = [&] {
      Value marker = e.constant64(kMarkerBits);
      emitFactor(left, product.ofRows, ofRows, a, marker, eachRow);
      emitFactor(right, product.ofKeys, ofKeys, b, marker, eachInner);
      e.loop(zero, tile.rows, 1, [&](Value r) {
        e.loop(zero, count, 1, [&](Value k) {
          Value x = e.load(a, {r, k});
          e.ifThen(isPresent(e, x), [&] {
            e.loop(tile.firstColumn, tile.columns, lanes, [&](Value c) {
              Value y = e.loadVector(b, {k, c}, lanes);
              Value sum = e.loadVector(out, {r, c}, lanes);
              Value more =
                  vector::FMAOp::create(e, e.broadcast(x, lanes), y, sum);
              e.storeVector(e.select(isPresent(e, y), more, sum), out, {r, c});
            });
          });
        });
      });
    };
    auto emitFast = [&] {
      Value lastPanel = e.div(e.add(tile.columns, panel - 1), panel);
      e.loop(e.div(tile.firstColumn, panel), lastPanel, 1, [&](Value p) {
        e.loop(zero, tile.rows, target.kernelRows, [&](Value r) {
          auto loadB = [&](Value k, int64_t v) {
            return e.loadVector(b, {k, e.add(e.mul(p, panel), v * lanes)},
                                lanes);
          };
          cpu::emitProduct(kernel,
                           {a, r, zero, count, out, r, e.mul(p, panel),
                            target.kernelVectors, /*accumulate=*/true, loadB});
        });
      });
    };
    e.ifThen(odd, emitMarked, emitFast);
  });
  state.failed |= left.failed || right.failed;
}
