//===- PlanText.cpp - values of streams in words --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For people who read a plan: a mask should look as its author wrote it.
//
//   %0 = arith.subi %i, %c9      ==>   i - 9 <= j and j <= i
//   %1 = arith.cmpi sle, %0, %j
//   %2 = arith.cmpi sle, %j, %i
//   %3 = arith.andi %1, %2
//
//===----------------------------------------------------------------------===//

#include "PlanText.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "attn/Dialect/Attn/IR/NeighborOps.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using arith::CmpIPredicate;

namespace {
/// Longer formulas end in dots.
constexpr size_t kMaxFormula = 160;
} // namespace

static FunctionOpInterface functionOf(BlockArgument argument) {
  return dyn_cast_or_null<FunctionOpInterface>(
      argument.getOwner()->getParentOp());
}

std::string mlir::attn::nameOfTensor(Value tensor) {
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    unsigned k = argument.getArgNumber();
    if (FunctionOpInterface func = functionOf(argument)) {
      if (auto name = func.getArgAttrOfType<StringAttr>(k, "attn.name")) {
        return name.str();
      }
    }
    return "arg" + llvm::utostr(k);
  }
  Operation *def = tensor.getDefiningOp();
  if (isa<StreamOp>(def)) {
    unsigned position = 1;
    for (auto stream : def->getBlock()->getOps<StreamOp>()) {
      if (stream == def) {
        break;
      }
      ++position;
    }
    return "stream" + llvm::utostr(position) + "." +
           llvm::utostr(cast<OpResult>(tensor).getResultNumber());
  }
  return def->getName().stripDialect().str();
}

std::string mlir::attn::nameOfExtent(Value extent) {
  if (std::optional<int64_t> constant = getConstantIntValue(extent)) {
    return llvm::itostr(*constant);
  }
  auto dim = extent.getDefiningOp<tensor::DimOp>();
  if (!dim) {
    return isa<BlockArgument>(extent) ? nameOfTensor(extent) : "?";
  }
  std::optional<int64_t> axis = getConstantIntValue(dim.getIndex());
  auto argument = dyn_cast<BlockArgument>(dim.getSource());
  FunctionOpInterface func =
      argument ? functionOf(argument) : FunctionOpInterface();
  if (func && axis) {
    auto names =
        func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "attn.dims");
    if (names && *axis < static_cast<int64_t>(names.size())) {
      if (auto name = dyn_cast<StringAttr>(names[*axis])) {
        return name.str();
      }
    }
  }
  return axis ? "dim(" + nameOfTensor(dim.getSource()) + ", " +
                    llvm::itostr(*axis) + ")"
              : "?";
}

//===----------------------------------------------------------------------===//
// Formulas
//===----------------------------------------------------------------------===//

namespace {
/// How tightly a formula binds; a looser one inside a tighter one needs
/// parentheses.
enum Level { kOr = 0, kAnd, kNot, kCompare, kSum, kProduct, kAtom };

struct Formula {
  std::string text;
  Level level = kAtom;
};

class FormulaWriter {
public:
  Formula write(Value value);

private:
  std::string at(Value value, Level level) {
    Formula inner = write(value);
    return inner.level < level ? "(" + inner.text + ")" : inner.text;
  }
  Formula infix(Operation *op, StringRef sign, Level level) {
    // Left-associative: an equal level needs parentheses on the right only.
    Level right =
        level == kOr || level == kAnd ? level : static_cast<Level>(level + 1);
    return {at(op->getOperand(0), level) + " " + sign.str() + " " +
                at(op->getOperand(1), right),
            level};
  }
  Formula call(StringRef name, ValueRange operands) {
    std::string text = name.str() + "(";
    llvm::interleave(
        operands, [&](Value operand) { text += write(operand).text; },
        [&] { text += ", "; });
    return {text + ")"};
  }
  Formula writeArgument(BlockArgument argument);
  Formula writeOp(Operation *op);

  size_t budget = kMaxFormula;
};
} // namespace

static StringRef signOf(CmpIPredicate predicate) {
  switch (predicate) {
  case CmpIPredicate::eq:
    return "==";
  case CmpIPredicate::ne:
    return "!=";
  case CmpIPredicate::slt:
  case CmpIPredicate::ult:
    return "<";
  case CmpIPredicate::sle:
  case CmpIPredicate::ule:
    return "<=";
  case CmpIPredicate::sgt:
  case CmpIPredicate::ugt:
    return ">";
  case CmpIPredicate::sge:
  case CmpIPredicate::uge:
    return ">=";
  }
  return "?";
}

/// An index as the program has it: loads on absent entries are kept in range by
/// min(max(x, 0), last).
static Value withoutClamp(Value index) {
  auto outer = index.getDefiningOp<arith::MinSIOp>();
  auto inner =
      outer ? outer.getLhs().getDefiningOp<arith::MaxSIOp>() : arith::MaxSIOp();
  return inner && matchPattern(inner.getRhs(), m_Zero()) ? inner.getLhs()
                                                         : index;
}

