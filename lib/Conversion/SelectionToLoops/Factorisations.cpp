//===- Factorisations.cpp - solve, Cholesky and QR ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Right-looking algorithms, one matrix at a time in scratch of the accumulation
// type: as soon as a row (a column, a reflection) is known it is taken out of
// all that follow, and the innermost loop runs along a row of memory.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::selection;

static Value mulF(Emit &e, Value a, Value b) {
  return arith::MulFOp::create(e, a, b);
}
static Value subF(Emit &e, Value a, Value b) {
  return arith::SubFOp::create(e, a, b);
}
static Value addF(Emit &e, Value a, Value b) {
  return arith::AddFOp::create(e, a, b);
}
static Value divF(Emit &e, Value a, Value b) {
  return arith::DivFOp::create(e, a, b);
}

static SmallVector<Value> element(ValueRange row, Value i, Value j) {
  SmallVector<Value> at(row);
  at.push_back(i);
  at.push_back(j);
  return at;
}

/// Copies the matrix at `row` of `from` to scratch or back, converting.
static void copyMatrix(Lowering &e, Value rows, Value columns,
                       llvm::function_ref<Value(Value, Value)> load, Value to,
                       ValueRange row) {
  Type type = cast<MemRefType>(to.getType()).getElementType();
  e.forEach({rows, columns}, [&](ValueRange at) {
    e.store(e.convertFloat(load(at[0], at[1]), type), to,
            element(row, at[0], at[1]));
  });
}

//===----------------------------------------------------------------------===//
// attn.solve
//===----------------------------------------------------------------------===//

void selection::lower(SolveOp op) {
  Lowering e(op);
  bool right = op.getRight();
  // X op(A) = B is op(A)^T X^T = B^T.
  bool transposed = op.getTransposed() != right;
  bool forward = (op.getTriangle() == Triangle::Lower) != transposed;
  SmallVector<Value> extents = e.extents(op.getRhs());
  Value columns = extents.pop_back_val(), rows = extents.pop_back_val();
  Value order = right ? columns : rows, others = right ? rows : columns;
  Value matrix = e.read(op.getMatrix()), rhs = e.read(op.getRhs());
  Value result = e.allocate(op->getResult(0));
  Type type = getAccumulationType(getElementTypeOrSelf(op.getRhs().getType()));
  Value work = e.mul(e.mul(order, order), others);
  Value zero = e.index(0);
  e.forEachRow(
      extents, work, {{type, {rows, columns}}},
      [&](ValueRange row, ValueRange scratch) {
        Value x = scratch.front();
        copyMatrix(
            e, rows, columns,
            [&](Value i, Value j) { return e.load(rhs, element(row, i, j)); },
            x, {});
        auto coefficient = [&](Value i, Value k) {
          Value a = e.load(matrix, transposed ? element(row, k, i)
                                              : element(row, i, k));
          return e.convertFloat(a, type);
        };
        auto at = [&](Value i, Value c) -> SmallVector<Value> {
          return right ? SmallVector<Value>{c, i} : SmallVector<Value>{i, c};
        };
        auto divide = [&](Value k, Value c) {
          if (!op.getUnit()) {
            e.store(divF(e, e.load(x, at(k, c)), coefficient(k, k)), x,
                    at(k, c));
          }
        };
        auto eliminate = [&](Value i, Value k, Value c) {
          Value product = mulF(e, coefficient(i, k), e.load(x, at(k, c)));
          e.store(subF(e, e.load(x, at(i, c)), product), x, at(i, c));
        };
        auto forUnknown = [&](llvm::function_ref<void(Value, Value, Value)> f) {
          e.loop(zero, order, 1, [&](Value n) {
            Value k = forward ? n : e.sub(e.sub(order, 1), n);
            f(k, forward ? e.add(k, 1) : zero, forward ? order : k);
          });
        };
        if (right) {
          e.loop(zero, others, 1, [&](Value c) {
            forUnknown([&](Value k, Value begin, Value end) {
              divide(k, c);
              e.loop(begin, end, 1, [&](Value i) { eliminate(i, k, c); });
            });
          });
        } else {
          forUnknown([&](Value k, Value begin, Value end) {
            e.loop(zero, others, 1, [&](Value c) { divide(k, c); });
            e.loop(begin, end, 1, [&](Value i) {
              e.loop(zero, others, 1, [&](Value c) { eliminate(i, k, c); });
            });
          });
        }
        copyMatrix(
            e, rows, columns,
            [&](Value i, Value j) { return e.load(x, {i, j}); }, result, row);
      });
  e.finish();
}

