//===- Launches.cpp - launches as calls of the emulator -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arguments travel in a struct on the stack, with an array of pointers to its
// fields:
//
//   fields    = { pointer, pointer, offset, size, stride, ... }
//   arguments = [ &fields[0], &fields[1], ... ]
//   buffers   = [ { "argument 0", 1, 1, 4 }, ... ]
//
// A buffer says at which argument its pointer is, its rank, and the bytes of an
// element, so that the runtime finds its extent when it is launched.
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

namespace {
/// A row of the table that the runtime gets.
struct Buffer {
  std::string name;
  int64_t argument, rank, elementBytes;
};

class LaunchWriter {
public:
  LaunchWriter(gpu::LaunchFuncOp op, Kernel &kernel, ModuleOp host,
               SymbolTable &symbols)
      : op(op), kernel(kernel), host(host), symbols(symbols),
        b(op.getLoc(), op), converter(op.getContext()),
        pointer(LLVM::LLVMPointerType::get(op.getContext())) {}

  LogicalResult run();

private:
  LogicalResult collectArguments();
  Value packArguments();
  Value packSizes();
  Value describeKernel();
  Value describeBuffers();
  Value slot(Type type);
  Value i64(int64_t value) {
    return LLVM::ConstantOp::create(b, b.getI64Type(), value);
  }
  /// A table in the host's module that `fill` makes, and its address.
  Value table(StringRef name, Type type,
              function_ref<Value(ImplicitLocOpBuilder &)> fill);

  gpu::LaunchFuncOp op;
  Kernel &kernel;
  ModuleOp host;
  SymbolTable &symbols;
  ImplicitLocOpBuilder b;
  LLVMTypeConverter converter;
  Type pointer;
  SmallVector<Value> arguments;
  SmallVector<Buffer> buffers;
};
} // namespace

/// What users call an operand of a launch.
static std::string getName(int64_t index, Value operand) {
  std::string name = "argument " + std::to_string(index);
  StringRef given;
  if (auto argument = dyn_cast<BlockArgument>(operand)) {
    auto function =
        dyn_cast<FunctionOpInterface>(argument.getOwner()->getParentOp());
    auto attribute = function ? function.getArgAttrOfType<StringAttr>(
                                    argument.getArgNumber(), "attn.name")
                              : StringAttr();
    given = attribute ? attribute.getValue() : StringRef();
  }
  if (given.empty()) {
    auto loc = operand.getLoc()->findInstanceOf<NameLoc>();
    given = loc ? loc.getName().getValue() : StringRef();
  }
  return given.empty() ? name : name + " ('" + given.str() + "')";
}

LogicalResult LaunchWriter::collectArguments() {
  for (auto [k, operand] : llvm::enumerate(op.getKernelOperands())) {
    auto index = static_cast<int64_t>(k);
    Type type = converter.convertType(operand.getType());
    if (!type || isa<UnrankedMemRefType>(operand.getType())) {
      return op.emitOpError("passes argument ")
             << index << " of type " << operand.getType()
             << ", which the emulated GPU cannot take";
    }
    Value converted = operand;
    if (type != operand.getType()) {
      converted =
          UnrealizedConversionCastOp::create(b, type, operand).getResult(0);
    }
    if (auto memref = dyn_cast<MemRefType>(operand.getType())) {
      auto layout = DataLayout::closest(op);
      auto bytes = static_cast<int64_t>(
          layout.getTypeSize(memref.getElementType()).getFixedValue());
      // Behind the pointer that was allocated comes the one that is aligned.
      buffers.push_back({getName(index, operand),
                         static_cast<int64_t>(arguments.size()) + 1,
                         memref.getRank(), bytes});
    }
    llvm::append_range(arguments, converter.promoteOperands(
                                      op.getLoc(), operand, converted, b));
  }
  if (arguments.size() != kernel.arguments.size()) {
    return op.emitOpError("passes ")
           << arguments.size() << " values to a kernel of "
           << kernel.arguments.size() << " arguments";
  }
  for (auto [k, given, wanted] : llvm::enumerate(arguments, kernel.arguments)) {
    bool arePointers = isa<LLVM::LLVMPointerType>(given.getType()) &&
                       isa<LLVM::LLVMPointerType>(wanted);
    if (given.getType() != wanted && !arePointers) {
      return op.emitOpError("passes a value of type ")
             << given.getType() << " for argument " << k << " of type "
             << wanted << " of the kernel";
    }
  }
  for (LLVM::GlobalOp global : kernel.constants) {
    auto layout = DataLayout::closest(global);
    auto bytes = static_cast<int64_t>(
        layout.getTypeSize(global.getGlobalType()).getFixedValue());
    buffers.push_back({("variable '" + global.getSymName() + "'").str(),
                       static_cast<int64_t>(arguments.size()), -1, bytes});
    arguments.push_back(LLVM::AddressOfOp::create(b, global));
  }
  return success();
}

