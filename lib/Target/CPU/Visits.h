//===- Visits.h - the keys that a list makes a sweep visit ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A list may name a block twice, in any order, and blocks that do not exist.
// Before a block of rows is swept it becomes an ascending array of distinct
// units of `key_block` keys inside of the sweep's range:
//
//   list 7 3 3 -1 9, 8 units     ->     3 7
//
// A sorted list is copied; any other is marked in a map of one byte per unit.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_VISITS_H
#define ATTN_LIB_TARGET_CPU_VISITS_H

#include "Scope.h"

namespace mlir::attn::cpu {

/// Units [first, end).
struct Run {
  Value first, end;
};

/// The elements of a list as runs of units.
class ListReader {
public:
  ListReader(Scope &place, ListedOp list);
  Value getExtent() const { return extent; }
  bool hasRuns() const { return static_cast<bool>(lengths); }
  Run get(Value l);

private:
  Value load(Value buffer, Value l);

  Emit &e;
  Value source, lengths, first, extent;
  SmallVector<Value> at;
};

struct Visits {
  Value units; // [count] ascending
  Value count;
};

/// The units that `list` names in keys [lower, upper), evaluated in `place`,
/// whose row is the first of the block. To be freed by `freeVisits`.
Visits emitVisits(Scope &place, ListedOp list, Value lower, Value upper);
void freeVisits(Emit &e, const Visits &visits);

/// The same as a map of the units of keys [0, upper): 1 where the list names
/// one. To be freed with markManual.
Value emitListMap(Scope &place, ListedOp list, Value upper);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_VISITS_H