//===----------------------------------------------------------------------===//
// attn.cholesky
//===----------------------------------------------------------------------===//

void selection::lower(CholeskyOp op) {
  Lowering e(op);
  SmallVector<Value> extents = e.extents(op.getMatrix());
  Value n = extents.pop_back_val();
  extents.pop_back();
  Value matrix = e.read(op.getMatrix());
  Value result = e.allocate(op->getResult(0));
  Type type =
      getAccumulationType(getElementTypeOrSelf(op.getMatrix().getType()));
  Value zero = e.index(0), none = e.zero(type);
  Value invalid = e.constant(type, std::numeric_limits<double>::quiet_NaN());
  e.forEachRow(
      extents, e.mul(e.mul(n, n), n), {{type, {n, n}}},
      [&](ValueRange row, ValueRange scratch) {
        // U = L^T, so that what follows a pivot lies in its row.
        Value u = scratch.front();
        copyMatrix(e, n, n,
                   [&](Value i, Value j) {
                     Value upper = e.less(j, i);
                     Value a =
                         e.load(matrix, element(row, e.max(i, j), e.min(i, j)));
                     return e.select(upper, none, e.convertFloat(a, type));
                   },
                   u, {});
        e.loop(zero, n, 1, [&](Value k) {
          Value square = e.load(u, {k, k}), next = e.add(k, 1);
          Value isPositive =
              arith::CmpFOp::create(e, arith::CmpFPredicate::OGT, square, none);
          Value pivot =
              e.select(isPositive, math::SqrtOp::create(e, square), invalid);
          e.store(pivot, u, {k, k});
          e.loop(next, n, 1, [&](Value j) {
            e.store(divF(e, e.load(u, {k, j}), pivot), u, {k, j});
          });
          e.loop(next, n, 1, [&](Value i) {
            Value factor = e.load(u, {k, i});
            e.loop(i, n, 1, [&](Value j) {
              Value product = mulF(e, factor, e.load(u, {k, j}));
              e.store(subF(e, e.load(u, {i, j}), product), u, {i, j});
            });
          });
        });
        copyMatrix(
            e, n, n, [&](Value i, Value j) { return e.load(u, {j, i}); },
            result, row);
      });
  e.finish();
}

//===----------------------------------------------------------------------===//
// attn.qr
//===----------------------------------------------------------------------===//

namespace {
/// Reflections I - tau v v^T with v = (0, ..., 0, 1, w[k+1:, k]), kept below
/// the diagonal of w.
struct Reflections {
  Lowering &e;
  Type type;
  Value w, taus, sums;
  Value rows;

  /// The reflection that maps column k of w, from row k on, to a multiple of
  /// the unit vector.
  void make(Value k);
  /// Applies reflection k to columns [from, to) of `x`.
  void apply(Value k, Value x, Value from, Value to);
};
} // namespace

void Reflections::make(Value k) {
  Value next = e.add(k, 1), none = e.zero(type), one = e.constant(type, 1);
  auto foldColumn = [&](llvm::function_ref<Value(Value, Value)> f) {
    return e.loop(k, rows, 1, none,
                  [&](Value i, ValueRange state) -> SmallVector<Value> {
                    return {f(state[0], e.load(w, {i, k}))};
                  })[0];
  };
  Value largest = foldColumn([&](Value most, Value x) -> Value {
    return arith::MaximumFOp::create(e, most, math::AbsFOp::create(e, x));
  });
  Value isZero =
      arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, largest, none);
  Value scale = e.select(isZero, one, largest);
  Value squares = foldColumn([&](Value sum, Value x) {
    Value y = divF(e, x, scale);
    return addF(e, sum, mulF(e, y, y));
  });
  Value norm = mulF(e, scale, math::SqrtOp::create(e, squares));
  Value alpha = e.load(w, {k, k});
  Value isNegative =
      arith::CmpFOp::create(e, arith::CmpFPredicate::OLT, alpha, none);
  Value beta = e.select(isNegative, norm, arith::NegFOp::create(e, norm));
  Value head = e.select(isZero, one, subF(e, alpha, beta));
  Value divisor = e.select(isZero, one, beta);
  Value tau = divF(e, subF(e, beta, alpha), divisor);
  e.store(e.select(isZero, none, tau), taus, k);
  e.store(e.select(isZero, none, beta), w, {k, k});
  e.loop(next, rows, 1, [&](Value i) {
    e.store(divF(e, e.load(w, {i, k}), head), w, {i, k});
  });
}

