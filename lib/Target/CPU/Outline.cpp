//===- Outline.cpp - a stream as a function and its call ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The runtime owns the threads: it calls the kernel with ranges of row blocks.
//
//   attn.stream rows (...) in [%B, %H, %M] over %N ins(%q ...) outs(%o ...)
//   ->
//   %args = llvm.alloca : !llvm.struct<(descriptors and scalars)>
//   ... fill ...
//   call @attn_parallel_for(@f_stream0, %args, B * H * ceil(M / rows))
//
//   func.func private @f_stream0(%args: !llvm.ptr, %begin: i64, %end: i64)
//
// Kernels read their operands with vectors, so the last stride is 1 inside;
// operands where it is not are copied before the call.
//
//===----------------------------------------------------------------------===//

#include "Outline.h"

#include "Kernel.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// The type of an operand inside the kernel.
static Type getKernelType(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref || memref.getRank() == 0) {
    return type;
  }
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(memref.getStridesAndOffset(strides, offset)) ||
      strides.back() == 1) {
    return type;
  }
  strides.back() = 1;
  return MemRefType::get(
      memref.getShape(), memref.getElementType(),
      StridedLayoutAttr::get(type.getContext(), offset, strides),
      memref.getMemorySpace());
}

/// Copies `from` to a fresh contiguous buffer of the same shape.
static Value copyContiguous(Emit &e, Value from, ValueRange sizes) {
  auto type = cast<MemRefType>(from.getType());
  SmallVector<Value> dynamic;
  for (auto [extent, size] : llvm::zip(type.getShape(), sizes)) {
    if (ShapedType::isDynamic(extent)) {
      dynamic.push_back(size);
    }
  }
  auto flat = MemRefType::get(type.getShape(), type.getElementType());
  auto copy =
      memref::AllocOp::create(e, flat, dynamic, e.getI64IntegerAttr(64));
  markManual(copy);
  SmallVector<Value> place;
  std::function<void()> emit = [&] {
    size_t dim = place.size();
    if (dim == sizes.size()) {
      e.store(e.load(from, place), copy, place);
      return;
    }
    e.loop(e.index(0), sizes[dim], 1, [&](Value k) {
      place.push_back(k);
      emit();
      place.pop_back();
    });
  };
  emit();
  return copy;
}

/// `value` with last stride 1; what has to be freed after the call is appended
/// to `frees`, with the condition under which it was copied.
static Value normalise(Emit &e, Value value,
                       SmallVectorImpl<std::pair<Value, Value>> &frees) {
  Type want = getKernelType(value.getType());
  if (want == value.getType()) {
    return value;
  }
  auto type = cast<MemRefType>(want);
  auto metadata = memref::ExtractStridedMetadataOp::create(e, value);
  auto view = [&](Value base, ValueRange strides, Value offset) -> Value {
    SmallVector<OpFoldResult> sizeList, strideList;
    for (auto [extent, size] :
         llvm::zip(type.getShape(), metadata.getSizes())) {
      sizeList.push_back(ShapedType::isDynamic(extent)
                             ? OpFoldResult(size)
                             : OpFoldResult(e.getIndexAttr(extent)));
    }
    auto [staticStrides, staticOffset] = type.getStridesAndOffset();
    for (auto [fixed, stride] : llvm::zip(staticStrides, strides)) {
      strideList.push_back(ShapedType::isDynamic(fixed)
                               ? OpFoldResult(stride)
                               : OpFoldResult(e.getIndexAttr(fixed)));
    }
    OpFoldResult start = ShapedType::isDynamic(staticOffset)
                             ? OpFoldResult(offset)
                             : OpFoldResult(e.getIndexAttr(staticOffset));
    return memref::ReinterpretCastOp::create(e, type, base, start, sizeList,
                                             strideList);
  };
  auto equalsOne = [&](Value x) -> Value {
    return arith::CmpIOp::create(e, arith::CmpIPredicate::sle, x, e.index(1));
  };
  Value unit = arith::OrIOp::create(
      e,
      arith::CmpIOp::create(e, arith::CmpIPredicate::eq,
                            metadata.getStrides().back(), e.index(1)),
      equalsOne(metadata.getSizes().back()));
  Value result = e.ifValue(
      unit, type,
      [&] { return view(value, metadata.getStrides(), metadata.getOffset()); },
      [&] {
        Value copy = copyContiguous(e, value, metadata.getSizes());
        auto strides = memref::ExtractStridedMetadataOp::create(e, copy);
        return view(copy, strides.getStrides(), e.index(0));
      });
  frees.push_back({arith::XOrIOp::create(e, unit, e.truth(true)), result});
  return result;
}

