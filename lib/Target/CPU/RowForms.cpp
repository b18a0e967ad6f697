//===- RowForms.cpp - kernels for one row beside those for many -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decoding asks a program for one row that prefilling asked for many. The two
// want other kernels: keys of few rows are read where they are, those of many
// are packed. Where the number of rows is not known and one row would be done
// in place, both forms are made, and the number decides:
//
//   attn.stream rows (...) in [%B, %H, %M] ...
//   ->
//   scf.if (%M == 1) { attn.stream rows (...) in [%B, %H, 1] ... }
//   else             { attn.stream rows (...) in [%B, %H, %M] ... }
//
// Each costs its time to compile. Rows that are as many as the keys, as in
// self-attention, are not one, and need no second form.
//
//===----------------------------------------------------------------------===//

#include "Outline.h"
#include "StreamAnalysis.h"
#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Support/Emit.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// The axis of an argument of the program that an extent is, if it is one.
static std::optional<std::pair<BlockArgument, int64_t>> getAxis(Value extent) {
  auto dim = extent.getDefiningOp<memref::DimOp>();
  auto argument = dim ? dyn_cast<BlockArgument>(dim.getSource()) : nullptr;
  std::optional<int64_t> axis = dim ? dim.getConstantIndex() : std::nullopt;
  if (!axis || !argument ||
      !isa<func::FuncOp>(argument.getOwner()->getParentOp())) {
    return std::nullopt;
  }
  return std::make_pair(argument, *axis);
}

/// The name that the program gives an axis; empty without one.
static StringRef getName(BlockArgument argument, int64_t axis) {
  auto func = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  auto names =
      func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "attn.dims");
  auto name = names && axis < static_cast<int64_t>(names.size())
                  ? dyn_cast<StringAttr>(names[axis])
                  : nullptr;
  return name ? name.getValue() : StringRef();
}

/// Whether rows are as many as keys, or nothing says that they are not: both
/// were computed.
static bool isSquare(StreamOp stream) {
  auto rows = getAxis(stream.getRows()), keys = getAxis(stream.getExtent());
  if (stream.getRows() == stream.getExtent() || (!rows && !keys)) {
    return true;
  }
  StringRef name = rows ? getName(rows->first, rows->second) : StringRef();
  return keys && !name.empty() && name == getName(keys->first, keys->second);
}

/// Whether one row of `stream` is done in place. Says nothing of what stops it.
static bool isDirect(StreamOp stream, const TargetInfo &target) {
  ScopedDiagnosticHandler silent(stream.getContext(),
                                 [](Diagnostic &) { return success(); });
  StreamAnalysis analysis(stream, target, /*sharesScores=*/false);
  return succeeded(analysis.run()) &&
         llvm::any_of(analysis.getSweeps(), [&](SweepPlan &plan) {
           return llvm::any_of(plan.contractions,
                               [&](const Contraction &contraction) {
                                 return analysis.isDirect(contraction);
                               });
         });
}

StreamOp cpu::addOneRowForm(StreamOp stream, const TargetInfo &target) {
  Value rows = stream.getRows();
  if (getConstantIntValue(rows) || isSquare(stream)) {
    return {};
  }
  Emit e(stream.getLoc(), stream);
  auto form = cast<StreamOp>(e.clone(*stream));
  form.getRowsMutable().assign(e.index(1));
  if (!isDirect(form, target)) {
    form.erase();
    return {};
  }
  e.setInsertionPoint(stream);
  auto choice = scf::IfOp::create(e, e.equal(rows, e.index(1)),
                                  /*withElseRegion=*/true);
  form->moveBefore(choice.thenYield());
  stream->moveBefore(choice.elseYield());
  return form;
}
