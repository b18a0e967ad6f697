//===- MBarriers.cpp - roles, and channels between them -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   tile.roles producers(1) producer {       mbarriers, by one thread; a
//   barrier
//     %to = tile.acquire %channel[%p]        if thread >= consumers:
//     tile.copy ..., %to                       wait free[p.stage], p.phase ^ 1
//     %p1 = tile.commit %channel[%p]    ->     copies; arrive brought[p.stage]
//   } consumer {                             else:
//     %now = tile.wait %channel[%c]            wait brought[c.stage], c.phase
//     %c1 = tile.release %channel[%c]          arrive free[c.stage]
//   }
//
// A position counts from 0 to twice the depth; what it is above the depth is of
// the other phase. PTX ISA, mbarrier: waiting for the parity of the phase
// before the first one returns at once, so that all stages begin as free.
//
// Every thread of the producer arrives by way of its copies (cp.async), and
// every warp once more for what its threads stored, in their order. Copies in
// bulk are counted in bytes, which are expected before this second arrival.
//
//===----------------------------------------------------------------------===//

#include "Distribute.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// Of the consumer's warps; 0 is that of the block.
static constexpr int32_t kConsumersBarrier = 1;
static constexpr int64_t kVectorBytes = 16;
/// Address spaces of NVPTX.
static constexpr unsigned kGlobal = 1, kShared = 3, kSharedCluster = 7;

static Value constant32(Emit &e, int32_t value) {
  return arith::ConstantIntOp::create(e, value, 32);
}

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

void Distributor::meet() {
  if (role == Role::None) {
    gpu::BarrierOp::create(e);
    return;
  }
  NVVM::BarrierOp::create(e, TypeRange(), constant32(e, kConsumersBarrier),
                          constant32(e, static_cast<int32_t>(threads)),
                          /*reductionOp=*/NVVM::BarrierReductionAttr(),
                          /*predicate=*/Value());
}