static func::FuncOp getParallelFor(ModuleOp module) {
  StringRef name = "attn_parallel_for";
  if (auto found = module.lookupSymbol<func::FuncOp>(name)) {
    return found;
  }
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto function = func::FuncOp::create(
      b, module.getLoc(), name,
      b.getFunctionType({pointer, pointer, b.getI64Type()}, {}));
  function.setPrivate();
  return function;
}

namespace {
/// The argument struct: one field per operand of the stream.
struct Arguments {
  Arguments(ValueRange operands, MLIRContext *context) : converter(context) {
    for (Value operand : operands) {
      types.push_back(operand.getType());
      fields.push_back(converter.convertType(operand.getType()));
    }
    type = LLVM::LLVMStructType::getLiteral(context, fields);
  }
  Value field(Emit &e, Value pointer, int32_t k) {
    return LLVM::GEPOp::create(e, LLVM::LLVMPointerType::get(e.getContext()),
                               type, pointer, ArrayRef<LLVM::GEPArg>{0, k});
  }
  void fill(Emit &e, Value pointer, ValueRange operands) {
    for (auto [k, operand] : llvm::enumerate(operands)) {
      Value converted = operand;
      if (operand.getType() != fields[k]) {
        converted = UnrealizedConversionCastOp::create(e, fields[k], operand)
                        .getResult(0);
      }
      LLVM::StoreOp::create(e, converted, field(e, pointer, k));
    }
  }
  SmallVector<Value> load(Emit &e, Value pointer) {
    SmallVector<Value> values;
    for (auto [k, want] : llvm::enumerate(types)) {
      Value loaded = LLVM::LoadOp::create(e, fields[k], field(e, pointer, k));
      values.push_back(want == fields[k]
                           ? loaded
                           : UnrealizedConversionCastOp::create(e, want, loaded)
                                 .getResult(0));
    }
    return values;
  }

  LLVMTypeConverter converter;
  SmallVector<Type> types, fields;
  Type type;
};
} // namespace

LogicalResult cpu::outlineStream(StreamOp stream, StringRef name,
                                 const TargetInfo &target) {
  StreamAnalysis analysis(stream, target);
  if (failed(analysis.run())) {
    return failure();
  }
  MLIRContext *context = stream.getContext();
  auto module = stream->getParentOfType<ModuleOp>();
  auto host = stream->getParentOfType<func::FuncOp>();
  Emit e(stream.getLoc(), stream);

  // Host: operands with last stride 1, in a struct on the stack.
  SmallVector<std::pair<Value, Value>> frees;
  SmallVector<Value> operands;
  for (Value operand : stream->getOperands()) {
    operands.push_back(normalise(e, operand, frees));
  }
  Arguments arguments(operands, context);
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = e.getI64Type();
  Value args;
  {
    OpBuilder::InsertionGuard guard(e);
    e.setInsertionPointToStart(&host.getBody().front());
    args = LLVM::AllocaOp::create(e, pointer, arguments.type, e.constant64(1));
  }
  arguments.fill(e, args, operands);
  int64_t blockRows = Kernel::getBlockRows(stream, target);
  int64_t together = analysis.getPackedHeads();
  Value blocks =
      e.div(e.add(e.mul(stream.getRows(), together), blockRows - 1), blockRows);
  Value items = arith::MulIOp::create(
      e,
      arith::MulIOp::create(e, stream.getBatch(),
                            e.div(stream.getHeads(), together)),
      blocks);
  auto kernelType = e.getFunctionType({pointer, i64, i64}, {});
  Value function = func::ConstantOp::create(e, kernelType,
                                            SymbolRefAttr::get(context, name));
  function =
      UnrealizedConversionCastOp::create(e, pointer, function).getResult(0);
  func::CallOp::create(
      e, getParallelFor(module),
      ValueRange{function, args, arith::IndexCastOp::create(e, i64, items)});
  for (auto [copied, buffer] : frees) {
    e.ifThen(copied, [&] { markManual(memref::DeallocOp::create(e, buffer)); });
  }

  // Kernel.
  e.setInsertionPoint(host);
  auto kernel = func::FuncOp::create(e, name, kernelType);
  kernel.setPrivate();
  Block *entry = kernel.addEntryBlock();
  e.setInsertionPointToStart(entry);
  SmallVector<Value> inside = arguments.load(e, entry->getArgument(0));
  auto toIndex = [&](Value x) -> Value {
    return arith::IndexCastOp::create(e, e.getIndexType(), x);
  };
  Value begin = toIndex(entry->getArgument(1)),
        end = toIndex(entry->getArgument(2));
  auto exit = func::ReturnOp::create(e);
  e.setInsertionPoint(exit);
  if (failed(Kernel(e, stream, target, analysis).emit(begin, end, inside))) {
    return failure();
  }
  stream.erase();
  return success();
}
