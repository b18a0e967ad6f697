//===- Roles.cpp - warps that bring and warps that compute ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::tile;

int64_t RolesOp::countConsumers() {
  auto kernel = (*this)->getParentOfType<gpu::GPUFuncOp>();
  return (*kernel.getKnownBlockSize())[0] - countProducers();
}

RolesOp ChannelOp::getRoles() {
  for (Operation *user : getChannel().getUsers()) {
    auto roles = user->getParentOfType<RolesOp>();
    if (roles && !roles->isAncestor(*this)) {
      return roles;
    }
  }
  return nullptr;
}

/// What the producer has no business with.
static Operation *findForeignOp(RolesOp roles) {
  Operation *found = nullptr;
  roles.getProducer().walk([&](Operation *op) {
    bool holdsTiles = llvm::any_of(op->getOperandTypes(), isTile) ||
                      llvm::any_of(op->getResultTypes(), isTile);
    bool isShared = llvm::any_of(op->getOperands(), [](Value value) {
      return value.getDefiningOp<SharedOp>() != nullptr;
    });
    if (holdsTiles || isShared ||
        isa<gpu::BarrierOp, SharedOp, StageOp, FiniteOp, ArriveOp, StashOp,
            FetchOp, ChannelOp>(op)) {
      found = op;
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return found;
}

/// An op in the wrong role of a channel that comes from outside.
static Operation *findMisplacedOp(RolesOp roles) {
  Operation *found = nullptr;
  auto check = [&](Operation *op, Value value, Region &own) {
    auto channel = value.getDefiningOp<ChannelOp>();
    if (!found && channel && !roles->isAncestor(channel) &&
        !own.isAncestor(op->getParentRegion())) {
      found = op;
    }
  };
  roles.walk([&](Operation *op) {
    if (isa<AcquireOp, CommitOp>(op)) {
      check(op, op->getOperand(0), roles.getProducer());
    } else if (isa<WaitOp, ReleaseOp>(op)) {
      check(op, op->getOperand(0), roles.getConsumer());
    }
  });
  return found;
}

LogicalResult RolesOp::verifyRegions() {
  auto kernel = dyn_cast<gpu::GPUFuncOp>((*this)->getParentOp());
  if (!kernel || !kernel.getKnownBlockSize() ||
      !isa_and_present<gpu::ReturnOp>((*this)->getNextNode())) {
    return emitOpError() << "stands at the end of a kernel that says its "
                            "number of threads";
  }
  if (static_cast<int64_t>(getProducers()) < 1 ||
      countConsumers() < kWarpSize || countConsumers() % kWarpSize != 0) {
    return emitOpError() << "of " << getProducers()
                         << " producers leaves no whole warps of "
                         << (*kernel.getKnownBlockSize())[0]
                         << " threads to compute";
  }
  if (Operation *op = findForeignOp(*this)) {
    return emitOpError() << "has a '" << op->getName()
                         << "' in its producer, which only brings tiles";
  }
  if (Operation *op = findMisplacedOp(*this)) {
    return op->emitOpError()
           << "is in the wrong role: producers acquire and commit, consumers "
              "wait and release";
  }
  return success();
}
