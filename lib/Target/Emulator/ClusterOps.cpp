//===- ClusterOps.cpp - blocks that run together --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

static bool replaceArrival(Operation *op, Calls &calls, bool isRelaxed,
                           bool isAligned) {
  calls.call(
      "attn_emulator_cluster_arrive", {},
      {calls.constant(isRelaxed), calls.constant(isAligned), calls.site()});
  op->erase();
  return true;
}

FailureOr<bool> emulator::replaceClusterOp(Operation *op, Calls &calls) {
  return TypeSwitch<Operation *, bool>(op)
      .Case([&](NVVM::ClusterArriveOp arrive) {
        return replaceArrival(op, calls, /*isRelaxed=*/false,
                              arrive.getAligned().value_or(false));
      })
      .Case([&](NVVM::ClusterArriveRelaxedOp arrive) {
        return replaceArrival(op, calls, /*isRelaxed=*/true,
                              arrive.getAligned().value_or(false));
      })
      .Case([&](NVVM::ClusterWaitOp wait) {
        calls.call(
            "attn_emulator_cluster_wait", {},
            {calls.constant(wait.getAligned().value_or(false)), calls.site()});
        op->erase();
        return true;
      })
      .Case([&](NVVM::MapaOp map) {
        Value mapped = calls.call("attn_emulator_map_shared", calls.pointer(),
                                  {map.getA(), map.getB(), calls.site()});
        if (mapped.getType() != map.getType()) {
          mapped = LLVM::AddrSpaceCastOp::create(calls, map.getType(), mapped);
        }
        op->replaceAllUsesWith(ValueRange{mapped});
        op->erase();
        return true;
      })
      // As with other fences between threads.
      .Case([&](NVVM::FenceScClusterOp) {
        op->erase();
        return true;
      })
      .Default(false);
}
