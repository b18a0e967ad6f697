//===- IndexEvaluator.cpp - integers of a plan, on the host ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Benchmarks report work that was needed, so extents and mask conditions of a
// plan have to be known outside of compiled code. They are a few integer ops
// on constants, extents of operands and elements of integer operands.
//
//===----------------------------------------------------------------------===//

#include "IndexEvaluator.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;

std::optional<int64_t> IndexEvaluator::evaluate(Value value) {
  if (auto found = bound.find(value); found != bound.end()) {
    return found->second;
  }
  if (auto found = known.find(value); found != known.end()) {
    return found->second;
  }
  std::optional<int64_t> number = compute(value);
  known[value] = number;
  return number;
}

std::optional<int64_t> IndexEvaluator::compute(Value value) {
  llvm::APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    return constant.getBitWidth() == 1 ? constant.getZExtValue()
                                       : constant.getSExtValue();
  }
  std::optional<int64_t> number;
  if (auto result = dyn_cast<OpResult>(value)) {
    number = evaluateOp(result.getOwner(), result.getResultNumber());
  } else {
    auto arg = cast<BlockArgument>(value);
    auto stream = dyn_cast<StreamOp>(arg.getOwner()->getParentOp());
    constexpr unsigned extent = StreamOp::kNumIndexArgs - 1;
    if (stream && arg.getArgNumber() == extent) {
      number = evaluate(stream.getExtent());
    } else if (stream && arg.getArgNumber() > extent) {
      unsigned index = arg.getArgNumber() - StreamOp::kNumIndexArgs;
      number = index < stream.getInputs().size()
                   ? evaluate(stream.getInputs()[index])
                   : std::nullopt;
    } else if (isa<func::FuncOp>(arg.getOwner()->getParentOp()) &&
               arg.getArgNumber() < inputs.size() &&
               inputs[arg.getArgNumber()].getShape().empty()) {
      const Array &scalar = inputs[arg.getArgNumber()];
      number = isFloat(scalar.getType())
                   ? std::nullopt
                   : std::optional<int64_t>(scalar.getInt(0));
    }
  }
  return number;
}

const Array *IndexEvaluator::findExpanded(tensor::ExpandShapeOp op) {
  auto found = expanded.find(op);
  if (found != expanded.end()) {
    return found->second.get();
  }
  const Array *source = findInput(op.getSrc());
  if (!source) {
    return nullptr;
  }
  SmallVector<int64_t> shape(op.getStaticOutputShape());
  SmallVector<int64_t> strides(shape.size());
  for (auto [axis, group] : llvm::enumerate(op.getReassociationIndices())) {
    int64_t left = source->getShape()[axis];
    int64_t *dynamic = nullptr;
    for (int64_t k : group) {
      if (!ShapedType::isDynamic(shape[k])) {
        left = shape[k] == 0 ? 0 : left / shape[k];
      } else if (dynamic) {
        return nullptr;
      } else {
        dynamic = &shape[k];
      }
    }
    if (dynamic) {
      *dynamic = left;
    }
    int64_t stride = source->getStrides()[axis];
    for (int64_t k : llvm::reverse(group)) {
      strides[k] = stride;
      stride *= shape[k];
    }
  }
  auto &view = expanded[op];
  view = std::make_unique<Array>(Array::wrap(source->getType(), shape, strides,
                                             nullptr, source->getOrigin()));
  return view.get();
}

const Array *IndexEvaluator::findInput(Value tensor) {
  while (true) {
    if (Operation *op = tensor.getDefiningOp()) {
      if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
        return findExpanded(expand);
      }
      if (!isa<tensor::CastOp>(op)) {
        return nullptr;
      }
      tensor = op->getOperand(0);
      continue;
    }
    auto arg = cast<BlockArgument>(tensor);
    Operation *parent = arg.getOwner()->getParentOp();
    if (auto stream = dyn_cast<StreamOp>(parent)) {
      unsigned index = arg.getArgNumber() - StreamOp::kNumIndexArgs;
      if (index >= stream.getInputs().size()) {
        return nullptr;
      }
      tensor = stream.getInputs()[index];
      continue;
    }
    bool isOperand =
        isa<func::FuncOp>(parent) && arg.getArgNumber() < inputs.size();
    return isOperand ? &inputs[arg.getArgNumber()] : nullptr;
  }
}

