//===- Extents.cpp - the extents of results -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A caller asks how large results will be before it calls. A copy of the
// program returns the extents of its results as well, and the plan pipeline
// reduces them to arithmetic on extents of arguments, which is read off:
//
//   %n = tensor.dim %o, %c2       =>   %n = tensor.dim %k, %c2   =>   symbol N
//   return %o, %n
//
//===----------------------------------------------------------------------===//

#include "Metadata.h"

#include "attn/Compiler/Compiler.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

/// Reads expressions off a function.
class Reader {
public:
  explicit Reader(const Signature &signature)
      : signature(signature), symbols(signature) {}

  /// Empty if the value is not arithmetic on extents and scalar arguments.
  ExtentExpression read(Value value) const {
    APInt number;
    if (matchPattern(value, m_ConstantInt(&number))) {
      return getConstant(number.getSExtValue());
    }
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      return isEntryArgument(argument) && argument.getType().isIntOrIndex()
                 ? ExtentExpression{{ATTN_OP_ARGUMENT, argument.getArgNumber()}}
                 : ExtentExpression();
    }
    Operation *op = value.getDefiningOp();
    if (auto cast = dyn_cast<arith::IndexCastOp>(op)) {
      return read(cast.getIn());
    }
    if (auto dim = dyn_cast<tensor::DimOp>(op)) {
      std::optional<int64_t> axis = dim.getConstantIndex();
      return axis ? readDim(dim.getSource(), *axis) : ExtentExpression();
    }
    if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
      return read(apply.getAffineMap().getResult(0), apply);
    }
    std::optional<attn_op> code =
        llvm::TypeSwitch<Operation *, std::optional<attn_op>>(op)
            .Case<arith::AddIOp>([](auto) { return ATTN_OP_ADD; })
            .Case<arith::SubIOp>([](auto) { return ATTN_OP_SUB; })
            .Case<arith::MulIOp>([](auto) { return ATTN_OP_MUL; })
            .Case<arith::FloorDivSIOp>([](auto) { return ATTN_OP_FLOORDIV; })
            .Case<arith::CeilDivSIOp>([](auto) { return ATTN_OP_CEILDIV; })
            .Case<arith::MinSIOp>([](auto) { return ATTN_OP_MIN; })
            .Case<arith::MaxSIOp>([](auto) { return ATTN_OP_MAX; })
            .Default(std::nullopt);
    return code ? join(read(op->getOperand(0)), read(op->getOperand(1)), *code)
                : ExtentExpression();
  }

  /// The extent of a tensor.
  ExtentExpression readDim(Value tensor, unsigned axis) const {
    auto type = cast<RankedTensorType>(tensor.getType());
    if (!type.isDynamicDim(axis)) {
      return getConstant(type.getDimSize(axis));
    }
    if (auto argument = dyn_cast<BlockArgument>(tensor)) {
      return isEntryArgument(argument)
                 ? symbols.getExtent(
                       signature.arguments[argument.getArgNumber()], axis)
                 : ExtentExpression();
    }
    auto result = cast<OpResult>(tensor);
    Operation *op = result.getOwner();
    if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
      return read(empty.getDynamicSize(axis));
    }
    if (auto stream = dyn_cast<StreamOp>(op)) {
      return readDim(stream.getOutputs()[result.getResultNumber()], axis);
    }
    if (auto style = dyn_cast<DestinationStyleOpInterface>(op)) {
      return readDim(style.getTiedOpOperand(result)->get(), axis);
    }
    if (isa<tensor::CastOp, AppendOp>(op)) {
      return readDim(op->getOperand(0), axis);
    }
    return {};
  }

