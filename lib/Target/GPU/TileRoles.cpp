//===- TileRoles.cpp - kernels whose warps have roles ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   buffers; scalars; tiles; tile.visit; tiles
//   ->
//   buffers
//   tile.roles producers(1) producer {
//     scalars
//   } consumer {
//     scalars; tiles; tile.visit; tiles
//   }
//
// The producer has its own copies of the scalars that it needs. What it brings
// may come from memory that the kernel only reads.
//
//===----------------------------------------------------------------------===//

#include "TileRoles.h"

#include "attn/Support/Emit.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// Registers of a multiprocessor, and most of a thread.
static constexpr int64_t kRegisters = 65536, kThreadRegisters = 255;

static bool isOnlyRead(Operation *op) {
  std::optional<SmallVector<MemoryEffects::EffectInstance>> effects =
      getEffectsRecursively(op);
  return effects && llvm::all_of(*effects, [](const auto &effect) {
           return isa<MemoryEffects::Read>(effect.getEffect());
         });
}

namespace {

/// The ops of a kernel that a producer needs.
class Needs {
public:
  explicit Needs(Block &kernel) : kernel(kernel) {}

  /// What `region`, or an op, takes from outside.
  template <typename Scope> void addOutside(Scope &scope) {
    scope.walk([&](Operation *op) {
      llvm::for_each(op->getOperands(), [&](Value value) { add(value); });
    });
  }
  void add(Value value) {
    Operation *op = value.getDefiningOp();
    if (op && op->getBlock() == &kernel && ops.insert(op)) {
      addOutside(*op);
    }
  }
  bool contains(Operation *op) const { return ops.contains(op); }
  /// One that a warp of its own cannot do, or null.
  Operation *findForeign() const {
    for (Operation *op : ops) {
      Operation *found = nullptr;
      op->walk([&](Operation *inner) {
        bool isTile = isa<tile::TileDialect>(inner->getDialect());
        if (isTile || isa<gpu::ThreadIdOp>(inner) || !isOnlyRead(inner)) {
          found = inner;
        }
      });
      if (found) {
        return found;
      }
    }
    return nullptr;
  }

private:
  Block &kernel;
  SetVector<Operation *> ops;
};

} // namespace

/// An op of the part of a kernel before the end of its last visit that writes
/// global memory.
static Operation *findStore(ArrayRef<tile::VisitOp> visits) {
  Operation *last = visits.back();
  Operation *found = nullptr;
  for (Operation &op : *last->getBlock()) {
    op.walk([&](Operation *inner) {
      if (isa<tile::StoreOp, memref::StoreOp, memref::AtomicRMWOp>(inner)) {
        found = inner;
      }
    });
    if (&op == last) {
      break;
    }
  }
  return found;
}

/// Something that a producer brings tiles with beside copying and computing
/// their elements.
static Operation *findForeign(tile::VisitOp visit) {
  Operation *found = nullptr;
  auto check = [&](Operation *op) {
    bool isOther = isa<tile::TileDialect>(op->getDialect()) &&
                   !isa<tile::CopyOp, tile::FillOp, tile::YieldOp>(op);
    if (isOther || isa<gpu::BarrierOp, gpu::ThreadIdOp>(op)) {
      found = op;
    }
  };
  visit.getNeeded().walk(check);
  visit.getBring().walk(check);
  return found;
}

/// Why the warps of a kernel have no roles; nothing if they can.
static std::optional<std::string>
findObstacle(Block &block, ArrayRef<tile::VisitOp> visits, const Needs &needs) {
  auto name = [](Operation *op) {
    return "'" + op->getName().getStringRef().str() + "'";
  };
  if (Operation *op = needs.findForeign()) {
    return "what is brought depends on " + name(op);
  }
  for (tile::VisitOp visit : visits) {
    if (Operation *op = findForeign(visit)) {
      return "tiles are brought by " + name(op);
    }
  }
  if (Operation *op = findStore(visits)) {
    return name(op) + " writes memory before the last tile is brought";
  }
  return std::nullopt;
}

/// One warp more, here and in all launches.
static void addWarp(gpu::GPUFuncOp kernel) {
  int64_t threads = (*kernel.getKnownBlockSize())[0] + tile::RolesOp::kWarpSize;
  kernel.setKnownBlockSize(ArrayRef<int32_t>{int32_t(threads), 1, 1});
  OpBuilder builder(kernel.getContext());
  if (kernel->hasAttr("nvvm.maxnreg")) {
    int64_t registers =
        std::min(kThreadRegisters, kRegisters / threads / 8 * 8);
    kernel->setAttr("nvvm.maxnreg", builder.getI32IntegerAttr(registers));
  }
  auto module = kernel->getParentOfType<ModuleOp>();
  module.walk([&](gpu::LaunchFuncOp launch) {
    if (launch.getKernelName() == kernel.getNameAttr() &&
        launch.getKernelModuleName() ==
            kernel->getParentOfType<gpu::GPUModuleOp>().getNameAttr()) {
      builder.setInsertionPoint(launch);
      launch.getBlockSizeXMutable().assign(
          arith::ConstantIndexOp::create(builder, launch.getLoc(), threads));
    }
  });
}

TileRoles gpu_target::splitRoles(gpu::GPUFuncOp kernel,
                                 ArrayRef<tile::VisitOp> visits) {
  TileRoles split;
  Block &block = kernel.getBody().front();
  auto refuse = [&](const Twine &reason) {
    visits.front()->emitRemark()
        << "warps have no roles in '" << kernel.getName() << "': " << reason;
    return split;
  };
  Needs needs(block);
  bool brings = false;
  for (tile::VisitOp visit : visits) {
    if (visit->getBlock() != &block) {
      return refuse("a loop over tiles is inside of another");
    }
    if (!visit.getRings().empty()) {
      brings = true;
      needs.add(visit.getLower());
      needs.add(visit.getUpper());
      needs.addOutside(visit.getNeeded());
      needs.addOutside(visit.getBring());
    }
  }
  if (!brings) {
    return refuse("there is nothing to bring");
  }
  if (std::optional<std::string> reason = findObstacle(block, visits, needs)) {
    return refuse(*reason);
  }
  addWarp(kernel);
  Emit e(kernel.getLoc(), block.getTerminator());
  split.op = tile::RolesOp::create(e, /*producers=*/1);
  Block *producer = e.createBlock(&split.op.getProducer());
  Block *consumer = e.createBlock(&split.op.getConsumer());
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (&op == split.op) {
      break;
    }
    if (isa<tile::SharedOp>(op)) {
      continue; // of both
    }
    if (needs.contains(&op)) {
      e.setInsertionPointToEnd(producer);
      e.clone(op, split.known);
    }
    op.moveBefore(consumer, consumer->end());
  }
  return split;
}
