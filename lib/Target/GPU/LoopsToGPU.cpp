//===- LoopsToGPU.cpp - attn-loops-to-gpu ---------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What touches tensors around streams and is no linalg: selection, factors,
// appends to caches.
//
//   scf.parallel (%i) = (%c0) to (%n) step (%c1) {
//     %heap = memref.alloc(%k) : memref<?xi32>
//     ...
//   }
//   ->
//   %room = memref.alloc(%n * bytes) : memref<?xi8>
//   gpu.launch_func @attn_kernels::@f_loop0 blocks in (ceil(%n / 64), 1, 1)
//       threads in (64, 1, 1) args(%n, ..., %room)
//
// Loops whose order counts, and single stores, are kernels of one thread.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::attn {
#define GEN_PASS_DEF_LOOPSTOGPUPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

constexpr int64_t kThreads = 64;
constexpr int64_t kAlignment = 64;

static bool touchesTensors(Operation *op) {
  return isa<memref::LoadOp, memref::StoreOp, memref::CopyOp>(op) ||
         isa<linalg::LinalgDialect>(op->getDialect());
}

template <typename Predicate>
static bool contains(Operation *op, Predicate &&predicate) {
  return op
      ->walk([&](Operation *inner) {
        return predicate(inner) ? WalkResult::interrupt()
                                : WalkResult::advance();
      })
      .wasInterrupted();
}

namespace {

/// One op of the host as a kernel.
class LoopKernel {
public:
  LoopKernel(Operation *op, StringRef name)
      : op(op), parallel(dyn_cast<scf::ParallelOp>(op)), name(name),
        e(op->getLoc(), op) {}

  LogicalResult emit();

private:
  LogicalResult reserve();
  SmallVector<Value> getPlace(Emit &k, Value number, const IRMapping &map);

  Operation *op;
  scf::ParallelOp parallel;
  StringRef name;
  Emit e;
  /// How many threads there are.
  Value count;
  /// Buffers that each thread has for itself, and all of them together.
  struct Room {
    memref::AllocOp alloc;
    Value bytes, all;
  };
  SmallVector<Room> rooms;
};

} // namespace

/// Memory for the buffers that the op allocates, for all threads.
LogicalResult LoopKernel::reserve() {
  SmallVector<memref::AllocOp> allocs;
  op->walk([&](memref::AllocOp alloc) { allocs.push_back(alloc); });
  for (memref::AllocOp alloc : allocs) {
    for (Value size : alloc.getDynamicSizes()) {
      if (op->isAncestor(size.getParentBlock()->getParentOp())) {
        return alloc.emitError()
               << "takes memory whose size only the GPU knows, where none can "
                  "be had";
      }
    }
    MemRefType type = alloc.getType();
    Value bytes = e.index(llvm::divideCeil(type.getElementTypeBitWidth(), 8));
    auto sizes = alloc.getDynamicSizes();
    for (int64_t size : type.getShape()) {
      bool dynamic = ShapedType::isDynamic(size);
      bytes = e.mul(bytes, dynamic ? sizes.front() : e.index(size));
      sizes = sizes.drop_front(dynamic);
    }
    bytes = e.roundUp(bytes, kAlignment);
    auto bytesType = MemRefType::get({ShapedType::kDynamic}, e.getI8Type());
    Value all = memref::AllocOp::create(e, bytesType, e.mul(bytes, count),
                                        e.getI64IntegerAttr(kAlignment));
    rooms.push_back({alloc, bytes, all});
  }
  return success();
}

/// The induction variables of thread `number`.
SmallVector<Value> LoopKernel::getPlace(Emit &k, Value number,
                                        const IRMapping &map) {
  SmallVector<Value> place(parallel.getNumLoops());
  for (size_t dim = place.size(); dim-- > 0;) {
    Value lower = map.lookup(parallel.getLowerBound()[dim]);
    Value upper = map.lookup(parallel.getUpperBound()[dim]);
    Value step = map.lookup(parallel.getStep()[dim]);
    Value extent =
        arith::CeilDivSIOp::create(k, k.sub(upper, lower), step).getResult();
    place[dim] = k.add(lower, k.mul(takeIndex(k, number, extent), step));
  }
  return place;
}

