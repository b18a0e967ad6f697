//===- AsmText.cpp - inline assembly that is emulated ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AsmText.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

namespace {
/// Reads the text of one op from left to right.
class Reader {
public:
  explicit Reader(LLVM::InlineAsmOp op) : op(op), rest(op.getAsmString()) {}

  std::optional<ParsedAsm> read();

private:
  /// The constraints: all results, of one kind each, and which operands they
  /// are tied to. False if some are of another form.
  bool readConstraints();
  bool isAtEnd() { return rest.ltrim().empty(); }
  bool take(StringRef word);
  bool takeNumber(int32_t &number);
  /// $5, as an operand.
  bool takeOperand(Value &value);
  /// {$0, $1, ...}: all results.
  bool takeResults();
  bool takeList(SmallVectorImpl<Value> &values);
  /// 1 or -1, after a comma.
  bool takeSign(bool &negates);
  bool takeFlag(bool &flag);
  bool takeShape(ParsedAsm &parsed);
  bool readProduct(ParsedAsm &parsed);
  bool readPack(ParsedAsm &parsed);

  LLVM::InlineAsmOp op;
  StringRef rest;
  unsigned numResults = 0;
  bool isTied = false;
};
} // namespace

bool Reader::readConstraints() {
  SmallVector<StringRef> parts;
  op.getConstraints().split(parts, ',', -1, /*KeepEmpty=*/false);
  while (numResults < parts.size() && parts[numResults].starts_with("=")) {
    if (parts[numResults].size() != 2) {
      return false;
    }
    ++numResults;
  }
  unsigned ties = 0;
  for (StringRef part : ArrayRef(parts).drop_front(numResults)) {
    unsigned tied;
    if (!part.getAsInteger(10, tied)) {
      if (tied != ties++) {
        return false;
      }
    } else if (part.size() != 1 || !isalpha(part[0])) {
      return false;
    }
  }
  isTied = ties != 0;
  return ties == 0 || ties == numResults;
}

bool Reader::take(StringRef word) {
  rest = rest.ltrim();
  return rest.consume_front(word);
}

bool Reader::takeNumber(int32_t &number) {
  rest = rest.ltrim();
  return !rest.consumeInteger(10, number);
}

bool Reader::takeOperand(Value &value) {
  int32_t number;
  if (!take("$") || !takeNumber(number)) {
    return false;
  }
  auto index = static_cast<unsigned>(number) - numResults;
  if (static_cast<unsigned>(number) < numResults ||
      index >= op.getOperands().size()) {
    return false;
  }
  value = op.getOperands()[index];
  return true;
}

bool Reader::takeResults() {
  for (unsigned i = 0; i < numResults; ++i) {
    int32_t number;
    if (!take(i ? "," : "{") || !take("$") || !takeNumber(number) ||
        static_cast<unsigned>(number) != i) {
      return false;
    }
  }
  return numResults && take("}") && take(",");
}

bool Reader::takeList(SmallVectorImpl<Value> &values) {
  if (!take("{")) {
    return takeOperand(values.emplace_back());
  }
  do {
    if (!takeOperand(values.emplace_back())) {
      return false;
    }
  } while (take(","));
  return take("}") && values.size() == 4;
}

bool Reader::takeSign(bool &negates) {
  int32_t sign;
  bool isThere = take(",") && takeNumber(sign) && (sign == 1 || sign == -1);
  negates = isThere && sign < 0;
  return isThere;
}

bool Reader::takeFlag(bool &flag) {
  int32_t number;
  bool isThere =
      take(",") && takeNumber(number) && (number == 0 || number == 1);
  flag = isThere && number != 0;
  return isThere;
}

/// m64n64k16.f32.bf16.bf16
bool Reader::takeShape(ParsedAsm &parsed) {
  if (!take("m64n") || !takeNumber(parsed.columns) || !take("k") ||
      !takeNumber(parsed.depth) || !take(".f32.")) {
    return false;
  }
  StringRef types = rest.take_until([](char c) { return llvm::isSpace(c); });
  rest = rest.drop_front(types.size());
  std::tie(parsed.typeA, parsed.typeB) = types.split('.');
  return parsed.columns == static_cast<int32_t>(2 * numResults);
}

bool Reader::readProduct(ParsedAsm &parsed) {
  bool hasPredicate = take("{");
  if (hasPredicate &&
      (!take(".reg") || !take(".pred") || !take("p;") || !take("setp.ne.b32") ||
       !take("p,") || !takeOperand(parsed.adds) || !take(",") || !take("0;"))) {
    return false;
  }
  if (!take("wgmma.mma_async.sync.aligned.") || !takeShape(parsed) ||
      !takeResults() || !takeList(parsed.a) || !take(",") ||
      !takeOperand(parsed.b) || !take(",")) {
    return false;
  }
  int32_t adds = 0;
  if (hasPredicate ? !take("p") : !takeNumber(adds) || (adds & ~1)) {
    return false;
  }
  parsed.alwaysAdds = adds != 0;
  if (!takeSign(parsed.negatesA) || !takeSign(parsed.negatesB)) {
    return false;
  }
  bool isHalf = parsed.typeA == "f16" || parsed.typeA == "bf16";
  bool hasA = isHalf && parsed.a.size() == 1;
  if ((hasA && !takeFlag(parsed.transposedA)) ||
      (isHalf && !takeFlag(parsed.transposedB)) || !take(";") ||
      (hasPredicate && !take("}"))) {
    return false;
  }
  // Without what was there before, nothing can be added to.
  if (!isTied && (parsed.adds || parsed.alwaysAdds)) {
    return false;
  }
  if (isTied) {
    llvm::append_range(parsed.accumulators,
                       op.getOperands().take_front(numResults));
  }
  parsed.kind = ParsedAsm::Product;
  return isAtEnd();
}

bool Reader::readPack(ParsedAsm &parsed) {
  parsed.kind = ParsedAsm::Pack;
  parsed.isBFloat = take("cvt.rn.bf16x2.f32");
  return (parsed.isBFloat || take("cvt.rn.f16x2.f32")) && take("$0,") &&
         take("$1,") && take("$2;") && isAtEnd() && numResults == 1 &&
         !isTied && op.getOperands().size() == 2;
}

std::optional<ParsedAsm> Reader::read() {
  ParsedAsm parsed;
  if (!readConstraints()) {
    return std::nullopt;
  }
  bool passesAll =
      numResults == op.getOperands().size() && (isTied || numResults == 0);
  StringRef all = rest;
  if (isAtEnd() && passesAll) {
    parsed.kind = ParsedAsm::Tie;
    return parsed;
  }
  if (take("wgmma.wait_group.sync.aligned") && takeNumber(parsed.groups) &&
      take(";") && isAtEnd() && passesAll) {
    parsed.kind = ParsedAsm::WaitGroup;
    return parsed;
  }
  rest = all;
  if (readProduct(parsed)) {
    return parsed;
  }
  parsed = ParsedAsm();
  rest = all;
  return readPack(parsed) ? std::optional(parsed) : std::nullopt;
}

std::optional<ParsedAsm> emulator::parseAsm(LLVM::InlineAsmOp op) {
  return Reader(op).read();
}