/// Memory for one value, taken once for each call of the function.
Value LaunchWriter::slot(Type type) {
  OpBuilder::InsertionGuard guard(b);
  Operation *scope =
      op->getParentWithTrait<OpTrait::AutomaticAllocationScope>();
  b.setInsertionPointToStart(&scope->getRegion(0).front());
  return LLVM::AllocaOp::create(b, pointer, type, i64(1));
}

Value LaunchWriter::packArguments() {
  SmallVector<Type> types;
  for (Value argument : arguments) {
    types.push_back(argument.getType());
  }
  auto fields = LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  Value values = slot(fields);
  Value places = slot(LLVM::LLVMArrayType::get(pointer, arguments.size()));
  for (auto [k, argument] : llvm::enumerate(arguments)) {
    auto index = static_cast<int32_t>(k);
    Value place = LLVM::GEPOp::create(b, pointer, fields, values,
                                      ArrayRef<LLVM::GEPArg>{0, index});
    LLVM::StoreOp::create(b, argument, place);
    Value entry = LLVM::GEPOp::create(b, pointer, pointer, places,
                                      ArrayRef<LLVM::GEPArg>{index});
    LLVM::StoreOp::create(b, place, entry);
  }
  return places;
}

Value LaunchWriter::packSizes() {
  Type wide = b.getI64Type();
  SmallVector<Value> sizes;
  for (Value size :
       {op.getGridSizeX(), op.getGridSizeY(), op.getGridSizeZ(),
        op.getBlockSizeX(), op.getBlockSizeY(), op.getBlockSizeZ()}) {
    if (size.getType().isIndex()) {
      size = UnrealizedConversionCastOp::create(b, wide, size).getResult(0);
    } else if (size.getType() != wide) {
      size = LLVM::SExtOp::create(b, wide, size);
    }
    sizes.push_back(size);
  }
  sizes.push_back(i64(kernel.staticSharedBytes));
  Value dynamic = op.getDynamicSharedMemorySize();
  sizes.push_back(dynamic ? LLVM::SExtOp::create(b, wide, dynamic).getResult()
                          : i64(0));
  Value table = slot(LLVM::LLVMArrayType::get(wide, sizes.size()));
  for (auto [k, size] : llvm::enumerate(sizes)) {
    LLVM::StoreOp::create(
        b, size,
        LLVM::GEPOp::create(b, pointer, wide, table,
                            ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(k)}));
  }
  return table;
}

Value LaunchWriter::table(StringRef name, Type type,
                          function_ref<Value(ImplicitLocOpBuilder &)> fill) {
  OpBuilder detached(b.getContext());
  auto global = LLVM::GlobalOp::create(
      detached, op.getLoc(), type, /*isConstant=*/true, LLVM::Linkage::Internal,
      getUnusedName(symbols, name), Attribute());
  symbols.insert(global);
  Block *block = new Block();
  global.getInitializerRegion().push_back(block);
  ImplicitLocOpBuilder inside(op.getLoc(), block, block->begin());
  LLVM::ReturnOp::create(inside, fill(inside));
  return LLVM::AddressOfOp::create(b, global);
}