private:
  bool isEntryArgument(BlockArgument argument) const {
    return isa<func::FuncOp>(argument.getOwner()->getParentOp());
  }

  static ExtentExpression join(ExtentExpression lhs,
                               const ExtentExpression &rhs, attn_op op) {
    return lhs.empty() || rhs.empty() ? ExtentExpression()
                                      : combine(std::move(lhs), rhs, op);
  }

  ExtentExpression read(AffineExpr expr, affine::AffineApplyOp apply) const {
    if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
      return getConstant(constant.getValue());
    }
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      return read(apply.getDimOperands()[dim.getPosition()]);
    }
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
      return read(apply.getSymbolOperands()[symbol.getPosition()]);
    }
    auto binary = cast<AffineBinaryOpExpr>(expr);
    attn_op op = ATTN_OP_ADD;
    switch (expr.getKind()) {
    case AffineExprKind::Add:
      break;
    case AffineExprKind::Mul:
      op = ATTN_OP_MUL;
      break;
    case AffineExprKind::FloorDiv:
      op = ATTN_OP_FLOORDIV;
      break;
    case AffineExprKind::CeilDiv:
      op = ATTN_OP_CEILDIV;
      break;
    case AffineExprKind::Mod:
      op = ATTN_OP_MOD;
      break;
    default:
      return {};
    }
    return join(read(binary.getLHS(), apply), read(binary.getRHS(), apply), op);
  }

  const Signature &signature;
  ExtentSymbols symbols;
};

/// An axis of a result whose extent is asked for.
struct Question {
  size_t result;
  unsigned axis;
};

bool isAsked(const Parameter &result, unsigned axis) {
  return !result.alias && ShapedType::isDynamic(result.shape[axis]);
}

/// Makes the function return the extents as well.
SmallVector<Question> addQuestions(func::FuncOp func,
                                   const Signature &signature) {
  SmallVector<Question> questions;
  auto end = func.getBody().hasOneBlock()
                 ? dyn_cast<func::ReturnOp>(func.front().getTerminator())
                 : func::ReturnOp();
  if (!end || !SymbolTable::symbolKnownUseEmpty(
                  func, func->getParentOfType<ModuleOp>())) {
    return questions;
  }
  OpBuilder builder(end);
  SmallVector<Value> operands(end.getOperands());
  for (auto [number, result] : llvm::enumerate(signature.results)) {
    for (unsigned axis = 0; axis < result.shape.size(); ++axis) {
      if (isAsked(result, axis)) {
        questions.push_back({number, axis});
        operands.push_back(tensor::DimOp::create(builder, end.getLoc(),
                                                 end.getOperand(number), axis));
      }
    }
  }
  end->setOperands(operands);
  SmallVector<Type> types(func.getFunctionType().getResults());
  types.append(questions.size(), builder.getIndexType());
  func.setType(
      builder.getFunctionType(func.getFunctionType().getInputs(), types));
  return questions;
}

} // namespace

std::vector<ResultExtents>
attn::findResultExtents(ModuleOp module, ArrayRef<Signature> signatures) {
  // What the types say.
  std::vector<ResultExtents> extents;
  for (const Signature &signature : signatures) {
    ExtentSymbols symbols(signature);
    ResultExtents &results = extents.emplace_back();
    for (const Parameter &result : signature.results) {
      auto &axes = results.emplace_back(result.shape.size());
      for (auto [axis, extent] : llvm::enumerate(axes)) {
        if (result.alias) {
          extent = symbols.getExtent(signature.arguments[*result.alias], axis);
        } else if (!isAsked(result, axis)) {
          extent = getConstant(result.shape[axis]);
        }
      }
    }
  }
  // What the plan says. It has been made before: there is nothing new to say.
  ScopedDiagnosticHandler silence(module.getContext(),
                                  [](Diagnostic &) { return success(); });
  OwningOpRef<ModuleOp> copy(module.clone());
  std::vector<SmallVector<Question>> questions;
  for (const Signature &signature : signatures) {
    questions.push_back(addQuestions(
        copy->lookupSymbol<func::FuncOp>(signature.function), signature));
  }
  auto plan = planProgram(*copy, CompileOptions());
  if (!plan) {
    llvm::consumeError(plan.takeError());
    return extents;
  }
  for (auto [signature, asked, results] :
       llvm::zip_equal(signatures, questions, extents)) {
    auto func = (*plan)->lookupSymbol<func::FuncOp>(signature.function);
    Reader reader(signature);
    for (auto [question, value] : llvm::zip_equal(
             asked, func.front().getTerminator()->getOperands().take_back(
                        asked.size()))) {
      results[question.result][question.axis] = reader.read(value);
    }
  }
  return extents;
}
