//===- BulkOps.cpp - copies of bulk, and fences between proxies -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What caches are to do is of no matter on the host.
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "attn_emulator.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

/// The blocks that a copy goes to; 0 for that of the address.
static Value getBlocks(Calls &calls, Value mask) {
  return mask ? LLVM::ZExtOp::create(calls, calls.getI32Type(), mask)
              : calls.constant(0);
}

static void replaceLoad(NVVM::CpAsyncBulkGlobalToSharedClusterOp op,
                        Calls &calls) {
  calls.call("attn_emulator_bulk_load", {},
             {op.getDstMem(), op.getSrcMem(), op.getMbar(), op.getSize(),
              getBlocks(calls, op.getMulticastMask()), calls.site()});
  op->erase();
}

static void replaceStore(NVVM::CpAsyncBulkSharedCTAToGlobalOp op,
                         Calls &calls) {
  constexpr int32_t kAllBytes = 0xffff;
  Value mask = op.getByteMask();
  mask = mask ? LLVM::ZExtOp::create(calls, calls.getI32Type(), mask)
              : calls.constant(kAllBytes);
  calls.call(
      "attn_emulator_bulk_store", {},
      {op.getDstMem(), op.getSrcMem(), op.getSize(), mask, calls.site()});
  op->erase();
}

/// The index of each dimension, in memory of the thread.
static Value storeCoordinates(Calls &calls, ValueRange coordinates) {
  constexpr int64_t kMaxRank = 5;
  Value registers = calls.registers(kMaxRank);
  for (auto [k, coordinate] : llvm::enumerate(coordinates)) {
    LLVM::StoreOp::create(calls, coordinate,
                          calls.registerAt(registers, static_cast<int64_t>(k)));
  }
  return registers;
}

static Value countCoordinates(Calls &calls, ValueRange coordinates) {
  return calls.constant(static_cast<int32_t>(coordinates.size()));
}

static LogicalResult
replaceTensorLoad(NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp op,
                  Calls &calls) {
  if (op.getPredicate() || op.getGroup() ||
      op.getMode() != NVVM::TMALoadMode::TILE) {
    return op.emitOpError(
        "is emulated for tiles alone, without a predicate or a "
        "group");
  }
  calls.call("attn_emulator_tensor_load", {},
             {op.getDstMem(), op.getTmaDescriptor(), op.getMbar(),
              storeCoordinates(calls, op.getCoordinates()),
              countCoordinates(calls, op.getCoordinates()),
              getBlocks(calls, op.getMulticastMask()), calls.site()});
  op->erase();
  return success();
}

/// A store or a reduction.
template <typename Op>
static LogicalResult replaceTensorStore(Op op, Calls &calls,
                                        int32_t reduction) {
  if (op.getMode() != NVVM::TMAStoreMode::TILE) {
    return op.emitOpError("is emulated for tiles alone");
  }
  calls.call("attn_emulator_tensor_store", {},
             {op.getTmaDescriptor(), op.getSrcMem(),
              storeCoordinates(calls, op.getCoordinates()),
              countCoordinates(calls, op.getCoordinates()),
              calls.constant(reduction), calls.site()});
  op->erase();
  return success();
}

FailureOr<bool> emulator::replaceBulkOp(Operation *op, Calls &calls) {
  auto toResult = [](LogicalResult result) -> FailureOr<bool> {
    return failed(result) ? FailureOr<bool>(failure()) : true;
  };
  return TypeSwitch<Operation *, FailureOr<bool>>(op)
      .Case([&](NVVM::CpAsyncBulkGlobalToSharedClusterOp load) {
        replaceLoad(load, calls);
        return true;
      })
      .Case([&](NVVM::CpAsyncBulkSharedCTAToGlobalOp store) {
        replaceStore(store, calls);
        return true;
      })
      .Case([&](NVVM::CpAsyncBulkCommitGroupOp) {
        calls.call("attn_emulator_bulk_commit", {}, {});
        op->erase();
        return true;
      })
      .Case([&](NVVM::CpAsyncBulkWaitGroupOp wait) {
        calls.call("attn_emulator_bulk_wait", {},
                   {calls.constant(static_cast<int32_t>(wait.getGroup())),
                    calls.constant(wait.getRead().value_or(false))});
        op->erase();
        return true;
      })
      .Case([&](NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp load) {
        return toResult(replaceTensorLoad(load, calls));
      })
      .Case([&](NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp store)
                -> FailureOr<bool> {
        if (store.getPredicate()) {
          return store.emitOpError("is emulated without a predicate alone");
        }
        return toResult(
            replaceTensorStore(store, calls, ATTN_EMULATOR_TENSOR_STORE));
      })
      .Case([&](NVVM::CpAsyncBulkTensorReduceOp reduce) {
        return toResult(replaceTensorStore(
            reduce, calls, static_cast<int32_t>(reduce.getRedKind())));
      })
      // Order in global memory is not modelled.
      .Case([&](NVVM::FenceProxyOp fence) {
        if (fence.getKind() == NVVM::ProxyKind::async ||
            fence.getKind() == NVVM::ProxyKind::async_shared) {
          calls.call("attn_emulator_fence_async", {}, {});
        }
        op->erase();
        return true;
      })
      .Case([&](NVVM::FenceMbarrierInitOp) {
        calls.call("attn_emulator_fence_mbarrier_init", {}, {});
        op->erase();
        return true;
      })
      // Hints.
      .Case<NVVM::CpAsyncBulkPrefetchOp, NVVM::CpAsyncBulkTensorPrefetchOp>(
          [&](auto) {
            op->erase();
            return true;
          })
      .Default([](Operation *) { return false; });
}
