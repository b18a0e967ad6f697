//===- RowLanes.cpp - row values of many rows at once ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The logarithm of a row's denominator, and the weights with which it merges
// ranges of keys, are scalars of one row, and a chain of twenty dependent
// instructions each. Rows do not wait for one another: such values are computed
// before the rows are stored, W rows in a vector.
//
//   for each row: lse[r] = m[r] + log2(l[r])
//   ->
//   for each W rows: x[r, W) = m[r, W) + log2(l[r, W))
//   for each row: lse[r] = x[r]
//
// Loads and whatever else has no lanes are written to arrays first, row by row.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

namespace {
/// What can be computed in lanes, and from what.
class Finder {
public:
  explicit Finder(KernelState &state) : state(state) {}

  /// Whether there can be lanes of `value`.
  bool visit(Value value);
  bool isCostly(Value value) const { return costly.contains(value); }
  /// What lanes of `value` need of values that are computed row by row.
  void collectLeaves(Value value, SetVector<Value> &found);

private:
  bool find(Value value);

  KernelState &state;
  DenseMap<Value, bool> known;
  DenseSet<Value> costly, inner, leaves;
};

/// Rows of the arrays of a block, as lanes.
class RowLanes {
public:
  RowLanes(Scope &block, const DenseMap<Value, Value> &arrays, Value row)
      : block(block), arrays(arrays), row(row) {}

  Value get(Value value);

private:
  Value compute(Value value);

  Scope &block;
  const DenseMap<Value, Value> &arrays;
  Value row;
  DenseMap<Value, Value> known;
};
} // namespace

bool Finder::visit(Value value) {
  if (auto found = known.find(value); found != known.end()) {
    return found->second;
  }
  bool result = find(value);
  known[value] = result;
  return result;
}

bool Finder::find(Value value) {
  Type type = value.getType();
  if (!type.isIntOrIndexOrFloat()) {
    return false;
  }
  if (state.analysis.isBlockUniform(value)) {
    return true;
  }
  // Bits in arrays are not apart in vectors.
  bool isBit = type.isInteger(1);
  if (state.rowArrays.contains(value)) {
    return !isBit;
  }
  Operation *op = value.getDefiningOp();
  bool hasLanes = op && (isElementwise(op) || isa<GuardOp>(op)) &&
                  op->getNumResults() == 1 &&
                  llvm::all_of(op->getOperands(),
                               [&](Value operand) { return visit(operand); });
  if (!hasLanes) {
    if (!isBit && op) {
      leaves.insert(value);
    }
    return !isBit && op;
  }
  bool slow = op->getName().getDialectNamespace() ==
              math::MathDialect::getDialectNamespace();
  if (slow || llvm::any_of(op->getOperands(),
                           [&](Value operand) { return isCostly(operand); })) {
    costly.insert(value);
  }
  inner.insert(value);
  return true;
}

void Finder::collectLeaves(Value value, SetVector<Value> &found) {
  if (leaves.contains(value)) {
    found.insert(value);
  } else if (inner.contains(value)) {
    for (Value operand : value.getDefiningOp()->getOperands()) {
      collectLeaves(operand, found);
    }
  }
}

Value RowLanes::get(Value value) {
  if (Value found = known.lookup(value)) {
    return found;
  }
  Value result = compute(value);
  known[value] = result;
  return result;
}

Value RowLanes::compute(Value value) {
  KernelState &state = block.kernel;
  Emit &e = state.e;
  if (state.analysis.isBlockUniform(value)) {
    return e.broadcast(block.get(value), state.lanes);
  }
  Value array = arrays.lookup(value);
  if (!array) {
    array = state.rowArrays.lookup(value);
  }
  if (array) {
    return e.loadVector(array, row, state.lanes);
  }
  Operation *op = value.getDefiningOp();
  SmallVector<Value> operands = llvm::map_to_vector(
      op->getOperands(), [&](Value operand) { return get(operand); });
  if (isa<GuardOp>(op)) {
    return emitGuard(e, operands[0]);
  }
  return cloneElementwise(e, op, operands, state.lanes)
      ->getResult(cast<OpResult>(value).getResultNumber());
}

/// Computes the costly scalars of what is stored into arrays, from which the
/// rows of the block load them.
void Kernel::fillRowValues(RowBlock &block) {
  if (state.analysis.getFewRows() || getStateRows() % state.lanes != 0) {
    return;
  }
  Finder finder(state);
  DenseSet<Value> wide;
  SmallVector<Value> values;
  Block &body = state.stream.getBody().front();
  for (Operation &op : body) {
    for (Value value : op.getResults()) {
      if (!isa<SweepOp>(op) && finder.visit(value) && finder.isCostly(value)) {
        wide.insert(value);
        values.push_back(value);
      }
    }
  }
  // Only what is used outside of lanes, bits aside, which are computed there.
  llvm::erase_if(values, [&](Value value) {
    return value.getType().isInteger(1) ||
           llvm::all_of(value.getUsers(), [&](Operation *user) {
             return user->getNumResults() == 1 &&
                    wide.contains(user->getResult(0)) &&
                    !user->getResult(0).getType().isInteger(1);
           });
  });
  if (values.empty()) {
    return;
  }
  auto makeArray = [&](Value value) {
    return kept.get({getStateRows()}, value.getType());
  };
  SetVector<Value> leaves;
  for (Value value : values) {
    finder.collectLeaves(value, leaves);
  }
  DenseMap<Value, Value> arrays;
  for (Value leaf : leaves) {
    arrays[leaf] = makeArray(leaf);
  }
  if (!leaves.empty()) {
    forEachRow(block, [&](Scope &row, Value) {
      for (Value leaf : leaves) {
        e.store(row.get(leaf), arrays[leaf], row.getBlockRow());
      }
    });
  }
  SmallVector<Value> filled = llvm::map_to_vector(values, makeArray);
  e.loop(e.index(0), block.rows, state.lanes, [&](Value r) {
    Value row = e.add(block.stateRow, r);
    RowLanes lanes(*block.scope, arrays, row);
    for (auto [value, array] : llvm::zip(values, filled)) {
      e.storeVector(lanes.get(value), array, row);
    }
  });
  for (auto [value, array] : llvm::zip(values, filled)) {
    state.rowArrays[value] = array;
  }
}
