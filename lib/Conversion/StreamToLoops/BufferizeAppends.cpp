//===- BufferizeAppends.cpp - caches written in place ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An append is the one op of the dialect that writes into what it is given.
// Whether that needs a copy is decided here, by two simple rules, and a copy is
// an error: the cache is an argument declared writable (or comes from another
// append), and nothing reads it as it was before once the append has run.
//
//   %c = attn.append %cache, %new at(%len : index)
// becomes
//   %buffer = bufferization.to_buffer %cache
//   scf.for %b, %g, %t { if 0 <= %len + %t < Nmax {
//     memref.copy %new[%b, %g, %t] to %buffer[%b, %g, %len + %t] } }
//   %c = bufferization.to_tensor %buffer restrict
//
//===----------------------------------------------------------------------===//

#include "BufferizeStreams.h"
#include "attn/Support/Buffers.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::attn;

/// The argument whose buffer an append writes, or null.
static BlockArgument getWrittenArgument(AppendOp op) {
  Value cache = op.getCache();
  while (auto before = cache.getDefiningOp<AppendOp>()) {
    cache = before.getCache();
  }
  return dyn_cast<BlockArgument>(cache);
}

LogicalResult attn::verifyInPlace(AppendOp op) {
  auto function = op->getParentOfType<FunctionOpInterface>();
  BlockArgument argument = getWrittenArgument(op);
  if (op->getParentOp() != function || !argument ||
      argument.getOwner()->getParentOp() != function) {
    InFlightDiagnostic diag =
        op.emitError("'attn.append' writes its cache in place, and here it "
                     "would be a copy");
    diag.attachNote(op.getCache().getLoc())
        << "the cache must be an argument of the function, or the result of "
           "another append of the same block";
    return diag;
  }
  auto writable = function.getArgAttrOfType<BoolAttr>(
      argument.getArgNumber(),
      bufferization::BufferizationDialect::kWritableAttrName);
  if (!writable || !writable.getValue()) {
    return op.emitError("'attn.append' writes argument ")
           << argument.getArgNumber()
           << " in place; declare it with bufferization.writable = true";
  }
  for (Operation *user : op.getCache().getUsers()) {
    Operation *top = op->getBlock()->findAncestorOpInBlock(*user);
    if (top == op || isa<tensor::DimOp>(user) || top->isBeforeInBlock(op)) {
      continue;
    }
    InFlightDiagnostic diag =
        op.emitError("'attn.append' writes its cache in place, but the cache "
                     "as it was before is read later; read the result of the "
                     "append instead");
    diag.attachNote(top->getLoc()) << "read here";
    return diag;
  }
  return success();
}

namespace {
/// Writes the loops of one append.
class AppendWriter {
public:
  explicit AppendWriter(AppendOp op) : op(op), b(op), loc(op.getLoc()) {}
  void run();

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value extent(Value buffer, int64_t dim) {
    return memref::DimOp::create(b, loc, buffer, dim);
  }
  Value load(Value buffer, ValueRange at) {
    Value x = memref::LoadOp::create(b, loc, buffer, at);
    return x.getType().isIndex()
               ? x
               : arith::IndexCastOp::create(b, loc, b.getIndexType(), x)
                     .getResult();
  }
  Value input(Value tensor) {
    return tensor ? getReadOnlyBuffer(b, loc, tensor) : Value();
  }
  /// Opens a loop, or a branch for 0 <= x < limit; the rest is written inside.
  Value open(Value limit) {
    auto loop = scf::ForOp::create(b, loc, index(0), limit, index(1));
    b.setInsertionPointToStart(loop.getBody());
    return loop.getInductionVar();
  }
  void openInside(Value x, Value limit) {
    // A negative number is a large one without a sign.
    Value inside =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, x, limit);
    auto branch = scf::IfOp::create(b, loc, inside, /*withElse=*/false);
    b.setInsertionPointToStart(branch.thenBlock());
  }
  void writeRows(Value cache, Value rows, Value table, Value at);

  AppendOp op;
  OpBuilder b;
  Location loc;
};
} // namespace

void AppendWriter::writeRows(Value cache, Value rows, Value table, Value at) {
  OpBuilder::InsertionGuard guard(b);
  bool slotsFirst = op.getLayout() == PoolLayout::SlotsFirst;
  Value first = op.getAt();
  Value sequence = open(extent(rows, 0));
  if (at) {
    bool one = cast<MemRefType>(at.getType()).getDimSize(0) == 1;
    first = load(at, one ? index(0) : sequence);
  }
  Value head = open(extent(rows, 1)), t = open(extent(rows, 2));
  Value position = arith::AddIOp::create(b, loc, first, t);
  SmallVector<Value> place{sequence, head, position};
  if (!table) {
    openInside(position, extent(cache, 2));
  } else {
    Value slots = extent(cache, slotsFirst ? 1 : 2);
    openInside(position,
               arith::MulIOp::create(b, loc, slots, extent(table, 1)));
    Value block = arith::DivUIOp::create(b, loc, position, slots);
    Value slot = arith::RemUIOp::create(b, loc, position, slots);
    Value page = load(table, {sequence, block});
    openInside(page, extent(cache, 0));
    place = slotsFirst ? SmallVector<Value>{page, slot, head}
                       : SmallVector<Value>{page, head, slot};
  }
  Value d = open(extent(rows, 3));
  place.push_back(d);
  Value x =
      memref::LoadOp::create(b, loc, rows, ValueRange{sequence, head, t, d});
  memref::StoreOp::create(b, loc, x, cache, place);
}

void AppendWriter::run() {
  auto type = op.getCache().getType();
  // An append before this one has made the buffer.
  auto before = op.getCache().getDefiningOp<bufferization::ToTensorOp>();
  Value cache = before ? before.getBuffer()
                       : bufferization::ToBufferOp::create(
                             b, loc, getBufferType(type), op.getCache(),
                             /*read_only=*/false)
                             .getResult();
  Value at =
      isa<RankedTensorType>(op.getAt().getType()) ? input(op.getAt()) : Value();
  writeRows(cache, input(op.getNewRows()), input(op.getTable()), at);
  op.replaceAllUsesWith(bufferization::ToTensorOp::create(b, loc, type, cache,
                                                          /*restrict=*/true,
                                                          /*writable=*/false)
                            .getResult());
  op.erase();
}

void attn::bufferizeAppend(AppendOp op) { AppendWriter(op).run(); }
