//===- MBarrierOps.cpp - barriers in shared memory ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arrivals of all kinds are one call, and waits another:
//
//   %s = nvvm.mbarrier.arrive.expect_tx %b, %bytes
//   -> %s = llvm.call @attn_emulator_mbarrier_arrive(%b, 1, %bytes, 0, site)
//   nvvm.mbarrier.try_wait.parity %b, %phase, %ticks
//   -> llvm.call @attn_emulator_mbarrier_wait(%b, %phase, parity, site)
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "attn_emulator.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

/// Replaces an op that arrives.
static void replaceArrival(Operation *op, Calls &calls, Value address,
                           Value count, Value bytes, int32_t flags) {
  Value state = calls.call("attn_emulator_mbarrier_arrive", calls.getI64Type(),
                           {address, count ? count : calls.constant(1),
                            bytes ? bytes : calls.constant(0),
                            calls.constant(flags), calls.site()});
  if (op->getNumResults()) {
    op->replaceAllUsesWith(ValueRange{state});
  }
  op->erase();
}

/// Replaces an op that waits, for a state of 64 bits or a parity.
static void replaceWait(Operation *op, Calls &calls, Value address, Value which,
                        int32_t flags) {
  if (which.getType().isInteger(32)) {
    flags |= ATTN_EMULATOR_WAIT_PARITY;
    which = LLVM::ZExtOp::create(calls, calls.getI64Type(), which);
  }
  Value result =
      calls.call("attn_emulator_mbarrier_wait", calls.getI32Type(),
                 {address, which, calls.constant(flags), calls.site()});
  if (op->getNumResults()) {
    result = LLVM::TruncOp::create(calls, calls.getI1Type(), result);
    op->replaceAllUsesWith(ValueRange{result});
  }
  op->erase();
}

/// An op that is done under a condition.
static LogicalResult refusePredicate(Operation *op, Value predicate) {
  if (predicate) {
    return op->emitOpError("is emulated without a predicate alone");
  }
  return success();
}

template <typename Op> static int32_t getOrder(Op op) {
  return op.getRelaxed() ? ATTN_EMULATOR_MBARRIER_RELAXED : 0;
}

FailureOr<bool> emulator::replaceMBarrierOp(Operation *op, Calls &calls) {
  constexpr int32_t kDrop = ATTN_EMULATOR_ARRIVE_DROP;
  constexpr int32_t kNoComplete = ATTN_EMULATOR_ARRIVE_NO_COMPLETE;
  auto replace = [&](StringRef name, ValueRange operands) {
    SmallVector<Value> arguments(operands);
    arguments.push_back(calls.site());
    calls.call(name, {}, arguments);
    op->erase();
    return true;
  };
  return TypeSwitch<Operation *, FailureOr<bool>>(op)
      .Case([&](NVVM::MBarrierInitOp init) -> FailureOr<bool> {
        if (failed(refusePredicate(op, init.getPredicate()))) {
          return failure();
        }
        return replace("attn_emulator_mbarrier_init",
                       {init.getAddr(), init.getCount()});
      })
      .Case([&](NVVM::MBarrierInvalOp inval) {
        return replace("attn_emulator_mbarrier_inval", {inval.getAddr()});
      })
      .Case([&](NVVM::MBarrierExpectTxOp expect) {
        return replace("attn_emulator_mbarrier_expect",
                       {expect.getAddr(), expect.getTxcount()});
      })
      .Case([&](NVVM::MBarrierCompleteTxOp complete) {
        return replace("attn_emulator_mbarrier_complete",
                       {complete.getAddr(), complete.getTxcount()});
      })
      .Case([&](NVVM::MBarrierArriveOp arrive) {
        replaceArrival(op, calls, arrive.getAddr(), arrive.getCount(), {},
                       getOrder(arrive));
        return true;
      })
      .Case([&](NVVM::MBarrierArriveDropOp arrive) {
        replaceArrival(op, calls, arrive.getAddr(), arrive.getCount(), {},
                       getOrder(arrive) | kDrop);
        return true;
      })
      .Case([&](NVVM::MBarrierArriveNocompleteOp arrive) {
        replaceArrival(op, calls, arrive.getAddr(), arrive.getCount(), {},
                       kNoComplete);
        return true;
      })
      .Case([&](NVVM::MBarrierArriveDropNocompleteOp arrive) {
        replaceArrival(op, calls, arrive.getAddr(), arrive.getCount(), {},
                       kDrop | kNoComplete);
        return true;
      })
      .Case([&](NVVM::MBarrierArriveExpectTxOp arrive) -> FailureOr<bool> {
        if (failed(refusePredicate(op, arrive.getPredicate()))) {
          return failure();
        }
        replaceArrival(op, calls, arrive.getAddr(), {}, arrive.getTxcount(),
                       getOrder(arrive));
        return true;
      })
      .Case([&](NVVM::MBarrierArriveDropExpectTxOp arrive) {
        replaceArrival(op, calls, arrive.getAddr(), {}, arrive.getTxcount(),
                       getOrder(arrive) | kDrop);
        return true;
      })
      .Case([&](NVVM::MBarrierTryWaitParityOp wait) {
        replaceWait(op, calls, wait.getAddr(), wait.getPhase(), 0);
        return true;
      })
      .Case([&](NVVM::MBarrierTestWaitOp wait) {
        replaceWait(op, calls, wait.getAddr(), wait.getStateOrPhase(),
                    getOrder(wait) | ATTN_EMULATOR_WAIT_TEST);
        return true;
      })
      .Case([&](NVVM::MBarrierTryWaitOp wait) {
        replaceWait(op, calls, wait.getAddr(), wait.getStateOrPhase(),
                    getOrder(wait) | ATTN_EMULATOR_WAIT_IMPATIENT);
        return true;
      })
      .Case([&](NVVM::CpAsyncMBarrierArriveOp arrive) {
        return replace("attn_emulator_copy_arrive",
                       {arrive.getAddr(), calls.constant(arrive.getNoinc())});
      })
      .Default([](Operation *) { return false; });
}