Formula FormulaWriter::write(Value value) {
  if (std::optional<int64_t> constant = getConstantIntValue(value)) {
    return {value.getType().isInteger(1) ? (*constant ? "true" : "false")
                                         : llvm::itostr(*constant)};
  }
  if (budget < 6) {
    return {"..."};
  }
  budget -= 6; // what an operation writes, roughly
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    return writeArgument(argument);
  }
  if (auto mix = value.getDefiningOp<MixOp>(); mix && value == mix.getAny()) {
    Operation *entry = mix.getBody().front().getTerminator();
    return {"any h'(" + write(entry->getOperand(1)).text + ")"};
  }
  return writeOp(value.getDefiningOp());
}

Formula FormulaWriter::writeArgument(BlockArgument argument) {
  Operation *parent = argument.getOwner()->getParentOp();
  auto stream = dyn_cast<StreamOp>(parent);
  bool rows = (stream ? stream : parent->getParentOfType<StreamOp>())
                  .getOrientation() == Orientation::Rows;
  if (isa<SweepOp>(parent)) {
    return {rows ? "j" : "i"};
  }
  unsigned k = argument.getArgNumber();
  if (isCollective(parent)) {
    return {isa<MixOp>(parent) ? "h'" : k == 0 ? "i'" : "j'"};
  }
  if (!stream || k >= StreamOp::kNumIndexArgs) {
    return {stream
                ? nameOfTensor(stream.getInputs()[k - StreamOp::kNumIndexArgs])
                : "?"};
  }
  const char *names[] = {"b", "h", rows ? "i" : "j", rows ? "N" : "M"};
  return {names[k]};
}

Formula FormulaWriter::writeOp(Operation *op) {
  auto infix = [&](StringRef sign, Level level) {
    return this->infix(op, sign, level);
  };
  return TypeSwitch<Operation *, Formula>(op)
      .Case<arith::AndIOp>([&](auto) { return infix("and", kAnd); })
      .Case<arith::OrIOp>([&](auto) { return infix("or", kOr); })
      .Case<arith::XOrIOp>([&](auto) {
        if (matchPattern(op->getOperand(1), m_One())) {
          return Formula{"not " + at(op->getOperand(0), kNot), kNot};
        }
        return call("xor", op->getOperands());
      })
      .Case<arith::CmpIOp>([&](arith::CmpIOp cmp) {
        return infix(signOf(cmp.getPredicate()), kCompare);
      })
      .Case<arith::CmpFOp>([&](arith::CmpFOp cmp) {
        return infix(arith::stringifyCmpFPredicate(cmp.getPredicate()),
                     kCompare);
      })
      .Case<arith::AddIOp>([&](auto) {
        std::optional<int64_t> c = getConstantIntValue(op->getOperand(1));
        if (c && *c < 0 && *c != INT64_MIN) {
          return Formula{
              at(op->getOperand(0), kSum) + " - " + llvm::itostr(-*c), kSum};
        }
        return infix("+", kSum);
      })
      .Case<arith::AddFOp>([&](auto) { return infix("+", kSum); })
      .Case<arith::SubIOp, arith::SubFOp>(
          [&](auto) { return infix("-", kSum); })
      .Case<arith::MulIOp, arith::MulFOp>(
          [&](auto) { return infix("*", kProduct); })
      .Case<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(
          [&](auto) { return infix("div", kProduct); })
      .Case<arith::RemSIOp, arith::RemUIOp>(
          [&](auto) { return infix("mod", kProduct); })
      .Case<arith::DivFOp>([&](auto) { return infix("/", kProduct); })
      .Case<arith::MinSIOp, arith::MinUIOp>(
          [&](auto) { return call("min", op->getOperands()); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>(
          [&](auto) { return call("max", op->getOperands()); })
      .Case<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
            arith::ExtUIOp, arith::TruncIOp, arith::ExtFOp, arith::TruncFOp>(
          [&](auto) { return write(op->getOperand(0)); })
      .Case<AtOp>([&](AtOp load) {
        std::string text = write(load.getSource()).text + "[";
        llvm::interleave(
            load.getIndices(),
            [&](Value v) { text += write(withoutClamp(v)).text; },
            [&] { text += ", "; });
        return Formula{text + "]"};
      })
      .Case<DotOp, DotWithOp, InnerOp>([&](auto dot) {
        return call(op->getName().stripDialect(),
                    ValueRange{dot.getLhs(), dot.getRhs()});
      })
      .Case<AcrossOp>([&](AcrossOp across) {
        return Formula{stringifyCarryKind(across.getKind()).str() + " of rows"};
      })
      .Case<SweepOp>([&](auto) { return Formula{"result of a sweep"}; })
      .Default([&](Operation *) {
        FloatAttr constant;
        if (matchPattern(op, m_Constant(&constant))) {
          SmallString<16> digits;
          constant.getValue().toString(digits, /*FormatPrecision=*/4);
          return Formula{std::string(digits)};
        }
        return call(op->getName().stripDialect(), op->getOperands());
      });
}

std::string mlir::attn::formulaOf(Value value) {
  return FormulaWriter().write(value).text;
}