void Reflections::apply(Value k, Value x, Value from, Value to) {
  Value next = e.add(k, 1), tau = e.load(taus, k);
  e.loop(from, to, 1, [&](Value j) { e.store(e.load(x, {k, j}), sums, j); });
  e.loop(next, rows, 1, [&](Value i) {
    Value v = e.load(w, {i, k});
    e.loop(from, to, 1, [&](Value j) {
      Value product = mulF(e, v, e.load(x, {i, j}));
      e.store(addF(e, e.load(sums, j), product), sums, j);
    });
  });
  e.loop(from, to, 1, [&](Value j) {
    Value moved = mulF(e, tau, e.load(sums, j));
    e.store(moved, sums, j);
    e.store(subF(e, e.load(x, {k, j}), moved), x, {k, j});
  });
  e.loop(next, rows, 1, [&](Value i) {
    Value v = e.load(w, {i, k});
    e.loop(from, to, 1, [&](Value j) {
      Value product = mulF(e, v, e.load(sums, j));
      e.store(subF(e, e.load(x, {i, j}), product), x, {i, j});
    });
  });
}

void selection::lower(QROp op) {
  Lowering e(op);
  SmallVector<Value> extents = e.extents(op.getMatrix());
  Value columns = extents.pop_back_val(), rows = extents.pop_back_val();
  Value least = e.min(rows, columns);
  Value matrix = e.read(op.getMatrix());
  Value q = e.allocate(op->getResult(0)), r = e.allocate(op->getResult(1));
  Type type =
      getAccumulationType(getElementTypeOrSelf(op.getMatrix().getType()));
  Value zero = e.index(0), none = e.zero(type), one = e.constant(type, 1);
  Value work = e.mul(e.mul(rows, columns), least);
  e.forEachRow(
      extents, work,
      {{type, {rows, columns}},
       {type, {rows, least}},
       {type, {least}},
       {type, {columns}}},
      [&](ValueRange row, ValueRange scratch) {
        Value w = scratch[0], x = scratch[1];
        Reflections reflections{e, type, w, scratch[2], scratch[3], rows};
        copyMatrix(e, rows, columns,
                   [&](Value i, Value j) {
                     return e.load(matrix, element(row, i, j));
                   },
                   w, {});
        e.loop(zero, least, 1, [&](Value k) {
          reflections.make(k);
          reflections.apply(k, w, e.add(k, 1), columns);
        });
        // Q is the reflections applied to the unit matrix, the last one first.
        copyMatrix(e, rows, least,
                   [&](Value i, Value j) {
                     return e.select(e.equal(i, j), one, none);
                   },
                   x, {});
        e.loop(zero, least, 1, [&](Value n) {
          Value k = e.sub(e.sub(least, 1), n);
          reflections.apply(k, x, k, least);
        });
        // A row of R and a column of Q may change sign together.
        auto withSign = [&](Value k, Value value) {
          Value isNegative = arith::CmpFOp::create(e, arith::CmpFPredicate::OLT,
                                                   e.load(w, {k, k}), none);
          return e.select(isNegative, arith::NegFOp::create(e, value), value);
        };
        copyMatrix(
            e, rows, least,
            [&](Value i, Value j) { return withSign(j, e.load(x, {i, j})); }, q,
            row);
        copyMatrix(
            e, least, columns,
            [&](Value i, Value j) {
              return e.select(e.less(j, i), none,
                              withSign(i, e.load(w, {i, j})));
            },
            r, row);
      });
  e.finish();
}