LogicalResult LoopKernel::emit() {
  count = e.index(1);
  if (parallel) {
    for (auto [lower, upper, step] :
         llvm::zip(parallel.getLowerBound(), parallel.getUpperBound(),
                   parallel.getStep())) {
      Value extent =
          arith::CeilDivSIOp::create(e, e.sub(upper, lower), step).getResult();
      count = e.mul(count, e.max(extent, e.index(0)));
    }
  }
  if (failed(reserve())) {
    return failure();
  }
  llvm::SetVector<Value> used;
  getUsedValuesDefinedAbove(op->getRegions(), used);
  used.insert(op->operand_begin(), op->operand_end());
  SmallVector<Value> operands, constants;
  for (Value value : used) {
    (matchPattern(value, m_Constant()) ? constants : operands).push_back(value);
  }
  size_t outside = operands.size();
  for (const Room &room : rooms) {
    operands.append({room.bytes, room.all});
  }
  auto write = [&](Emit &k, Value number, ValueRange arguments) {
    IRMapping map;
    map.map(ArrayRef(operands).take_front(outside),
            arguments.take_front(outside));
    for (Value constant : constants) {
      k.clone(*constant.getDefiningOp(), map);
    }
    if (parallel) {
      map.map(parallel.getInductionVars(), getPlace(k, number, map));
      for (Operation &inner : parallel.getBody()->without_terminator()) {
        k.clone(inner, map);
      }
    } else {
      k.clone(*op, map);
    }
    // Each alloc in the copy becomes the thread's part of its room.
    ValueRange given = arguments.drop_front(outside);
    for (Room &room : rooms) {
      Value old = map.lookup(room.alloc.getResult());
      Emit at(old.getLoc(), old.getDefiningOp());
      auto alloc = cast<memref::AllocOp>(old.getDefiningOp());
      Value view = memref::ViewOp::create(at, alloc.getType(), given[1],
                                          at.mul(number, given[0]),
                                          alloc.getDynamicSizes());
      old.replaceAllUsesWith(view);
      alloc.erase();
      given = given.drop_front(2);
    }
  };
  createThreadKernel(e, op->getParentOfType<ModuleOp>(), name, count,
                     parallel ? kThreads : 1, operands, write);
  op->erase();
  return success();
}

namespace {
struct LoopsToGPUPass : attn::impl::LoopsToGPUPassBase<LoopsToGPUPass> {
  using Base::Base;

  void runOnOperation() override {
    for (auto function :
         llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      unsigned number = 0;
      if (failed(lowerRegion(function.getBody(), function.getName(), number))) {
        return signalPassFailure();
      }
    }
  }

  static LogicalResult lowerRegion(Region &region, StringRef function,
                                   unsigned &number) {
    for (Block &block : region) {
      for (Operation &op : llvm::make_early_inc_range(block)) {
        if (!contains(&op, touchesTensors)) {
          continue;
        }
        // What launches kernels stays on the host.
        if (contains(&op, llvm::IsaPred<gpu::LaunchFuncOp>)) {
          for (Region &inner : op.getRegions()) {
            if (failed(lowerRegion(inner, function, number))) {
              return failure();
            }
          }
          continue;
        }
        if (op.getNumResults() > 0) {
          return op.emitError()
                 << "sizes or bounds depend on data, which is on the GPU, and "
                    "its host does not wait for it";
        }
        std::string name = (function + "_loop" + Twine(number++)).str();
        if (failed(LoopKernel(&op, name).emit())) {
          return failure();
        }
      }
    }
    return success();
  }
};
} // namespace
