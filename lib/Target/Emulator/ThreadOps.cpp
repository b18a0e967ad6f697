//===- ThreadOps.cpp - registers, barriers and ops of a warp --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "attn_emulator.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

/// The number of a special register, or -1.
static int32_t getRegister(StringRef name) {
  if (!name.consume_front("nvvm.read.ptx.sreg.")) {
    return -1;
  }
  return llvm::StringSwitch<int32_t>(name)
      .Case("tid.x", ATTN_EMULATOR_THREAD_X)
      .Case("tid.y", ATTN_EMULATOR_THREAD_Y)
      .Case("tid.z", ATTN_EMULATOR_THREAD_Z)
      .Case("ntid.x", ATTN_EMULATOR_BLOCK_SIZE_X)
      .Case("ntid.y", ATTN_EMULATOR_BLOCK_SIZE_Y)
      .Case("ntid.z", ATTN_EMULATOR_BLOCK_SIZE_Z)
      .Case("ctaid.x", ATTN_EMULATOR_BLOCK_X)
      .Case("ctaid.y", ATTN_EMULATOR_BLOCK_Y)
      .Case("ctaid.z", ATTN_EMULATOR_BLOCK_Z)
      .Case("nctaid.x", ATTN_EMULATOR_GRID_X)
      .Case("nctaid.y", ATTN_EMULATOR_GRID_Y)
      .Case("nctaid.z", ATTN_EMULATOR_GRID_Z)
      .Case("clusterid.x", ATTN_EMULATOR_CLUSTER_X)
      .Case("clusterid.y", ATTN_EMULATOR_CLUSTER_Y)
      .Case("clusterid.z", ATTN_EMULATOR_CLUSTER_Z)
      .Case("nclusterid.x", ATTN_EMULATOR_CLUSTERS_X)
      .Case("nclusterid.y", ATTN_EMULATOR_CLUSTERS_Y)
      .Case("nclusterid.z", ATTN_EMULATOR_CLUSTERS_Z)
      .Case("cluster.ctaid.x", ATTN_EMULATOR_IN_CLUSTER_X)
      .Case("cluster.ctaid.y", ATTN_EMULATOR_IN_CLUSTER_Y)
      .Case("cluster.ctaid.z", ATTN_EMULATOR_IN_CLUSTER_Z)
      .Case("cluster.nctaid.x", ATTN_EMULATOR_CLUSTER_SIZE_X)
      .Case("cluster.nctaid.y", ATTN_EMULATOR_CLUSTER_SIZE_Y)
      .Case("cluster.nctaid.z", ATTN_EMULATOR_CLUSTER_SIZE_Z)
      .Case("cluster.ctarank", ATTN_EMULATOR_CLUSTER_RANK)
      .Case("cluster.nctarank", ATTN_EMULATOR_CLUSTER_BLOCKS)
      .Case("laneid", ATTN_EMULATOR_LANE)
      .Case("warpid", ATTN_EMULATOR_WARP)
      .Case("nwarpid", ATTN_EMULATOR_NUM_WARPS)
      .Case("dynamic.smem.size", ATTN_EMULATOR_SHARED_BYTES)
      .Default(-1);
}

static void replaceBarrier(NVVM::BarrierOp op, Calls &calls) {
  auto orElse = [&](Value value, int32_t otherwise) {
    return value ? value : calls.constant(otherwise);
  };
  // Both enumerations begin with the count.
  int32_t reduction = op.getReductionOp()
                          ? static_cast<int32_t>(*op.getReductionOp())
                          : ATTN_EMULATOR_REDUCE_NONE;
  Value result = calls.call(
      "attn_emulator_barrier", calls.getI32Type(),
      {orElse(op.getBarrierId(), 0), orElse(op.getNumberOfThreads(), -1),
       calls.constant(reduction), orElse(op.getReductionPredicate(), 0),
       calls.site()});
  if (op->getNumResults()) {
    op->replaceAllUsesWith(ValueRange{result});
  }
  op->erase();
}

static void replaceShuffle(NVVM::ShflOp op, Calls &calls) {
  Type i32 = calls.getI32Type(), type = op.getVal().getType();
  Value pair = calls.call("attn_emulator_shuffle", calls.getI64Type(),
                          {calls.constant(static_cast<int32_t>(op.getKind())),
                           op.getThreadMask(), calls.bits(op.getVal()),
                           op.getOffset(), op.getMaskAndClamp(), calls.site()});
  Value result = LLVM::TruncOp::create(calls, i32, pair);
  if (type != i32) {
    result = LLVM::BitcastOp::create(calls, type, result);
  }
  if (op.getReturnValueAndIsValid()) {
    Value shifted = LLVM::LShrOp::create(calls, pair, calls.constant64(32));
    Value valid = LLVM::TruncOp::create(calls, calls.getI1Type(), shifted);
    Value both = LLVM::PoisonOp::create(calls, op.getType());
    both = LLVM::InsertValueOp::create(calls, both, result, int64_t{0});
    result = LLVM::InsertValueOp::create(calls, both, valid, int64_t{1});
  }
  op->replaceAllUsesWith(ValueRange{result});
  op->erase();
}

