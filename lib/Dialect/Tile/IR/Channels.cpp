//===- Channels.cpp - tiles on their way ----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::tile;

//===----------------------------------------------------------------------===//
// Builders
//===----------------------------------------------------------------------===//

SmallVector<Type> ChannelOp::getMatrixTypes() {
  return llvm::map_to_vector(getRings().getTypes(), [](Type ring) -> Type {
    return isRing(ring) ? getMatrix(cast<MemRefType>(ring)) : ring;
  });
}

void ChannelOp::build(OpBuilder &builder, OperationState &state, int64_t depth,
                      ValueRange rings) {
  build(builder, state, ChannelType::get(builder.getContext()),
        PositionType::get(builder.getContext()), depth, rings);
}

void AcquireOp::build(OpBuilder &builder, OperationState &state,
                      ChannelOp channel, Value position) {
  build(builder, state, channel.getMatrixTypes(), channel.getChannel(),
        position);
}

void WaitOp::build(OpBuilder &builder, OperationState &state, ChannelOp channel,
                   Value position, int64_t later, Value needed) {
  build(builder, state, channel.getMatrixTypes(), channel.getChannel(),
        position, later, needed);
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult ChannelOp::verify() {
  auto depth = static_cast<int64_t>(getDepth());
  auto fits = [&](Value ring) {
    return ring.getDefiningOp<SharedOp>() &&
           (isRing(ring.getType())
                ? cast<MemRefType>(ring.getType()).getDimSize(0) == depth
                : depth == 1);
  };
  if (depth < 1 || !llvm::all_of(getRings(), fits)) {
    return emitOpError()
           << "of depth " << depth
           << " takes rings of as many matrices, from tile.shared";
  }
  return success();
}

/// Checks what `op` says of its channel.
template <typename Op> static LogicalResult verifyMatrices(Op op) {
  auto channel = op.getChannel().template getDefiningOp<ChannelOp>();
  if (!channel ||
      TypeRange(op.getMatrices()) != TypeRange(channel.getMatrixTypes())) {
    return op.emitOpError() << "gives a matrix of each ring of a tile.channel";
  }
  return success();
}

/// Whether each way from `opening` comes to a `Closing` of the same stage.
template <typename Closing, typename Opening>
static bool isClosed(Opening opening) {
  return llvm::any_of(opening.getPosition().getUsers(), [&](Operation *user) {
    auto closing = dyn_cast<Closing>(user);
    Operation *before =
        closing ? closing->getBlock()->findAncestorOpInBlock(*opening)
                : nullptr;
    return before && before->isBeforeInBlock(closing) &&
           closing.getChannel() == opening.getChannel();
  });
}

/// Whether `closing` ends what an `Opening` of the same stage begins.
template <typename Opening, typename Closing>
static bool isOpened(Closing closing) {
  return llvm::any_of(closing.getPosition().getUsers(), [&](Operation *user) {
    auto opening = dyn_cast<Opening>(user);
    return opening && opening.getChannel() == closing.getChannel();
  });
}

LogicalResult AcquireOp::verify() {
  if (!isClosed<CommitOp>(*this)) {
    return emitOpError() << "is not followed by a tile.commit at its position";
  }
  return verifyMatrices(*this);
}

LogicalResult CommitOp::verify() {
  if (!isOpened<AcquireOp>(*this)) {
    return emitOpError() << "is at a position that no tile.acquire is at";
  }
  return success();
}

LogicalResult WaitOp::verify() {
  if (!isClosed<ReleaseOp>(*this)) {
    return emitOpError() << "is not followed by a tile.release at its position";
  }
  if (failed(verifyMatrices(*this))) {
    return failure();
  }
  auto depth =
      static_cast<int64_t>(getChannel().getDefiningOp<ChannelOp>().getDepth());
  auto later = static_cast<int64_t>(getLater());
  if (later < 0 || later >= depth) {
    return emitOpError() << "has " << later
                         << " later stages in a channel of depth " << depth;
  }
  return success();
}

LogicalResult ReleaseOp::verify() {
  if (!isOpened<WaitOp>(*this)) {
    return emitOpError() << "is at a position that no tile.wait is at";
  }
  return success();
}
