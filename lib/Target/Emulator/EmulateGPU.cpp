//===- EmulateGPU.cpp - attn-emulate-gpu ----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A machine without a GPU runs the kernels that one with a GPU would be given:
//
//   gpu.module @m { llvm.func @k(%x: !llvm.ptr, ...) { nvvm.barrier0 ... } }
//   gpu.launch_func @m::@k blocks in ... threads in ... args(%x : memref<...>)
//   ->
//   llvm.func internal @m_k(%arguments: !llvm.ptr) {
//     llvm.call @attn_emulator_barrier(...)
//   }
//   llvm.call @attn_emulator_launch(kernel, sizes, arguments, buffers)
//
// Pointers of all address spaces become plain ones. Those to shared memory are
// small numbers, which only the emulator can follow.
//
//===----------------------------------------------------------------------===//

#include "attn/Target/Emulator/Passes.h"

#include "RuntimeCalls.h"
#include "SmallFloats.h"
#include "attn/Target/GPU/Device.h"
#include "attn_emulator.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"

namespace mlir::attn {
#define GEN_PASS_DEF_EMULATEGPUPASS
#include "attn/Target/Emulator/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

static constexpr unsigned kSharedSpace = 3;

namespace {
/// One gpu.module.
class Translator {
public:
  Translator(gpu::GPUModuleOp device, ModuleOp host, SymbolTable &symbols)
      : device(device), host(host), symbols(symbols) {}

  /// Moves everything to the host's module. Kernels are added by the names that
  /// launches call them by.
  LogicalResult run(llvm::StringMap<Kernel> &kernels);

private:
  /// The chip that the module is for, if it says one.
  LogicalResult findTarget();
  void placeShared();
  void rename();
  LogicalResult translate(LLVM::LLVMFuncOp function);
  LogicalResult translate(Operation *op);
  void takeArgumentsByPointer(Kernel &kernel);
  Kernel makeKernel(LLVM::LLVMFuncOp function);

