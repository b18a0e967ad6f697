//===- BulkOps.cpp - copies of bulk, and fences between proxies -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What caches are to do is of no matter on the host. There is one block in a
// cluster, so that copies to several are refused.
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

static LogicalResult replaceLoad(NVVM::CpAsyncBulkGlobalToSharedClusterOp op,
                                 Calls &calls) {
  if (op.getMulticastMask()) {
    return op.emitOpError("is emulated without a multicast alone");
  }
  calls.call("attn_emulator_bulk_load", {},
             {op.getDstMem(), op.getSrcMem(), op.getMbar(), op.getSize(),
              calls.site()});
  op->erase();
  return success();
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

/// Fences of shared memory; order in global memory is not modelled.
static LogicalResult replaceFence(NVVM::FenceProxyOp op, Calls &calls) {
  switch (op.getKind()) {
  case NVVM::ProxyKind::async:
  case NVVM::ProxyKind::async_shared:
    calls.call("attn_emulator_fence_async", {}, {});
    break;
  case NVVM::ProxyKind::async_global:
  case NVVM::ProxyKind::alias:
    break;
  default:
    return op.emitOpError("is emulated for the async proxy alone");
  }
  op->erase();
  return success();
}

FailureOr<bool> emulator::replaceBulkOp(Operation *op, Calls &calls) {
  auto toResult = [](LogicalResult result) -> FailureOr<bool> {
    return failed(result) ? FailureOr<bool>(failure()) : true;
  };
  return TypeSwitch<Operation *, FailureOr<bool>>(op)
      .Case([&](NVVM::CpAsyncBulkGlobalToSharedClusterOp load) {
        return toResult(replaceLoad(load, calls));
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
      .Case([&](NVVM::FenceProxyOp fence) {
        return toResult(replaceFence(fence, calls));
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