Value LaunchWriter::describeKernel() {
  std::string prefix = (kernel.function.getName() + "_").str();
  // Launches of one kernel share its description.
  std::string name = prefix + "kernel";
  if (auto found = symbols.lookup<LLVM::GlobalOp>(name)) {
    return LLVM::AddressOfOp::create(b, found);
  }
  LLVM::GlobalOp nameText =
      addText(host, symbols, prefix + "name", kernel.name);
  LLVM::GlobalOp siteText =
      addText(host, symbols, prefix + "sites", kernel.sites);
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                               {pointer, pointer, pointer});
  return table(name, type, [&](ImplicitLocOpBuilder &inside) {
    Value fields[] = {LLVM::AddressOfOp::create(inside, nameText),
                      LLVM::AddressOfOp::create(inside, kernel.function),
                      LLVM::AddressOfOp::create(inside, siteText)};
    Value value = LLVM::UndefOp::create(inside, type);
    for (auto [k, field] : llvm::enumerate(fields)) {
      value = LLVM::InsertValueOp::create(inside, value, field,
                                          static_cast<int64_t>(k));
    }
    return value;
  });
}

Value LaunchWriter::describeBuffers() {
  if (buffers.empty()) {
    return LLVM::ZeroOp::create(b, pointer);
  }
  std::string prefix = (kernel.function.getName() + "_").str();
  Type wide = b.getI64Type();
  auto row = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                              {pointer, wide, wide, wide});
  SmallVector<LLVM::GlobalOp> names;
  for (const Buffer &buffer : buffers) {
    names.push_back(addText(host, symbols, prefix + "buffer", buffer.name));
  }
  auto type = LLVM::LLVMArrayType::get(row, buffers.size());
  return table(prefix + "buffers", type, [&](ImplicitLocOpBuilder &inside) {
    auto number = [&](int64_t value) -> Value {
      return LLVM::ConstantOp::create(inside, wide, value);
    };
    Value value = LLVM::UndefOp::create(inside, type);
    for (auto [k, buffer, name] : llvm::enumerate(buffers, names)) {
      Value fields[] = {LLVM::AddressOfOp::create(inside, name),
                        number(buffer.argument), number(buffer.rank),
                        number(buffer.elementBytes)};
      for (auto [f, field] : llvm::enumerate(fields)) {
        value = LLVM::InsertValueOp::create(
            inside, value, field,
            ArrayRef<int64_t>{static_cast<int64_t>(k),
                              static_cast<int64_t>(f)});
      }
    }
    return value;
  });
}

LogicalResult LaunchWriter::run() {
  if (op.getAsyncToken() || !op.getAsyncDependencies().empty()) {
    return op.emitOpError("is asynchronous; the emulated GPU runs launches "
                          "while the host waits");
  }
  if (op.hasClusterSize()) {
    return op.emitOpError("has clusters, which the emulated GPU does not have");
  }
  if (failed(collectArguments())) {
    return failure();
  }
  Value values[] = {describeKernel(), packSizes(), packArguments(),
                    describeBuffers(),
                    i64(static_cast<int64_t>(buffers.size()))};
  auto type = LLVM::LLVMFunctionType::get(
      b.getI32Type(), {pointer, pointer, pointer, pointer, b.getI64Type()});
  LLVM::CallOp::create(b, declare(host, "attn_emulator_launch", type), values);
  op.erase();
  return success();
}

LogicalResult emulator::replaceLaunch(Operation *op, Kernel &kernel,
                                      ModuleOp host, SymbolTable &symbols) {
  return LaunchWriter(cast<gpu::LaunchFuncOp>(op), kernel, host, symbols).run();
}