  gpu::GPUModuleOp device;
  ModuleOp host;
  SymbolTable &symbols;
  Sites sites;
  /// Where variables in shared memory are.
  llvm::StringMap<int64_t> places;
  int64_t staticBytes = 0;
  const Device *target = nullptr;
  SmallVector<LLVM::GlobalOp> constants;
};
} // namespace

LogicalResult Translator::findTarget() {
  ArrayAttr targets = device.getTargetsAttr();
  if (!targets || targets.empty()) {
    return success();
  }
  StringRef chip;
  if (auto amd = dyn_cast<ROCDL::ROCDLTargetAttr>(targets[0])) {
    chip = amd.getChip();
  } else if (auto nvidia = dyn_cast<NVVM::NVVMTargetAttr>(targets[0])) {
    chip = nvidia.getChip();
    // With instructions of this chip alone; all else is as without.
    chip.consume_back("a");
  }
  FailureOr<const Device *> found = getDevice(device, chip);
  target = succeeded(found) ? *found : nullptr;
  return success(target);
}

/// Variables of a known size first, so that what a launch asks for lies behind
/// them.
void Translator::placeShared() {
  DataLayout layout = DataLayout::closest(device.getBody()->getParentOp());
  constexpr int64_t kAlignment = 16;
  SmallVector<LLVM::GlobalOp> shared;
  for (auto global : device.getOps<LLVM::GlobalOp>()) {
    if (global.getAddrSpace() == kSharedSpace) {
      shared.push_back(global);
    } else {
      constants.push_back(global);
    }
  }
  auto getSize = [&](LLVM::GlobalOp global) {
    return static_cast<int64_t>(
        layout.getTypeSize(global.getGlobalType()).getFixedValue());
  };
  for (LLVM::GlobalOp global : shared) {
    if (int64_t size = getSize(global)) {
      auto alignment = std::max<int64_t>(
          kAlignment, static_cast<int64_t>(global.getAlignment().value_or(1)));
      staticBytes = static_cast<int64_t>(llvm::alignTo(staticBytes, alignment));
      places[global.getSymName()] = staticBytes;
      staticBytes += size;
    }
  }
  staticBytes = static_cast<int64_t>(llvm::alignTo(staticBytes, kAlignment));
  for (LLVM::GlobalOp global : shared) {
    places.try_emplace(global.getSymName(), staticBytes);
    global.erase();
  }
}

/// Names that the host's module does not have yet.
void Translator::rename() {
  auto moved = llvm::to_vector(device.getOps<SymbolOpInterface>());
  SmallVector<StringAttr> names;
  for (SymbolOpInterface symbol : moved) {
    names.push_back(StringAttr::get(
        host.getContext(),
        getUnusedName(symbols,
                      (device.getName() + "_" + symbol.getName()).str())));
    (void)SymbolTable::replaceAllSymbolUses(symbol, names.back(), device);
  }
  // Uses are looked for in the device's module: all are renamed by now.
  for (auto [symbol, name] : llvm::zip(moved, names)) {
    symbol->remove();
    symbol.setName(name);
    symbols.insert(symbol);
  }
}

/// Ops of the LLVM dialect that may have pointers, and do nothing with what
/// they point to.
static bool isOnPointers(Operation *op) {
  return isa<LLVM::GEPOp, LLVM::PtrToIntOp, LLVM::IntToPtrOp,
             LLVM::AddrSpaceCastOp, LLVM::ICmpOp, LLVM::SelectOp, LLVM::BrOp,
             LLVM::CondBrOp, LLVM::SwitchOp, LLVM::CallOp, LLVM::ReturnOp,
             LLVM::InsertValueOp, LLVM::ExtractValueOp, LLVM::FreezeOp,
             LLVM::BitcastOp, LLVM::InsertElementOp, LLVM::ExtractElementOp,
             LLVM::AssumeOp>(op);
}

/// The exact function for an approximation of it.
static bool replaceMath(Operation *op, Calls &calls) {
  auto call = dyn_cast<LLVM::CallIntrinsicOp>(op);
  StringRef name = call ? call.getIntrin() : StringRef();
  if (!name.consume_front("llvm.nvvm.ex2.approx.") ||
      (name != "f32" && name != "ftz.f32")) {
    return false;
  }
  Type f32 = call.getResult(0).getType();
  Value power = LLVM::Exp2Op::create(calls, f32, call.getArgs()[0]);
  if (name == "ftz.f32") {
    auto number = [&](float value) -> Value {
      return LLVM::ConstantOp::create(calls, f32, calls.getF32FloatAttr(value));
    };
    Value isTiny = LLVM::FCmpOp::create(calls, LLVM::FCmpPredicate::olt, power,
                                        number(0x1p-126f));
    power = LLVM::SelectOp::create(calls, isTiny, number(0.0f), power);
  }
  op->replaceAllUsesWith(ValueRange(power));
  op->erase();
  return true;
}

LogicalResult Translator::translate(Operation *op) {
  Calls calls(op, host, sites);
  if (replaceMath(op, calls)) {
    return success();
  }
  for (auto replace :
       {replaceThreadOp, replaceMemoryOp, replaceMBarrierOp, replaceBulkOp,
        replaceMatrixOp, replaceWaveOp, replaceClusterOp, replaceWarpgroupOp}) {
    FailureOr<bool> replaced = replace(op, calls);
    if (failed(replaced)) {
      return failure();
    }
    if (*replaced) {
      return success();
    }
  }
  if (isOfProducts(op)) {
    return success();
  }
  bool isKnown = isa<LLVM::LLVMDialect>(op->getDialect()) &&
                 !isa<LLVM::InlineAsmOp, LLVM::CallIntrinsicOp>(op);
  bool hasPointers =
      llvm::any_of(op->getOperandTypes(), llvm::IsaPred<LLVM::LLVMPointerType>);
  if (!isKnown || (hasPointers && !isOnPointers(op))) {
    return op->emitOpError("is not one that the emulated GPU can do");
  }
  if (auto call = dyn_cast<LLVM::CallOp>(op)) {
    auto callee = call.getCallee();
    auto function =
        callee ? device.lookupSymbol<LLVM::LLVMFuncOp>(*callee) : nullptr;
    if (!function || function.isExternal()) {
      return call.emitOpError("calls '")
             << callee.value_or("a pointer")
             << "', which is no function of the GPU's module with a body";
    }
  } else if (auto address = dyn_cast<LLVM::AddressOfOp>(op)) {
    auto place = places.find(address.getGlobalName());
    if (place != places.end()) {
      Value number =
          calls.constant64(ATTN_EMULATOR_SHARED_BASE + place->second);
      Value pointer =
          LLVM::IntToPtrOp::create(calls, address.getType(), number);
      address.replaceAllUsesWith(pointer);
      address.erase();
    }
  } else if (auto cast = dyn_cast<LLVM::AddrSpaceCastOp>(op)) {
    cast->replaceAllUsesWith(ValueRange{cast.getArg()});
    cast.erase();
  }
  return success();
}

LogicalResult Translator::translate(LLVM::LLVMFuncOp function) {
  // Address spaces are told apart by pointers, so casts go last.
  SmallVector<Operation *> ops, casts;
  function.getBody().walk([&](Operation *op) {
    (isa<LLVM::AddrSpaceCastOp>(op) ? casts : ops).push_back(op);
  });
  llvm::append_range(ops, casts);
  for (Operation *op : ops) {
    if (failed(translate(op))) {
      return failure();
    }
  }
  return replaceProducts(function, host, sites);
}

/// The emulator starts every thread with the same pointers.
void Translator::takeArgumentsByPointer(Kernel &kernel) {
  LLVM::LLVMFuncOp function = kernel.function;
  Block &entry = function.getBody().front();
  auto pointer = LLVM::LLVMPointerType::get(host.getContext());
  ImplicitLocOpBuilder b(function.getLoc(), &entry, entry.begin());
  unsigned count = entry.getNumArguments();
  DataLayout layout = DataLayout::closest(function);
  BlockArgument all = entry.addArgument(pointer, function.getLoc());
  for (unsigned k = 0; k < count; ++k) {
    BlockArgument argument = entry.getArgument(k);
    kernel.arguments.push_back(argument.getType());
    Value slot =
        LLVM::GEPOp::create(b, pointer, pointer, all,
                            ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(k)});
    Value place = LLVM::LoadOp::create(b, pointer, slot);
    // One that is passed by value is a pointer to what the host has.
    auto byValue = function.getArgAttrOfType<TypeAttr>(
        k, LLVM::LLVMDialect::getByValAttrName());
    kernel.valueBytes.push_back(
        byValue ? static_cast<int64_t>(layout.getTypeSize(byValue.getValue()))
                : 0);
    argument.replaceAllUsesWith(
        LLVM::LoadOp::create(b, argument.getType(), place));
  }
  entry.eraseArguments(0, count);
  function.removeArgAttrsAttr();
  function.removeResAttrsAttr();
  function.setType(LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(host.getContext()), {pointer}));
}

