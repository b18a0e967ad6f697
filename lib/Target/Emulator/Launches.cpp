//===- Launches.cpp - launches as calls of the emulator -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Beside the arguments that every launch has goes a table of buffers:
//
//   buffers   = [ { "argument 0", 1, 1, 4 }, ... ]
//
// It says at which argument its pointer is, its rank, and the bytes of an
// element, so that the runtime finds its extent when it is launched.
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "attn/Target/Device/LaunchArguments.h"
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
        arguments(op, "the emulated GPU"), b(arguments.b),
        pointer(arguments.pointer) {}

  LogicalResult run();

private:
  LogicalResult collectArguments();
  Value describeKernel();
  Value describeBuffers();
  /// A table in the host's module that `fill` makes, and its address.
  Value table(StringRef name, Type type,
              function_ref<Value(ImplicitLocOpBuilder &)> fill);

  gpu::LaunchFuncOp op;
  Kernel &kernel;
  ModuleOp host;
  SymbolTable &symbols;
  LaunchArguments arguments;
  ImplicitLocOpBuilder &b;
  Type pointer;
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
  auto layout = DataLayout::closest(op);
  auto visit = [&](int64_t number, Value operand, size_t first) {
    if (auto memref = dyn_cast<MemRefType>(operand.getType())) {
      auto bytes = static_cast<int64_t>(
          layout.getTypeSize(memref.getElementType()).getFixedValue());
      // Behind the pointer that was allocated comes the one that is aligned.
      buffers.push_back({getName(number, operand),
                         static_cast<int64_t>(first) + 1, memref.getRank(),
                         bytes});
    } else if (first < kernel.valueBytes.size() && kernel.valueBytes[first]) {
      buffers.push_back({getName(number, operand), static_cast<int64_t>(first),
                         -1, kernel.valueBytes[first]});
    }
  };
  if (failed(arguments.collect(visit)) ||
      failed(arguments.check(kernel.arguments))) {
    return failure();
  }
  for (LLVM::GlobalOp global : kernel.constants) {
    auto layout = DataLayout::closest(global);
    auto bytes = static_cast<int64_t>(
        layout.getTypeSize(global.getGlobalType()).getFixedValue());
    buffers.push_back({("variable '" + global.getSymName() + "'").str(),
                       static_cast<int64_t>(arguments.values.size()), -1,
                       bytes});
    arguments.values.push_back(LLVM::AddressOfOp::create(b, global));
  }
  return success();
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

static Value number(ImplicitLocOpBuilder &b, int64_t value) {
  return LLVM::ConstantOp::create(b, b.getI64Type(), value);
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
  SmallVector<Type> types(3, pointer);
  types.append(6, b.getI64Type());
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  return table(name, type, [&](ImplicitLocOpBuilder &inside) {
    Value fields[] = {LLVM::AddressOfOp::create(inside, nameText),
                      LLVM::AddressOfOp::create(inside, kernel.function),
                      LLVM::AddressOfOp::create(inside, siteText),
                      number(inside, kernel.warpSize),
                      number(inside, kernel.maxSharedBytes),
                      number(inside, kernel.registers),
                      number(inside, kernel.cluster[0]),
                      number(inside, kernel.cluster[1]),
                      number(inside, kernel.cluster[2])};
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
  if (failed(collectArguments())) {
    return failure();
  }
  Value values[] = {describeKernel(),
                    arguments.packSizes(kernel.staticSharedBytes),
                    arguments.packArguments(), describeBuffers(),
                    arguments.i64(static_cast<int64_t>(buffers.size()))};
  auto type = LLVM::LLVMFunctionType::get(
      b.getI32Type(), {pointer, pointer, pointer, pointer, b.getI64Type()});
  LLVM::CallOp::create(b, declareOnHost(host, "attn_emulator_launch", type),
                       values);
  op.erase();
  return success();
}

LogicalResult emulator::replaceLaunch(Operation *op, Kernel &kernel,
                                      ModuleOp host, SymbolTable &symbols) {
  return LaunchWriter(cast<gpu::LaunchFuncOp>(op), kernel, host, symbols).run();
}
