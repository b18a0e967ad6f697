//===- TileBins.cpp - sums of entries by bins, by tiles -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The bins of a row are a row of a shared matrix while a sweep goes through its
// keys; a tally is where the stream stores it, as many blocks of threads may
// have a part of it. Entries are joined to either by atomic operations:
//
//   %t = attn.bins sum %x in %bin if %p rows %r -> !attn.tally<f32>
//   ->
//   tile.scatter add %x, %out[%b, %h, %i div %r, %bin] if %p and 0 <= %bin < n
//
//===----------------------------------------------------------------------===//

#include "../../Conversion/StreamToLoops/Selection.h"
#include "TileKernel.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

static int64_t countBins(BinsOp op) {
  return cast<VectorType>(op.getType()).getNumElements();
}

void TileKernel::startBins(BinsOp op) {
  if (op.isTally()) {
    return; // the output starts as that of no entries
  }
  Type element = op.getElementType();
  Extent features{/*row=*/true, /*key=*/false, /*feature=*/true};
  RankedTensorType type = typeOf(element, features, countBins(op));
  Value &matrix = bins[op];
  matrix = getShared(shape.rows, type.getDimSize(1), element);
  tile::StashOp::create(e, splat(loops::getNeutral(e, op), type), matrix);
  gpu::BarrierOp::create(e);
}

/// All indices of an output but that of the bin.
SmallVector<Value> TileKernel::getTallyIndices(BinsOp op) {
  Extent entries{/*row=*/true, /*key=*/true}, rows{/*row=*/true};
  SmallVector<Value> at = {uniform.lookup(stream.getBatchArg())};
  Extent ofHead = extentOf(stream.getHeadArg());
  Value head = lift(stream.getHeadArg(), ofHead);
  at.push_back(ofHead.isUniform() ? head : liftTile(head, ofHead, entries, 0));
  Value row = lift(stream.getRowArg(), rows);
  if (Value block = op.getRowBlock()) {
    row = arith::DivUIOp::create(e, row, lift(block, rows));
  }
  at.push_back(liftTile(row, rows, entries, 0));
  return at;
}

LogicalResult TileKernel::updateBins(BinsOp op) {
  Extent entries{/*row=*/true, /*key=*/true}, rows{/*row=*/true};
  Type element = op.getElementType();
  RankedTensorType type = typeOf(element, entries);
  RankedTensorType index = type.clone(e.getIndexType());
  Value x = op.getValue() ? lift(op.getValue(), entries)
                          : splat(e.constant64(1), type);
  auto kind = op.getKind() == CarryKind::Max   ? tile::ReduceKind::Max
              : op.getKind() == CarryKind::Min ? tile::ReduceKind::Min
                                               : tile::ReduceKind::Add;
  Value bin = lift(op.getBin(), entries);
  Value inside = e.less(splat(e.index(-1), index), bin);
  inside =
      e.both(inside, liftTile(getMask(rows, typeOf(e.getI1Type(), rows), 0),
                              rows, entries, 0));
  if (Value present = getPresence(op.getCond())) {
    inside = e.both(inside, present);
  }
  auto scatter = [&](Value target, SmallVector<Value> at, Value count) {
    at.push_back(bin);
    tile::ScatterOp::create(e, kind, x, target, at,
                            e.both(inside, e.less(bin, splat(count, index))));
  };
  if (!op.isTally()) {
    scatter(bins[op], {tile::IotaOp::create(e, index, 0)},
            e.index(countBins(op)));
    return success();
  }
  for (unsigned number : op.getOutputs()) {
    Value output = outputs[number];
    scatter(output, getTallyIndices(op),
            memref::DimOp::create(e, output, e.index(3)));
  }
  return success();
}

Value TileKernel::finishBins(BinsOp op) {
  Extent features{/*row=*/true, /*key=*/false, /*feature=*/true};
  RankedTensorType type = typeOf(op.getElementType(), features, countBins(op));
  gpu::BarrierOp::create(e);
  return tile::FetchOp::create(e, type, bins[op]);
}