Kernel Translator::makeKernel(LLVM::LLVMFuncOp function) {
  Kernel kernel;
  kernel.function = function;
  takeArgumentsByPointer(kernel);
  kernel.staticSharedBytes = staticBytes;
  kernel.constants = constants;
  if (target) {
    kernel.warpSize = target->warpSize;
    kernel.maxSharedBytes = target->sharedBytes;
  }
  return kernel;
}

/// What only a GPU's compiler reads.
static void dropAttributes(LLVM::LLVMFuncOp function) {
  SmallVector<StringAttr> names;
  for (NamedAttribute attribute : function->getDiscardableAttrs()) {
    StringRef dialect = attribute.getName().strref().split('.').first;
    if (dialect == "nvvm" || dialect == "rocdl" || dialect == "gpu") {
      names.push_back(attribute.getName());
    }
  }
  for (StringAttr name : names) {
    function->removeDiscardableAttr(name);
  }
  function.setCConv(LLVM::CConv::C);
  if (!function.isExternal()) {
    function.setLinkage(LLVM::Linkage::Internal);
  }
}

/// Pointers of one kind.
static void dropAddressSpaces(Operation *op) {
  AttrTypeReplacer replacer;
  replacer.addReplacement([](LLVM::LLVMPointerType type) -> Type {
    return LLVM::LLVMPointerType::get(type.getContext());
  });
  replacer.recursivelyReplaceElementsIn(op, /*replaceAttrs=*/true,
                                        /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
}

LogicalResult Translator::run(llvm::StringMap<Kernel> &kernels) {
  auto functions = llvm::to_vector(device.getOps<LLVM::LLVMFuncOp>());
  SmallVector<std::string> names;
  for (LLVM::LLVMFuncOp function : functions) {
    names.push_back(function.getName().str());
  }
  for (Operation &op : *device.getBody()) {
    if (!isa<LLVM::LLVMFuncOp, LLVM::GlobalOp>(op)) {
      return op.emitOpError("is not one that the emulated GPU can do");
    }
  }
  if (failed(findTarget())) {
    return failure();
  }
  placeShared();
  for (LLVM::LLVMFuncOp function : functions) {
    if (failed(translate(function))) {
      return failure();
    }
  }
  rename();
  SmallVector<Kernel *> made;
  for (auto [function, name] : llvm::zip(functions, names)) {
    bool isKernel = function->hasAttr(gpu::GPUDialect::getKernelFuncAttrName());
    auto registers = function->getAttrOfType<IntegerAttr>(
        NVVM::NVVMDialect::getMaxnregAttrName());
    auto cluster = function->getAttrOfType<DenseI32ArrayAttr>(
        NVVM::NVVMDialect::getClusterDimAttrName());
    dropAttributes(function);
    if (isKernel && !function.isExternal()) {
      Kernel &kernel = kernels[(device.getName() + "::" + name).str()] =
          makeKernel(function);
      kernel.name = name;
      kernel.registers = registers ? registers.getInt() : 0;
      if (cluster) {
        llvm::copy(cluster.asArrayRef(), kernel.cluster);
      }
      made.push_back(&kernel);
    }
    dropAddressSpaces(function);
    moveSmallFloatsAsBits(function);
  }
  for (LLVM::GlobalOp global : constants) {
    global.setAddrSpace(0);
    dropAddressSpaces(global);
  }
  for (Kernel *kernel : made) {
    kernel->sites = sites.getText().str();
  }
  device.erase();
  return success();
}

namespace {
struct EmulateGPUPass : attn::impl::EmulateGPUPassBase<EmulateGPUPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp host = getOperation();
    SymbolTable symbols(host);
    llvm::StringMap<Kernel> kernels;
    auto devices = llvm::to_vector(host.getOps<gpu::GPUModuleOp>());
    for (gpu::GPUModuleOp device : devices) {
      if (failed(Translator(device, host, symbols).run(kernels))) {
        return signalPassFailure();
      }
    }
    SmallVector<gpu::LaunchFuncOp> launches;
    host.walk([&](gpu::LaunchFuncOp op) { launches.push_back(op); });
    for (gpu::LaunchFuncOp op : launches) {
      std::string name = (op.getKernelModuleName().getValue() +
                          "::" + op.getKernelName().getValue())
                             .str();
      auto found = kernels.find(name);
      if (found == kernels.end()) {
        op.emitOpError("launches '" + name +
                       "', which is no kernel in the LLVM dialect");
        return signalPassFailure();
      }
      if (failed(replaceLaunch(op, found->second, host, symbols))) {
        return signalPassFailure();
      }
    }
    host->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
  }
};
} // namespace
