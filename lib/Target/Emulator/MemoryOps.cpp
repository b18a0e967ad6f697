//===- MemoryOps.cpp - loads, stores and copies ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An op on memory stays, at the address that the emulator gives for it:
//
//   %x = llvm.load %p : !llvm.ptr<3> -> f32
//   ->
//   %q = llvm.call @attn_emulator_access_shared(%p, 4, read, 4, site)
//   %x = llvm.load %q : !llvm.ptr -> f32
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "attn_emulator.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

static constexpr unsigned kSharedSpace = 3;
/// Of the cluster.
static constexpr unsigned kClusterSpace = 7;

static bool isShared(Value pointer) {
  auto type = cast<LLVM::LLVMPointerType>(pointer.getType());
  return type.getAddressSpace() == kSharedSpace ||
         type.getAddressSpace() == kClusterSpace;
}

/// Whether it points to memory of the thread's own.
static bool isLocal(Value pointer) {
  while (Operation *op = pointer.getDefiningOp()) {
    if (isa<LLVM::AllocaOp>(op)) {
      return true;
    }
    if (!isa<LLVM::GEPOp, LLVM::AddrSpaceCastOp, LLVM::BitcastOp>(op)) {
      return false;
    }
    pointer = op->getOperand(0);
  }
  return false;
}

static Value access(Calls &calls, Value pointer, Value bytes, int32_t kind,
                    int64_t alignment) {
  return calls.call(isShared(pointer) ? "attn_emulator_access_shared"
                                      : "attn_emulator_access",
                    calls.pointer(),
                    {pointer, bytes, calls.constant(kind),
                     calls.constant(static_cast<int32_t>(alignment)),
                     calls.site()});
}

/// The operand is the address of a value of the type.
static void replaceAddress(Calls &calls, OpOperand &address, Type type,
                           int32_t kind, std::optional<uint64_t> alignment) {
  if (isLocal(address.get())) {
    return;
  }
  auto layout = DataLayout::closest(address.getOwner());
  auto bytes = static_cast<int64_t>(layout.getTypeSize(type).getFixedValue());
  if (auto vector = dyn_cast<VectorType>(type)) {
    // Elements that fill up to a power of two are not accessed.
    uint64_t bits = vector.getNumElements() *
                    layout.getTypeSizeInBits(vector.getElementType());
    bytes = static_cast<int64_t>(llvm::divideCeil(bits, 8));
  }
  uint64_t natural = layout.getTypeABIAlignment(type);
  address.set(access(calls, address.get(), calls.constant64(bytes), kind,
                     static_cast<int64_t>(alignment.value_or(natural))));
}

static int32_t withOrder(int32_t kind, LLVM::AtomicOrdering ordering) {
  return ordering == LLVM::AtomicOrdering::not_atomic
             ? kind
             : kind | ATTN_EMULATOR_ATOMIC;
}

static void replaceTransfer(Calls &calls, OpOperand &address, Value length,
                            int32_t kind) {
  if (!isLocal(address.get())) {
    Value bytes = length;
    if (bytes.getType() != calls.getI64Type()) {
      bytes = LLVM::ZExtOp::create(calls, calls.getI64Type(), bytes);
    }
    address.set(access(calls, address.get(), bytes, kind, 1));
  }
}

static void replaceCopy(NVVM::CpAsyncOp op, Calls &calls) {
  Value bytes = calls.constant(static_cast<int32_t>(op.getSize()));
  Value source = op.getCpSize() ? Value(op.getCpSize()) : bytes;
  calls.call("attn_emulator_copy_async", {},
             {op.getDst(), op.getSrc(), bytes, source, calls.site()});
  op->erase();
}

FailureOr<bool> emulator::replaceMemoryOp(Operation *op, Calls &calls) {
  constexpr int32_t kRead = ATTN_EMULATOR_READ, kWrite = ATTN_EMULATOR_WRITE;
  constexpr int32_t kAtomic = kRead | kWrite | ATTN_EMULATOR_ATOMIC;
  return TypeSwitch<Operation *, bool>(op)
      .Case([&](LLVM::LoadOp load) {
        replaceAddress(calls, load.getAddrMutable(), load.getType(),
                       withOrder(kRead, load.getOrdering()),
                       load.getAlignment());
        return true;
      })
      .Case([&](LLVM::StoreOp store) {
        replaceAddress(
            calls, store.getAddrMutable(), store.getValue().getType(),
            withOrder(kWrite, store.getOrdering()), store.getAlignment());
        return true;
      })
      .Case([&](LLVM::AtomicRMWOp atomic) {
        replaceAddress(calls, atomic.getPtrMutable(), atomic.getVal().getType(),
                       kAtomic, atomic.getAlignment());
        return true;
      })
      .Case([&](LLVM::AtomicCmpXchgOp atomic) {
        replaceAddress(calls, atomic.getPtrMutable(), atomic.getVal().getType(),
                       kAtomic, atomic.getAlignment());
        return true;
      })
      .Case<LLVM::MemcpyOp, LLVM::MemmoveOp>([&](auto copy) {
        replaceTransfer(calls, copy.getSrcMutable(), copy.getLen(), kRead);
        replaceTransfer(calls, copy.getDstMutable(), copy.getLen(), kWrite);
        return true;
      })
      .Case([&](LLVM::MemsetOp set) {
        replaceTransfer(calls, set.getDstMutable(), set.getLen(), kWrite);
        return true;
      })
      .Case([&](NVVM::CpAsyncOp copy) {
        replaceCopy(copy, calls);
        return true;
      })
      .Case([&](NVVM::CpAsyncCommitGroupOp) {
        calls.call("attn_emulator_copy_commit", {}, {});
        op->erase();
        return true;
      })
      .Case([&](NVVM::CpAsyncWaitGroupOp wait) {
        calls.call(
            "attn_emulator_copy_wait", {},
            ValueRange{calls.constant(static_cast<int32_t>(wait.getN()))});
        op->erase();
        return true;
      })
      // Hints.
      .Case<NVVM::PrefetchOp, LLVM::Prefetch, LLVM::LifetimeStartOp,
            LLVM::LifetimeEndOp>([&](auto) {
        op->erase();
        return true;
      })
      .Default(false);
}