/// Truncates a 0 or 1 to what the op has.
static void replaceWithTruth(Operation *op, Calls &calls, Value result) {
  Type type = op->getResult(0).getType();
  if (type != result.getType()) {
    result = LLVM::TruncOp::create(calls, type, result);
  }
  op->replaceAllUsesWith(ValueRange{result});
  op->erase();
}

FailureOr<bool> emulator::replaceThreadOp(Operation *op, Calls &calls) {
  Type i32 = calls.getI32Type();
  int32_t which = getRegister(op->getName().getStringRef());
  if (which >= 0) {
    Value result = calls.call("attn_emulator_register", i32,
                              ValueRange{calls.constant(which)});
    op->replaceAllUsesWith(ValueRange{result});
    op->erase();
    return true;
  }
  return TypeSwitch<Operation *, bool>(op)
      .Case([&](NVVM::WarpSizeOp) {
        op->replaceAllUsesWith(ValueRange{calls.constant(32)});
        op->erase();
        return true;
      })
      .Case([&](NVVM::Barrier0Op) {
        calls.call("attn_emulator_barrier", i32,
                   {calls.constant(0), calls.constant(-1),
                    calls.constant(ATTN_EMULATOR_REDUCE_NONE),
                    calls.constant(0), calls.site()});
        op->erase();
        return true;
      })
      .Case([&](NVVM::BarrierOp barrier) {
        replaceBarrier(barrier, calls);
        return true;
      })
      .Case([&](NVVM::BarrierArriveOp arrive) {
        Value id = arrive.getBarrierId();
        calls.call("attn_emulator_barrier_arrive", {},
                   {id ? id : calls.constant(0), arrive.getNumberOfThreads(),
                    calls.site()});
        op->erase();
        return true;
      })
      .Case([&](NVVM::SyncWarpOp sync) {
        calls.call("attn_emulator_warp_barrier", {},
                   {sync.getMask(), calls.site()});
        op->erase();
        return true;
      })
      .Case([&](NVVM::ShflOp shuffle) {
        replaceShuffle(shuffle, calls);
        return true;
      })
      .Case([&](NVVM::VoteSyncOp vote) {
        replaceWithTruth(
            op, calls,
            calls.call("attn_emulator_vote", i32,
                       {calls.constant(static_cast<int32_t>(vote.getKind())),
                        vote.getMask(), calls.bits(vote.getPred()),
                        calls.site()}));
        return true;
      })
      .Case([&](NVVM::ElectSyncOp elect) {
        Value mask = elect.getMembermask();
        replaceWithTruth(
            op, calls,
            calls.call("attn_emulator_elect", i32,
                       {mask ? mask : calls.constant(-1), calls.site()}));
        return true;
      })
      .Case([&](NVVM::ReduxOp redux) {
        int32_t flags = (redux.getAbs() ? ATTN_EMULATOR_REDUX_ABS : 0) |
                        (redux.getNan() ? ATTN_EMULATOR_REDUX_NAN : 0);
        Value result =
            calls.call("attn_emulator_redux", i32,
                       {calls.constant(static_cast<int32_t>(redux.getKind())),
                        calls.constant(flags), redux.getMaskAndClamp(),
                        calls.bits(redux.getVal()), calls.site()});
        if (redux.getType() != i32) {
          result = LLVM::BitcastOp::create(calls, redux.getType(), result);
        }
        op->replaceAllUsesWith(ValueRange{result});
        op->erase();
        return true;
      })
      .Case([&](NVVM::SetMaxRegisterOp set) {
        bool increases =
            set.getAction() == NVVM::SetMaxRegisterAction::increase;
        calls.call("attn_emulator_set_registers", {},
                   {calls.constant(static_cast<int32_t>(set.getRegCount())),
                    calls.constant(increases), calls.site()});
        op->erase();
        return true;
      })
      .Case([&](NVVM::Exit) {
        calls.call("attn_emulator_exit", {}, {});
        op->erase();
        return true;
      })
      .Case([&](NVVM::NanosleepOp) {
        calls.call("attn_emulator_yield", {}, {});
        op->erase();
        return true;
      })
      // Fibers see what others wrote at once; order comes from barriers.
      .Case([&](NVVM::MembarOp) {
        op->erase();
        return true;
      })
      .Default(false);
}