std::optional<int64_t> IndexEvaluator::evaluateExtent(Value tensor,
                                                      int64_t axis) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type || axis < 0 || axis >= type.getRank()) {
    return std::nullopt;
  }
  if (!type.isDynamicDim(axis)) {
    return type.getDimSize(axis);
  }
  if (const Array *input = findInput(tensor)) {
    return input->getShape()[axis];
  }
  Operation *op = tensor.getDefiningOp();
  if (auto empty = dyn_cast_or_null<tensor::EmptyOp>(op)) {
    return evaluate(empty.getDynamicSize(axis));
  }
  if (auto cast = dyn_cast_or_null<tensor::CastOp>(op)) {
    return evaluateExtent(cast.getSource(), axis);
  }
  unsigned result = op ? cast<OpResult>(tensor).getResultNumber() : 0;
  if (auto stream = dyn_cast_or_null<StreamOp>(op)) {
    return evaluateExtent(stream.getOutputs()[result], axis);
  }
  if (auto style = dyn_cast_or_null<DestinationStyleOpInterface>(op)) {
    return evaluateExtent(style.getDpsInitOperand(result)->get(), axis);
  }
  return std::nullopt;
}

std::optional<int64_t> IndexEvaluator::evaluateElement(Value tensor,
                                                       ValueRange indices) {
  const Array *input = findInput(tensor);
  if (!input || isFloat(input->getType()) ||
      input->getShape().size() != indices.size()) {
    return std::nullopt;
  }
  int64_t position = 0;
  for (auto [index, extent] : llvm::zip_equal(indices, input->getShape())) {
    std::optional<int64_t> number = evaluate(index);
    if (!number || *number < 0 || *number >= extent) {
      return std::nullopt;
    }
    position = position * extent + *number;
  }
  return input->getInt(position);
}

/// The number of the row, along the last dimension, that `indices` name.
std::optional<int64_t> IndexEvaluator::rowOf(const Array &array,
                                             ValueRange indices) {
  int64_t row = 0;
  for (auto [index, size] : llvm::zip(indices, array.getShape().drop_back())) {
    std::optional<int64_t> number = evaluate(index);
    if (!number || *number < 0 || *number >= size) {
      return std::nullopt;
    }
    row = row * size + *number;
  }
  return row;
}

std::optional<int64_t> IndexEvaluator::evaluateRange(RangeOp op,
                                                     bool wantMaximum) {
  const Array *input = findInput(op.getSource());
  std::optional<int64_t> first = evaluate(op.getFirst());
  std::optional<int64_t> last = evaluate(op.getLast());
  if (!input || isFloat(input->getType()) || !first || !last ||
      input->getShape().back() == 0) {
    return std::nullopt;
  }
  std::optional<int64_t> base = rowOf(*input, op.getIndices());
  if (!base) {
    return std::nullopt;
  }
  int64_t extent = input->getShape().back();
  int64_t from = std::clamp<int64_t>(*first, 0, extent - 1);
  int64_t to = std::clamp<int64_t>(*last, 0, extent - 1);
  int64_t result = input->getInt(*base * extent + from);
  for (int64_t k = from + 1; k <= to; ++k) {
    int64_t element = input->getInt(*base * extent + k);
    result =
        wantMaximum ? std::max(result, element) : std::min(result, element);
  }
  return result;
}

/// Looks through the list.
std::optional<int64_t> IndexEvaluator::evaluateListed(ListedOp op) {
  const Array *input = findInput(op.getSource());
  const Array *lengths = op.getLengths() ? findInput(op.getLengths()) : nullptr;
  std::optional<int64_t> key = evaluate(op.getKey());
  if (!input || !key || (op.getLengths() && !lengths)) {
    return std::nullopt;
  }
  std::optional<int64_t> row = rowOf(*input, op.getIndices());
  if (!row) {
    return std::nullopt;
  }
  int64_t first = 0, end = input->getShape().back();
  int64_t base = *row * end;
  if (Value value = op.getFirst()) {
    std::optional<int64_t> number = evaluate(value);
    if (!number) {
      return std::nullopt;
    }
    first = std::max<int64_t>(*number, 0);
  }
  if (Value value = op.getCount()) {
    std::optional<int64_t> number = evaluate(value);
    if (!number) {
      return std::nullopt;
    }
    end = std::min(first + std::max<int64_t>(*number, 0), end);
  }
  int64_t block = *key / static_cast<int64_t>(op.getKeyBlock());
  for (int64_t l = first; l < end; ++l) {
    int64_t start = input->getInt(base + l);
    int64_t blocks = lengths ? lengths->getInt(base + l) : 1;
    if (start <= block && block - start < blocks) {
      return 1;
    }
  }
  return 0;
}

