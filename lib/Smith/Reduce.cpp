//===- Reduce.cpp - smaller programs that fail alike ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Greedy: every change is tried on a copy, and kept if the copy verifies and
// is still interesting. Changes that give a program that was tried before cost
// nothing.
//
//===----------------------------------------------------------------------===//

#include "attn/Smith/Reduce.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Iterators.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::attn;

void attn::removeDeadCode(ModuleOp module) {
  module.walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (!isa<ModuleOp, func::FuncOp>(op) && isOpTriviallyDead(op)) {
      op->erase();
    }
  });
  module.walk([](func::FuncOp func) {
    if (func.isExternal()) {
      return;
    }
    llvm::BitVector unused(func.getNumArguments());
    for (BlockArgument argument : func.getArguments()) {
      if (argument.use_empty()) {
        unused.set(argument.getArgNumber());
      }
    }
    (void)func.eraseArguments(unused);
  });
}

int64_t attn::countOps(ModuleOp module) {
  int64_t count = 0;
  module.walk([&](Operation *op) {
    count += !isa<ModuleOp, func::FuncOp, func::ReturnOp>(op);
  });
  return count;
}

static std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  OpPrintingFlags flags;
  flags.assumeVerified();
  module->print(os, flags);
  return text;
}

namespace {
class Reducer {
public:
  Reducer(OwningOpRef<ModuleOp> module, Interesting isInteresting,
          Accepted accepted)
      : module(std::move(module)), isInteresting(isInteresting),
        accepted(accepted) {
    tried.insert(print(*this->module));
  }

  /// Tries every change of a move; whether one was kept.
  bool run(const ReductionMove &move) {
    bool changed = false;
    // From the last on: what is near the results goes first.
    for (size_t left = count(move, *module); left > 0;) {
      --left;
      if (tryChange(move, left)) {
        changed = true;
        left = std::min(left + 1, count(move, *module));
      }
    }
    return changed;
  }

  OwningOpRef<ModuleOp> take() { return std::move(module); }

private:
  static size_t count(const ReductionMove &move, ModuleOp module) {
    SmallVector<std::function<void()>> changes;
    move.collect(module, changes);
    return changes.size();
  }

  bool tryChange(const ReductionMove &move, size_t index) {
    OwningOpRef<ModuleOp> copy(module->clone());
    SmallVector<std::function<void()>> changes;
    move.collect(*copy, changes);
    changes[index]();
    // Whatever a change breaks is dropped again without a word.
    ScopedDiagnosticHandler quiet(copy->getContext(),
                                  [](Diagnostic &) { return success(); });
    removeDeadCode(*copy);
    if (failed(verify(*copy))) {
      return false;
    }
    // The parser asks more than the verifier: that operands are there at all,
    // and that constants are what their types say. What it read goes on.
    std::string text = print(*copy);
    if (!tried.insert(text).second) {
      return false;
    }
    auto read = parseSourceString<ModuleOp>(text, copy->getContext());
    if (!read || !isInteresting(*read)) {
      return false;
    }
    module = std::move(read);
    accepted(move.name, *module);
    return true;
  }

  OwningOpRef<ModuleOp> module;
  Interesting isInteresting;
  Accepted accepted;
  llvm::StringSet<> tried;
};
} // namespace

OwningOpRef<ModuleOp> attn::reduceProgram(OwningOpRef<ModuleOp> module,
                                          Interesting isInteresting,
                                          Accepted accepted) {
  Reducer reducer(std::move(module), isInteresting, accepted);
  bool changed = true;
  while (changed) {
    changed = false;
    for (const ReductionMove &move : getReductionMoves()) {
      changed |= reducer.run(move);
    }
  }
  return reducer.take();
}
