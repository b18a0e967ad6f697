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
// Loops whose order counts, and single stores, are kernels of one thread, and
// so is a loop with what follows from its results, as in sorting:
//
//   %k = scf.for ... iter_args ...
//   scf.for %i = %c0 to %k ...
//
// What the host itself needs of a tensor, as the bound of a loop around streams
// or the size of a buffer, it loads, which waits for the GPU.
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

static bool launches(Operation *op) {
  return contains(op, llvm::IsaPred<gpu::LaunchFuncOp>);
}

static bool isTensor(Value value) { return isa<MemRefType>(value.getType()); }

/// The first buffer in a loop whose size is computed in it.
static memref::AllocOp findRoomOfUnknownSize(Operation *op) {
  memref::AllocOp found;
  op->walk([&](memref::AllocOp alloc) {
    bool isUnknown = llvm::any_of(alloc.getDynamicSizes(), [&](Value size) {
      return op->isAncestor(size.getParentBlock()->getParentOp());
    });
    found = isUnknown ? alloc : nullptr;
    return isUnknown ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found;
}

namespace {

/// Ops of the host, one after the other, as a kernel. One of them alone may be
/// parallel.
class LoopKernel {
public:
  LoopKernel(ArrayRef<Operation *> ops, StringRef name)
      : ops(ops), name(name), e(ops.back()->getLoc(), ops.back()) {
    if (ops.front()->getNumResults() == 0) {
      parallel = dyn_cast<scf::ParallelOp>(ops.front());
    }
  }

  void emit();

private:
  void reserve();
  void keepResults();
  SmallVector<Value> collectOperands() const;
  SmallVector<Value> getPlace(Emit &k, Value number, const IRMapping &map);

  ArrayRef<Operation *> ops;
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
  /// Results that the host needs, and where the kernel leaves them.
  SmallVector<std::pair<Value, Value>> kept;
};

} // namespace

/// Memory for the buffers that the ops allocate, for all threads.
void LoopKernel::reserve() {
  SmallVector<memref::AllocOp> allocs;
  for (Operation *op : ops) {
    op->walk([&](memref::AllocOp alloc) { allocs.push_back(alloc); });
  }
  for (memref::AllocOp alloc : allocs) {
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
}

/// Results with users that are not in the kernel get a buffer of one element.
void LoopKernel::keepResults() {
  for (Operation *op : ops) {
    for (Value result : op->getResults()) {
      bool isNeeded = llvm::any_of(result.getUsers(), [&](Operation *user) {
        return llvm::none_of(
            ops, [&](Operation *other) { return other->isAncestor(user); });
      });
      if (isNeeded) {
        auto type = MemRefType::get({}, result.getType());
        kept.emplace_back(result, memref::AllocOp::create(e, type));
      }
    }
  }
}

/// What the ops use that is not theirs.
SmallVector<Value> LoopKernel::collectOperands() const {
  llvm::SetVector<Value> used;
  for (Operation *op : ops) {
    getUsedValuesDefinedAbove(op->getRegions(), used);
    used.insert(op->operand_begin(), op->operand_end());
  }
  used.remove_if([&](Value value) {
    return llvm::is_contained(ops, value.getDefiningOp());
  });
  return used.takeVector();
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

void LoopKernel::emit() {
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
  reserve();
  keepResults();
  SmallVector<Value> operands, constants;
  for (Value value : collectOperands()) {
    (matchPattern(value, m_Constant()) ? constants : operands).push_back(value);
  }
  size_t outside = operands.size();
  for (const Room &room : rooms) {
    operands.append({room.bytes, room.all});
  }
  for (auto [result, buffer] : kept) {
    operands.push_back(buffer);
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
      for (Operation *op : ops) {
        k.clone(*op, map);
      }
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
    for (auto [pair, buffer] : llvm::zip_equal(kept, given)) {
      k.store(map.lookup(pair.first), buffer, {});
    }
  };
  createThreadKernel(e, ops.front()->getParentOfType<ModuleOp>(), name, count,
                     parallel ? kThreads : 1, operands, write);
  for (auto [result, buffer] : kept) {
    result.replaceAllUsesWith(e.load(buffer, {}));
  }
  for (Operation *op : llvm::reverse(ops)) {
    op->erase();
  }
}

/// Whether ops of a thread may follow from one another in a kernel.
static bool isSequential(Operation *op) {
  return !launches(op) && !contains(op, llvm::IsaPred<scf::ParallelOp>) &&
         !op->hasTrait<OpTrait::IsTerminator>() &&
         llvm::none_of(op->getResults(), isTensor) &&
         !isa<memref::DeallocOp>(op) && !findRoomOfUnknownSize(op);
}

/// The op with all that follows from its results, if that has no more results
/// which others use, and nothing that happens in between touches tensors.
/// Else, the op alone.
static SmallVector<Operation *> collectFollowers(Operation *op) {
  auto usesResultOf = [](Operation *user, Operation *source) {
    return llvm::any_of(source->getUsers(),
                        [&](Operation *x) { return user->isAncestor(x); });
  };
  SmallVector<Operation *> group = {op};
  size_t numSafe = 1;
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode()) {
    bool follows = llvm::any_of(
        group, [&](Operation *source) { return usesResultOf(next, source); });
    if (follows && isSequential(next)) {
      group.push_back(next);
      continue;
    }
    if (follows || contains(next, touchesTensors) || launches(next) ||
        isa<memref::DeallocOp>(next)) {
      break;
    }
  }
  // The longest group of which nothing is used outside of it.
  for (size_t size = group.size(); size > 1; --size) {
    ArrayRef<Operation *> kernel = ArrayRef(group).take_front(size);
    bool isClosed = llvm::all_of(kernel, [&](Operation *source) {
      return llvm::all_of(source->getUsers(), [&](Operation *user) {
        return llvm::any_of(kernel,
                            [&](Operation *x) { return x->isAncestor(user); });
      });
    });
    if (isClosed) {
      numSafe = size;
      break;
    }
  }
  group.truncate(numSafe);
  return group;
}

/// Whether the host goes through the op itself, and only what is in it becomes
/// kernels.
static bool staysOnHost(Operation *op) {
  return launches(op) || llvm::any_of(op->getResults(), isTensor) ||
         (op->getNumRegions() > 0 && findRoomOfUnknownSize(op));
}

namespace {
struct LoopsToGPUPass : attn::impl::LoopsToGPUPassBase<LoopsToGPUPass> {
  using Base::Base;

  void runOnOperation() override {
    for (auto function :
         llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      unsigned number = 0;
      lowerRegion(function.getBody(), function.getName(), number);
    }
  }

  static void lowerRegion(Region &region, StringRef function,
                          unsigned &number) {
    for (Block &block : region) {
      for (Operation *op = &block.front(); op;) {
        Operation *next = op->getNextNode();
        if (contains(op, touchesTensors)) {
          lower(op, next, function, number);
        }
        op = next;
      }
    }
  }

  /// `next` is the op that comes after what was lowered.
  static void lower(Operation *op, Operation *&next, StringRef function,
                    unsigned &number) {
    if (staysOnHost(op)) {
      if (isa<scf::ParallelOp>(op) && !launches(op)) {
        findRoomOfUnknownSize(op).emitWarning()
            << "iterations make a buffer of a size that is not known before: "
               "the host goes through them one by one";
      }
      for (Region &inner : op->getRegions()) {
        lowerRegion(inner, function, number);
      }
      return;
    }
    SmallVector<Operation *> ops = {op};
    if (op->getNumResults() > 0) {
      ops = collectFollowers(op);
      bool isNeeded = ops.size() == 1 && !op->use_empty();
      if (isNeeded) {
        op->emitWarning() << "sizes or bounds depend on data, which is on the "
                             "GPU: the host waits for it here";
      }
      if (isNeeded && isa<memref::LoadOp>(op)) {
        return;
      }
    }
    next = ops.back()->getNextNode();
    std::string name = (function + "_loop" + Twine(number++)).str();
    LoopKernel(ops, name).emit();
  }
};
} // namespace