static std::optional<int64_t> compare(arith::CmpIPredicate predicate, int64_t a,
                                      int64_t b) {
  auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
    return a < b;
  case arith::CmpIPredicate::sle:
    return a <= b;
  case arith::CmpIPredicate::sgt:
    return a > b;
  case arith::CmpIPredicate::sge:
    return a >= b;
  case arith::CmpIPredicate::ult:
    return ua < ub;
  case arith::CmpIPredicate::ule:
    return ua <= ub;
  case arith::CmpIPredicate::ugt:
    return ua > ub;
  case arith::CmpIPredicate::uge:
    return ua >= ub;
  }
  return std::nullopt;
}

/// Ops of two integers; division only where it is defined.
static std::optional<int64_t> fold(Operation *op, int64_t a, int64_t b) {
  auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  auto wrap = [](uint64_t value) { return static_cast<int64_t>(value); };
  bool canDivide = b != 0 && b != -1;
  int64_t quotient = canDivide ? a / b : 0, rest = canDivide ? a % b : 0;
  bool isExact = rest == 0, isNegative = (rest < 0) != (b < 0);
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(op)
      .Case([&](arith::AddIOp) { return wrap(ua + ub); })
      .Case([&](arith::SubIOp) { return wrap(ua - ub); })
      .Case([&](arith::MulIOp) { return wrap(ua * ub); })
      .Case([&](arith::AndIOp) { return a & b; })
      .Case([&](arith::OrIOp) { return a | b; })
      .Case([&](arith::XOrIOp) { return a ^ b; })
      .Case([&](arith::MinSIOp) { return std::min(a, b); })
      .Case([&](arith::MaxSIOp) { return std::max(a, b); })
      .Case([&](arith::MinUIOp) { return wrap(std::min(ua, ub)); })
      .Case([&](arith::MaxUIOp) { return wrap(std::max(ua, ub)); })
      .Case(
          [&](arith::CmpIOp cmp) { return compare(cmp.getPredicate(), a, b); })
      .Default([&](Operation *) -> std::optional<int64_t> {
        if (!canDivide) {
          return std::nullopt;
        }
        return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(op)
            .Case([&](arith::DivSIOp) { return quotient; })
            .Case([&](arith::RemSIOp) { return rest; })
            .Case([&](arith::DivUIOp) { return wrap(ua / ub); })
            .Case([&](arith::RemUIOp) { return wrap(ua % ub); })
            .Case([&](arith::FloorDivSIOp) {
              return quotient - (!isExact && isNegative);
            })
            .Case([&](arith::CeilDivSIOp) {
              return quotient + (!isExact && !isNegative);
            })
            .Default([](Operation *) { return std::nullopt; });
      });
}

std::optional<int64_t> IndexEvaluator::evaluateOp(Operation *op,
                                                  unsigned result) {
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> axis = evaluate(dim.getIndex());
    return axis ? evaluateExtent(dim.getSource(), *axis) : std::nullopt;
  }
  if (auto at = dyn_cast<AtOp>(op)) {
    return evaluateElement(at.getSource(), at.getIndices());
  }
  if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
    return evaluateElement(extract.getTensor(), extract.getIndices());
  }
  if (auto range = dyn_cast<RangeOp>(op)) {
    return evaluateRange(range, /*wantMaximum=*/result == 1);
  }
  if (auto listed = dyn_cast<ListedOp>(op)) {
    return evaluateListed(listed);
  }
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    std::optional<int64_t> condition = evaluate(select.getCondition());
    if (!condition) {
      return std::nullopt;
    }
    return evaluate(*condition ? select.getTrueValue()
                               : select.getFalseValue());
  }
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(
          op)) {
    return evaluate(op->getOperand(0));
  }
  if (op->getNumOperands() != 2 || op->getNumResults() != 1) {
    return std::nullopt;
  }
  std::optional<int64_t> a = evaluate(op->getOperand(0));
  std::optional<int64_t> b = a ? evaluate(op->getOperand(1)) : std::nullopt;
  return b ? fold(op, *a, *b) : std::nullopt;
}