LogicalResult Distributor::distributeRoles(tile::RolesOp op) {
  if (device.vendor != Vendor::NVIDIA) {
    return op.emitOpError() << "has no form on '" << device.chip
                            << "', which has no barriers in shared memory";
  }
  int64_t all = threads, consumers = op.countConsumers();
  Value number = thread;
  gpu::BarrierOp::create(e); // barriers of channels are ready
  auto branch = scf::IfOp::create(e, e.less(thread, e.index(consumers)),
                                  /*withElseRegion=*/true);
  Block *consumer = &op.getConsumer().front();
  Block *producer = &op.getProducer().front();
  role = Role::Consumer;
  threads = consumers;
  if (failed(distribute(*consumer))) {
    return failure();
  }
  role = Role::Producer;
  threads = op.countProducers();
  e.setInsertionPointToStart(producer);
  thread = e.sub(number, consumers);
  if (failed(distribute(*producer))) {
    return failure();
  }
  role = Role::None;
  threads = all;
  thread = number;
  auto move = [](Block *from, Block *to) {
    to->getOperations().splice(to->begin(), from->getOperations());
  };
  move(consumer, branch.thenBlock());
  move(producer, branch.elseBlock());
  dead.push_back(op);
  return success();
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

Value Distributor::getPointer(Value address, unsigned space) {
  Value number = arith::IndexCastOp::create(e, e.getI64Type(), address);
  return LLVM::IntToPtrOp::create(
      e, LLVM::LLVMPointerType::get(e.getContext(), space), number);
}

/// A byte of the memory of the block.
Value Distributor::getAddress(Value offset) {
  return e.add(memref::ExtractAlignedPointerAsIndexOp::create(e, memory),
               offset);
}

Value Distributor::getBarrier(tile::ChannelOp channel, Value stage,
                              bool isFree) {
  auto depth = static_cast<int64_t>(channel.getDepth());
  int64_t place =
      shared.places.lookup(channel) + (isFree ? depth * kBarrierBytes : 0);
  return getPointer(getAddress(e.add(e.mul(stage, kBarrierBytes), place)),
                    kShared);
}

Distributor::Place Distributor::getPlace(tile::ChannelOp channel,
                                         Value position) {
  auto depth = static_cast<int64_t>(channel.getDepth());
  Value isSecond = arith::CmpIOp::create(e, arith::CmpIPredicate::uge, position,
                                         e.index(depth));
  return {e.select(isSecond, e.sub(position, depth), position),
          arith::ExtUIOp::create(e, e.getI32Type(), isSecond)};
}

void Distributor::makeBarriers(tile::ChannelOp op) {
  tile::RolesOp roles = op.getRoles();
  auto producers = static_cast<int32_t>(roles.countProducers());
  int32_t producerWarps = producers / tile::RolesOp::kWarpSize;
  auto consumerWarps =
      static_cast<int32_t>(roles.countConsumers() / tile::RolesOp::kWarpSize);
  e.ifThen(e.equal(thread, e.index(0)), [&] {
    for (int64_t k = 0; k < static_cast<int64_t>(op.getDepth()); ++k) {
      auto make = [&](bool isFree, int32_t arrivals) {
        NVVM::MBarrierInitOp::create(e, getBarrier(op, e.index(k), isFree),
                                     constant32(e, arrivals),
                                     /*predicate=*/Value());
      };
      make(/*isFree=*/false, producers + producerWarps);
      make(/*isFree=*/true, consumerWarps);
    }
    if (device.copiesInBulk) {
      NVVM::FenceMbarrierInitOp::create(e);
    }
  });
}

void Distributor::waitFor(Value barrier, Value phase) {
  auto test = [&](ValueRange) -> std::pair<Value, SmallVector<Value>> {
    Value done;
    if (device.copiesInBulk) {
      done = NVVM::MBarrierTryWaitOp::create(e, e.getI1Type(), barrier, phase,
                                             /*ticks=*/Value());
    } else {
      done = NVVM::MBarrierTestWaitOp::create(e, e.getI1Type(), barrier, phase);
    }
    return {arith::XOrIOp::create(e, done, e.truth(true)), {}};
  };
  e.whileLoop({}, test, [](ValueRange) { return SmallVector<Value>(); });
}

/// What the threads of the warp have done before is seen by those who wait.
void Distributor::arriveAsWarp(Value barrier) {
  NVVM::SyncWarpOp::create(e, constant32(e, -1));
  e.ifThen(e.equal(lane, e.index(0)), [&] {
    NVVM::MBarrierArriveOp::create(e, e.getI64Type(), barrier,
                                   /*count=*/Value());
  });
}

//===----------------------------------------------------------------------===//
// Both sides of a channel
//===----------------------------------------------------------------------===//

void Distributor::acquireAsProducer(tile::AcquireOp op) {
  auto channel = op.getChannel().getDefiningOp<tile::ChannelOp>();
  Value position = op.getPositionMutable().get();
  auto [stage, phase] = getPlace(channel, position);
  waitFor(getBarrier(channel, stage, /*isFree=*/true),
          arith::XOrIOp::create(e, phase, constant32(e, 1)));
  SmallVector<Value> matrices = getMatrices(channel, position);
  Value brought = getBarrier(channel, stage, /*isFree=*/false);
  for (Value matrix : matrices) {
    arrivals[matrix] = brought;
  }
  op->replaceAllUsesWith(matrices);
}

void Distributor::commitAsProducer(tile::ChannelOp channel, Value position) {
  Value brought = getBarrier(channel, getPlace(channel, position).stage,
                             /*isFree=*/false);
  NVVM::CpAsyncMBarrierArriveOp::create(e, brought, /*noinc=*/true);
  arriveAsWarp(brought);
}

void Distributor::waitAsConsumer(tile::ChannelOp channel, Value position) {
  auto [stage, phase] = getPlace(channel, position);
  waitFor(getBarrier(channel, stage, /*isFree=*/false), phase);
}

void Distributor::releaseAsConsumer(tile::ChannelOp channel, Value position) {
  arriveAsWarp(getBarrier(channel, getPlace(channel, position).stage,
                          /*isFree=*/true));
}

//===----------------------------------------------------------------------===//
// Copies in bulk
//===----------------------------------------------------------------------===//

static int64_t countRowBytes(tile::CopyOp op) {
  auto type = cast<MemRefType>(op.getTarget().getType());
  return static_cast<int64_t>(op.getColumns()) *
         llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

bool Distributor::copiesInBulk(tile::CopyOp op) const {
  return role == Role::Producer && device.copiesInBulk &&
         op.getColumns() == op.getPadded() &&
         countRowBytes(op) % kVectorBytes == 0 &&
         arrivals.contains(op.getTarget());
}

/// Row by row; `pointer` is to the source, in which row `first` begins at
/// element `start`, and the next one is `stride` further on.
void Distributor::copyInBulk(tile::CopyOp op, Value pointer, Value start,
                             Value stride) {
  auto type = cast<MemRefType>(op.getTarget().getType());
  Type element = type.getElementType();
  int64_t size = llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  int64_t bytes = countRowBytes(op);
  Value barrier = arrivals.lookup(op.getTarget());
  Value offset = op.getTarget().getDefiningOp<memref::ViewOp>().getByteShift();
  Value there = e.sub(op.getEnd(), op.getFirst());
  auto vector = VectorType::get(kVectorBytes / size, element);
  e.loop(thread, e.index(type.getDimSize(0)), threads, [&](Value row) {
    auto copy = [&] {
      Value to = e.add(offset, e.mul(row, type.getDimSize(1) * size));
      Value from =
          e.add(pointer, e.mul(e.add(start, e.mul(row, stride)), size));
      Value count = constant32(e, static_cast<int32_t>(bytes));
      NVVM::MBarrierExpectTxOp::create(e, barrier, count);
      Value target = getPointer(getAddress(to), kShared);
      target = LLVM::AddrSpaceCastOp::create(
          e, LLVM::LLVMPointerType::get(e.getContext(), kSharedCluster),
          target);
      NVVM::CpAsyncBulkGlobalToSharedClusterOp::create(
          e, target, getPointer(from, kGlobal), barrier, count,
          /*multicastMask=*/Value(), /*l2CacheHint=*/Value());
    };
    auto clear = [&] {
      for (int64_t k = 0; k < bytes / kVectorBytes; ++k) {
        vector::StoreOp::create(
            e, e.constant(vector, 0.0), op.getTarget(),
            ValueRange{row, e.index(k * (kVectorBytes / size))},
            /*nontemporal=*/false, llvm::MaybeAlign(kVectorBytes));
      }
      fenceStores();
    };
    e.ifThen(e.less(row, there), copy, clear);
  });
}

void Distributor::fenceStores() {
  if (role == Role::Producer && device.copiesInBulk) {
    NVVM::FenceProxyOp::create(
        e,
        NVVM::ProxyKindAttr::get(e.getContext(), NVVM::ProxyKind::async_shared),
        NVVM::SharedSpaceAttr::get(e.getContext(),
                                   NVVM::SharedSpace::shared_cta));
  }
}
