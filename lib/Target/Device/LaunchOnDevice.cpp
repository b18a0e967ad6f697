//===- LaunchOnDevice.cpp - attn-launch-on-device -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Host code of a function whose tensors are on a device:
//
//   %table = memref.get_global @t : memref<32xf32>
//   gpu.launch_func @kernels::@k blocks in ... threads in ... args(%table, ...)
//   ->
//   %table = llvm.call @attn_device_constant(address of @t, 128)
//   llvm.call @attn_device_launch(number of @k, sizes, arguments)
//
//   %x = memref.load %sizes[%i] : memref<?xi64>
//   ->
//   %room = memref.alloca() : memref<i64>      // at the function's start
//   llvm.call @attn_device_read(address of %room, address of %sizes[%i], 8)
//   %x = memref.load %room[]
//
// Deallocation compares buffers by lists of their addresses, which are read and
// written here; they become memory on the stack, as all that is allocated is on
// the device.
//
//===----------------------------------------------------------------------===//

#include "attn/Target/Device/Passes.h"

#include "attn/Support/Emit.h"
#include "attn/Target/Device/LaunchArguments.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::attn {
#define GEN_PASS_DEF_LAUNCHONDEVICEPASS
#include "attn/Target/Device/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// The function that upstream's lowering of deallocations calls with lists.
static constexpr StringLiteral kHelper = "dealloc_helper";

SmallVector<LLVM::LLVMFuncOp> attn::getKernels(gpu::GPUModuleOp module) {
  SmallVector<LLVM::LLVMFuncOp> kernels;
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (function->hasAttr(gpu::GPUDialect::getKernelFuncAttrName())) {
      kernels.push_back(function);
    }
  }
  return kernels;
}

/// Whether a buffer is a list of addresses, or of what is to be done with them:
/// of fixed length, and seen by loads, stores and the helper alone.
static bool isList(Value buffer) {
  return llvm::all_of(buffer.getUsers(), [](Operation *user) {
    auto call = dyn_cast<func::CallOp>(user);
    return isa<memref::LoadOp, memref::StoreOp, memref::DeallocOp>(user) ||
           (call && call.getCallee() == kHelper) ||
           (isa<memref::CastOp>(user) && isList(user->getResult(0)));
  });
}

static void putOnStack(memref::AllocOp alloc) {
  for (Operation *user : llvm::make_early_inc_range(alloc->getUsers())) {
    if (isa<memref::DeallocOp>(user)) {
      user->erase();
    }
  }
  OpBuilder b(alloc);
  alloc.replaceAllUsesWith(
      memref::AllocaOp::create(b, alloc.getLoc(), alloc.getType()).getResult());
  alloc.erase();
}

/// Whether the host may touch what is behind a value.
static bool isOnHost(Value buffer) {
  while (auto cast = buffer.getDefiningOp<memref::CastOp>()) {
    buffer = cast.getSource();
  }
  if (auto argument = dyn_cast<BlockArgument>(buffer)) {
    auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    return function && function.getName() == kHelper;
  }
  return buffer.getDefiningOp<memref::AllocaOp>() != nullptr;
}

/// Refuses what touches elements of tensors, but for loads of one.
static LogicalResult checkAccesses(func::FuncOp function) {
  WalkResult result = function.walk([](Operation *op) {
    auto effects = dyn_cast<MemoryEffectOpInterface>(op);
    if (!effects || isa<gpu::LaunchFuncOp, memref::LoadOp>(op)) {
      return WalkResult::advance();
    }
    SmallVector<MemoryEffects::EffectInstance> found;
    effects.getEffects(found);
    bool touches = llvm::any_of(found, [](const auto &effect) {
      bool isAccess =
          isa<MemoryEffects::Read, MemoryEffects::Write>(effect.getEffect());
      Value value = effect.getValue();
      return isAccess && value && isa<BaseMemRefType>(value.getType()) &&
             !isOnHost(value);
    });
    if (!touches) {
      return WalkResult::advance();
    }
    op->emitOpError("touches elements of a tensor on the host, which is not "
                    "possible where that is on a device");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

/// The bytes of an element.
static int64_t getWidth(Operation *op, MemRefType type) {
  llvm::TypeSize size =
      DataLayout::closest(op).getTypeSize(type.getElementType());
  return static_cast<int64_t>(size.getFixedValue());
}

/// The element, by way of a buffer of the host's.
static void readFromDevice(memref::LoadOp op, ModuleOp host) {
  auto function = op->getParentOfType<func::FuncOp>();
  auto start = OpBuilder::atBlockBegin(&function.getBody().front());
  MemRefType type = op.getMemRefType();
  auto room = memref::AllocaOp::create(
      start, op.getLoc(), MemRefType::get({}, type.getElementType()));
  Emit e(op.getLoc(), op);
  int64_t width = getWidth(op, type);
  auto parts = memref::ExtractStridedMetadataOp::create(e, op.getMemRef());
  Value number = parts.getOffset();
  for (auto [index, stride] : llvm::zip(op.getIndices(), parts.getStrides())) {
    number = e.add(number, e.mul(index, stride));
  }
  Type pointer = LLVM::LLVMPointerType::get(e.getContext()),
       wide = e.getI64Type();
  auto getPointer = [&](Value address) -> Value {
    Value bits = arith::IndexCastOp::create(e, wide, address);
    return LLVM::IntToPtrOp::create(e, pointer, bits);
  };
  Value to = memref::ExtractAlignedPointerAsIndexOp::create(e, room);
  Value from =
      memref::ExtractAlignedPointerAsIndexOp::create(e, op.getMemRef());
  Value operands[] = {getPointer(to),
                      getPointer(e.add(from, e.mul(number, width))),
                      LLVM::ConstantOp::create(e, wide, width)};
  auto signature = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(e.getContext()), {pointer, pointer, wide});
  LLVM::CallOp::create(e, declareOnHost(host, "attn_device_read", signature),
                       operands);
  op.replaceAllUsesWith(e.load(room, {}));
  op.erase();
}

/// A constant of the host's module, as a buffer on the device.
static void copyConstant(memref::GetGlobalOp op, ModuleOp host) {
  ImplicitLocOpBuilder b(op.getLoc(), op->getBlock(),
                         std::next(op->getIterator()));
  auto type = cast<MemRefType>(op.getType());
  LLVMTypeConverter converter(b.getContext());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()),
       wide = b.getI64Type();
  int64_t width = getWidth(op, type);
  auto address = memref::ExtractAlignedPointerAsIndexOp::create(b, op);
  Value number =
      UnrealizedConversionCastOp::create(b, wide, address.getResult())
          .getResult(0);
  Value source = LLVM::IntToPtrOp::create(b, pointer, number);
  Value bytes =
      LLVM::ConstantOp::create(b, wide, type.getNumElements() * width);
  auto callee =
      declareOnHost(host, "attn_device_constant",
                    LLVM::LLVMFunctionType::get(pointer, {pointer, wide}));
  Value data =
      LLVM::CallOp::create(b, callee, ValueRange{source, bytes}).getResult();
  Value descriptor =
      MemRefDescriptor::fromStaticShape(b, op.getLoc(), converter, type, data);
  Value buffer =
      UnrealizedConversionCastOp::create(b, type, descriptor).getResult(0);
  op.getResult().replaceAllUsesExcept(buffer, address);
}

static LogicalResult
replaceLaunch(gpu::LaunchFuncOp op, ModuleOp host,
              const llvm::DenseMap<Operation *, int32_t> &numbers) {
  auto kernel = dyn_cast_or_null<LLVM::LLVMFuncOp>(
      SymbolTable::lookupSymbolIn(host, op.getKernel()));
  auto number = kernel ? numbers.find(kernel) : numbers.end();
  if (number == numbers.end()) {
    return op.emitOpError("launches '")
           << op.getKernelModuleName().getValue()
           << "::" << op.getKernelName().getValue()
           << "', which is no kernel in the LLVM dialect";
  }
  LaunchArguments arguments(op, "a device");
  if (failed(arguments.collect()) ||
      failed(arguments.check(kernel.getArgumentTypes()))) {
    return failure();
  }
  ImplicitLocOpBuilder &b = arguments.b;
  Type i32 = b.getI32Type();
  Value values[] = {LLVM::ConstantOp::create(b, i32, number->second),
                    arguments.packSizes(), arguments.packArguments()};
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                  {i32, arguments.pointer, arguments.pointer});
  LLVM::CallOp::create(b, declareOnHost(host, "attn_device_launch", type),
                       values);
  op.erase();
  return success();
}

namespace {
struct LaunchOnDevicePass
    : attn::impl::LaunchOnDevicePassBase<LaunchOnDevicePass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp host = getOperation();
    llvm::DenseMap<Operation *, int32_t> numbers;
    for (auto kernels : host.getOps<gpu::GPUModuleOp>()) {
      for (LLVM::LLVMFuncOp kernel : getKernels(kernels)) {
        numbers.try_emplace(kernel, static_cast<int32_t>(numbers.size()));
      }
    }
    for (auto function : host.getOps<func::FuncOp>()) {
      SmallVector<memref::AllocOp> allocs;
      function.walk([&](memref::AllocOp alloc) { allocs.push_back(alloc); });
      for (memref::AllocOp alloc : allocs) {
        bool isAccessed = llvm::any_of(alloc->getUsers(), [](Operation *user) {
          return isa<memref::LoadOp, memref::StoreOp, memref::CastOp>(user);
        });
        if (isAccessed && alloc.getType().hasStaticShape() &&
            isList(alloc.getResult())) {
          putOnStack(alloc);
        }
      }
      if (failed(checkAccesses(function))) {
        return signalPassFailure();
      }
    }
    SmallVector<Operation *> ops;
    host.walk([&](Operation *op) {
      auto load = dyn_cast<memref::LoadOp>(op);
      if (isa<gpu::LaunchFuncOp, memref::GetGlobalOp>(op) ||
          (load && !isOnHost(load.getMemRef()))) {
        ops.push_back(op);
      }
    });
    for (Operation *op : ops) {
      if (auto global = dyn_cast<memref::GetGlobalOp>(op)) {
        copyConstant(global, host);
      } else if (auto load = dyn_cast<memref::LoadOp>(op)) {
        readFromDevice(load, host);
      } else if (failed(replaceLaunch(cast<gpu::LaunchFuncOp>(op), host,
                                      numbers))) {
        return signalPassFailure();
      }
    }
  }
};
} // namespace
