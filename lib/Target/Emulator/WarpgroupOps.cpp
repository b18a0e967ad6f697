//===- WarpgroupOps.cpp - products of warpgroups --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Results of a product are names of registers until it has been waited for.
// They go from product to product, through structs and branches as they are;
// what looks at one asks for its value, which is to be there by then:
//
//   %r = nvvm.wgmma.mma_async ...          llvm.call @attn_emulator_wgmma(...)
//   nvvm.wgmma.wait.group.sync.aligned 0   llvm.call @..._wgmma_wait(0, site)
//   llvm.fadd %r0, %x                      %v = llvm.call @..._value(%r0, site)
//                                          llvm.fadd %v, %x
//
// Registers that the kernel writes itself are to be fenced: beside what writes
// them the number of fences until then is read, and follows them to the
// product.
//
//===----------------------------------------------------------------------===//

#include "AsmText.h"
#include "RuntimeCalls.h"

#include "attn_emulator.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include <map>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

//===----------------------------------------------------------------------===//
// Products as both forms have them
//===----------------------------------------------------------------------===//

namespace {
struct Product {
  Operation *op;
  ParsedAsm parsed;
  int32_t typeA, typeB;
};
} // namespace

static int32_t getType(StringRef name) {
  return llvm::StringSwitch<int32_t>(name)
      .Case("f16", ATTN_EMULATOR_F16)
      .Case("bf16", ATTN_EMULATOR_BF16)
      .Case("tf32", ATTN_EMULATOR_TF32)
      .Case("e4m3", ATTN_EMULATOR_E4M3)
      .Case("e5m2", ATTN_EMULATOR_E5M2)
      .Default(-1);
}

/// Along K, for elements of a type: 32 bytes.
static int32_t getDepth(int32_t type) {
  switch (type) {
  case ATTN_EMULATOR_TF32:
    return 8;
  case ATTN_EMULATOR_E4M3:
  case ATTN_EMULATOR_E5M2:
    return 32;
  default:
    return 16;
  }
}

/// The accumulators of the op's struct, one by one; none if they hold nothing.
static SmallVector<Value> splitStruct(NVVM::WgmmaMmaAsyncOp op) {
  OpBuilder b(op);
  SmallVector<Value> values;
  if (op.getInouts().getDefiningOp<LLVM::PoisonOp>() ||
      op.getInouts().getDefiningOp<LLVM::UndefOp>()) {
    return values;
  }
  auto type = cast<LLVM::LLVMStructType>(op.getInouts().getType());
  for (int64_t k = 0, e = static_cast<int64_t>(type.getBody().size()); k < e;
       ++k) {
    values.push_back(
        LLVM::ExtractValueOp::create(b, op.getLoc(), op.getInouts(), k));
  }
  return values;
}

static ParsedAsm describe(NVVM::WgmmaMmaAsyncOp op) {
  ParsedAsm parsed;
  parsed.kind = ParsedAsm::Product;
  parsed.columns = op.getShape().getN();
  parsed.depth = op.getShape().getK();
  parsed.typeA = NVVM::stringifyWGMMATypes(op.getTypeA());
  parsed.typeB = NVVM::stringifyWGMMATypes(op.getTypeB());
  parsed.negatesA = op.getScaleA() == NVVM::WGMMAScaleIn::neg;
  parsed.negatesB = op.getScaleB() == NVVM::WGMMAScaleIn::neg;
  parsed.transposedA = op.getLayoutA() == NVVM::MMALayout::col;
  parsed.transposedB = op.getLayoutB() == NVVM::MMALayout::row;
  parsed.alwaysAdds = op.getScaleD() == NVVM::WGMMAScaleOut::one;
  parsed.a.push_back(op.getDescriptorA());
  parsed.b = op.getDescriptorB();
  return parsed;
}

/// Whether the runtime has the types and the shape.
static LogicalResult check(Product &product) {
  const ParsedAsm &parsed = product.parsed;
  product.typeA = getType(parsed.typeA);
  product.typeB = getType(parsed.typeB);
  bool isKnown = product.typeA >= 0 && product.typeB >= 0 &&
                 parsed.depth == getDepth(product.typeA) &&
                 parsed.depth == getDepth(product.typeB) &&
                 parsed.columns % 8 == 0 && parsed.columns >= 8 &&
                 parsed.columns <= 256;
  if (auto op = dyn_cast<NVVM::WgmmaMmaAsyncOp>(product.op)) {
    isKnown &= op.getTypeD() == NVVM::WGMMATypes::f32;
  }
  if (!isKnown) {
    return product.op->emitOpError("is emulated for f32 results of f16, bf16, "
                                   "tf32, e4m3 and e5m2 alone");
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Fences before which registers are written
//===----------------------------------------------------------------------===//

static bool isConstant(Operation *op) {
  return op->hasTrait<OpTrait::ConstantLike>() ||
         isa<LLVM::PoisonOp, LLVM::UndefOp, LLVM::ZeroOp>(op);
}

namespace {
/// How many fences there were when values got what they hold.
class Fences {
public:
  Fences(ModuleOp host, Sites &sites) : host(host), sites(sites) {}

  /// Null if no op of the kernel has written them.
  Value get(OpBuilder &at, ArrayRef<Value> values);

private:
  struct Sources {
    llvm::MapVector<Operation *, bool> writers;
    llvm::MapVector<Block *, SmallVector<BlockArgument>> arguments;
  };
  Sources find(ArrayRef<Value> values);
  Value getAfter(Operation *op);
  Value getOf(Block *block, SmallVector<BlockArgument> arguments);

  ModuleOp host;
  Sites &sites;
  DenseMap<Operation *, Value> after;
  std::map<SmallVector<void *>, Value> ofArguments;
};
} // namespace

/// The ops that have written values, through those that write no register.
Fences::Sources Fences::find(ArrayRef<Value> values) {
  Sources sources;
  llvm::SetVector<Value> found(values.begin(), values.end());
  for (unsigned i = 0; i < found.size(); ++i) {
    Value value = found[i];
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (!argument.getOwner()->isEntryBlock()) {
        sources.arguments[argument.getOwner()].push_back(argument);
      }
      continue;
    }
    Operation *op = value.getDefiningOp();
    auto text = dyn_cast<LLVM::InlineAsmOp>(op);
    bool isTie =
        text && isOfProducts(op) && parseAsm(text)->kind != ParsedAsm::Product;
    if (isa<LLVM::InsertValueOp, LLVM::ExtractValueOp, LLVM::BitcastOp>(op) ||
        isTie) {
      found.insert(op->operand_begin(), op->operand_end());
    } else if (!isConstant(op) && !isOfProducts(op)) {
      sources.writers[op] = true;
    }
  }
  return sources;
}

Value Fences::getAfter(Operation *op) {
  Value &value = after[op];
  if (!value) {
    Calls calls(op, host, sites);
    calls.setInsertionPointAfter(op);
    value = calls.call("attn_emulator_wgmma_fences", calls.getI32Type(), {});
  }
  return value;
}

/// One more argument of the block.
Value Fences::getOf(Block *block, SmallVector<BlockArgument> arguments) {
  SmallVector<void *> key;
  for (BlockArgument argument : arguments) {
    key.push_back(argument.getAsOpaquePointer());
  }
  llvm::sort(key);
  auto [entry, isNew] = ofArguments.try_emplace(key, Value());
  if (!isNew) {
    return entry->second;
  }
  Type i32 = IntegerType::get(host.getContext(), 32);
  Value result = block->addArgument(i32, arguments[0].getLoc());
  entry->second = result;
  for (auto it = block->pred_begin(), end = block->pred_end(); it != end;
       ++it) {
    Operation *terminator = (*it)->getTerminator();
    auto getOperands = [&] {
      return cast<BranchOpInterface>(terminator)
          .getSuccessorOperands(it.getSuccessorIndex());
    };
    SmallVector<Value> incoming;
    for (BlockArgument argument : arguments) {
      incoming.push_back(getOperands()[argument.getArgNumber()]);
    }
    OpBuilder b(terminator);
    Value fences = get(b, incoming);
    if (!fences) {
      fences = LLVM::ConstantOp::create(b, terminator->getLoc(), i32, 0);
    }
    getOperands().append(fences);
  }
  return result;
}

Value Fences::get(OpBuilder &at, ArrayRef<Value> values) {
  Sources sources = find(values);
  SmallVector<Value> counts;
  for (auto [op, unused] : sources.writers) {
    counts.push_back(getAfter(op));
  }
  for (auto &[block, arguments] : sources.arguments) {
    counts.push_back(getOf(block, arguments));
  }
  Value most;
  for (Value count : counts) {
    most = most ? LLVM::UMaxOp::create(at, count.getLoc(), most, count) : count;
  }
  return most;
}

//===----------------------------------------------------------------------===//
// A function
//===----------------------------------------------------------------------===//

namespace {
class ProductWriter {
public:
  ProductWriter(LLVM::LLVMFuncOp function, ModuleOp host, Sites &sites)
      : function(function), host(host), sites(sites), fences(host, sites) {}

  LogicalResult run();

private:
  LogicalResult collect();
  /// The values that may be names of results.
  void follow();
  void followUse(OpOperand &use);
  LogicalResult askForValues();
  LogicalResult askAt(OpOperand &use);
  /// What the kernel calls a register of A.
  int32_t getName(Value value);
  void replaceProduct(const Product &product, Value written);
  Value describe(Calls &calls, const Product &product, Value written,
                 ArrayRef<int32_t> names);
  void replaceTie(LLVM::InlineAsmOp op);

  LLVM::LLVMFuncOp function;
  ModuleOp host;
  Sites &sites;
  Fences fences;
  SmallVector<Product> products;
  SmallVector<LLVM::InlineAsmOp> ties;
  llvm::SetVector<Value> named;
  DenseMap<Value, int32_t> names;
};
} // namespace

LogicalResult ProductWriter::collect() {
  SmallVector<Operation *> ops;
  function.getBody().walk([&](Operation *op) {
    if (isOfProducts(op)) {
      ops.push_back(op);
    }
  });
  for (Operation *op : ops) {
    if (auto product = dyn_cast<NVVM::WgmmaMmaAsyncOp>(op)) {
      products.push_back({op, ::describe(product), 0, 0});
      if (failed(check(products.back()))) {
        return failure();
      }
      products.back().parsed.accumulators = splitStruct(product);
      continue;
    }
    auto text = cast<LLVM::InlineAsmOp>(op);
    ParsedAsm parsed = *parseAsm(text);
    if (parsed.kind != ParsedAsm::Product) {
      ties.push_back(text);
      continue;
    }
    products.push_back({op, parsed, 0, 0});
    if (failed(check(products.back()))) {
      return failure();
    }
  }
  return success();
}

/// Whether the op does no more with it than to pass it on.
static bool passesOn(OpOperand &use) {
  Operation *user = use.getOwner();
  if (isa<LLVM::InlineAsmOp>(user)) {
    // As an accumulator or through a wait.
    return isOfProducts(user) && use.get().getType().isF32();
  }
  return isa<LLVM::ExtractValueOp, LLVM::InsertValueOp, LLVM::FreezeOp,
             NVVM::WgmmaMmaAsyncOp>(user) ||
         isa<BranchOpInterface>(user);
}

void ProductWriter::followUse(OpOperand &use) {
  Operation *user = use.getOwner();
  if (auto branch = dyn_cast<BranchOpInterface>(user)) {
    if (auto argument =
            branch.getSuccessorBlockArgument(use.getOperandNumber())) {
      named.insert(*argument);
    }
  } else if (passesOn(use)) {
    named.insert(user->result_begin(), user->result_end());
  }
}

void ProductWriter::follow() {
  for (const Product &product : products) {
    named.insert(product.op->getResult(0));
  }
  for (unsigned i = 0; i < named.size(); ++i) {
    for (OpOperand &use : named[i].getUses()) {
      followUse(use);
    }
  }
}

LogicalResult ProductWriter::askAt(OpOperand &use) {
  Operation *user = use.getOwner();
  if (!use.get().getType().isF32()) {
    return user->emitOpError("uses accumulators of wgmma as a whole, which is "
                             "not emulated");
  }
  Calls calls(user, host, sites);
  Value bits = calls.call("attn_emulator_wgmma_value", calls.getI32Type(),
                          {calls.bits(use.get()), calls.site()});
  use.set(LLVM::BitcastOp::create(calls, calls.getF32Type(), bits));
  return success();
}

LogicalResult ProductWriter::askForValues() {
  for (Value value : named) {
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : value.getUses()) {
      if (!passesOn(use)) {
        uses.push_back(&use);
      }
    }
    for (OpOperand *use : uses) {
      if (failed(askAt(*use))) {
        return failure();
      }
    }
  }
  return success();
}

int32_t ProductWriter::getName(Value value) {
  while (auto cast = value.getDefiningOp<LLVM::BitcastOp>()) {
    value = cast.getArg();
  }
  Operation *writer = value.getDefiningOp();
  auto argument = dyn_cast<BlockArgument>(value);
  if (argument ? argument.getOwner()->isEntryBlock() : isConstant(writer)) {
    return -1;
  }
  auto [entry, isNew] =
      names.try_emplace(value, static_cast<int32_t>(names.size()));
  if (isNew) {
    Operation *at = writer ? writer : &argument.getOwner()->front();
    Calls calls(at, host, sites);
    if (writer) {
      calls.setInsertionPointAfter(writer);
    }
    calls.call("attn_emulator_wgmma_write", {},
               {calls.constant(entry->second), calls.site()});
  }
  return entry->second;
}

/// An attn_emulator_wgmma_form.
Value ProductWriter::describe(Calls &calls, const Product &product,
                              Value written, ArrayRef<int32_t> names) {
  const ParsedAsm &parsed = product.parsed;
  Value adds = calls.constant(parsed.alwaysAdds);
  if (parsed.adds) {
    adds = calls.bits(parsed.adds);
  }
  bool takesRegisters = parsed.a.size() > 1;
  SmallVector<Value> fields;
  for (int32_t field :
       {parsed.columns, parsed.depth, product.typeA, product.typeB,
        int32_t{parsed.transposedA}, int32_t{parsed.transposedB},
        int32_t{parsed.negatesA}, int32_t{parsed.negatesB}}) {
    fields.push_back(calls.constant(field));
  }
  fields.append({adds, calls.constant(takesRegisters),
                 written ? written : calls.constant(0)});
  for (int32_t name : names) {
    fields.push_back(calls.constant(name));
  }
  Value form = calls.registers(static_cast<int64_t>(fields.size()));
  for (auto [k, field] : llvm::enumerate(fields)) {
    LLVM::StoreOp::create(calls, field,
                          calls.registerAt(form, static_cast<int64_t>(k)));
  }
  return form;
}

void ProductWriter::replaceProduct(const Product &product, Value written) {
  constexpr int64_t kMost = 128 + 4;
  const ParsedAsm &parsed = product.parsed;
  bool takesRegisters = parsed.a.size() > 1;
  SmallVector<int32_t> ownNames(4, -1);
  for (unsigned k = 0; takesRegisters && k < 4; ++k) {
    ownNames[k] = getName(parsed.a[k]);
  }
  Calls calls(product.op, host, sites);
  Value form = describe(calls, product, written, ownNames);
  Value registers = calls.registers(kMost);
  auto store = [&](Value value, int64_t index) {
    LLVM::StoreOp::create(calls, value, calls.registerAt(registers, index));
  };
  for (auto [k, value] : llvm::enumerate(parsed.accumulators)) {
    store(value, static_cast<int64_t>(k));
  }
  int64_t count = parsed.columns / 2;
  if (parsed.accumulators.empty()) {
    // No name of what another product has left there.
    store(calls.constant(0), 0);
  }
  for (unsigned k = 0; takesRegisters && k < 4; ++k) {
    store(parsed.a[k], count + k);
  }
  Value a = takesRegisters ? calls.constant64(0) : parsed.a[0];
  calls.call("attn_emulator_wgmma", {},
             {form, a, parsed.b, registers, calls.site()});
  Value results =
      LLVM::PoisonOp::create(calls, product.op->getResult(0).getType());
  for (int64_t k = 0; k < count; ++k) {
    Value name = LLVM::LoadOp::create(calls, calls.getF32Type(),
                                      calls.registerAt(registers, k));
    results = LLVM::InsertValueOp::create(calls, results, name, k);
  }
  product.op->replaceAllUsesWith(ValueRange{results});
  product.op->erase();
}

void ProductWriter::replaceTie(LLVM::InlineAsmOp op) {
  Calls calls(op, host, sites);
  ParsedAsm parsed = *parseAsm(op);
  if (parsed.kind == ParsedAsm::WaitGroup) {
    calls.call("attn_emulator_wgmma_wait", {},
               {calls.constant(parsed.groups), calls.site()});
  }
  if (op->getNumResults() && op.getOperands().size() == 1) {
    op->replaceAllUsesWith(op.getOperands());
  } else if (op->getNumResults()) {
    Value all = LLVM::PoisonOp::create(calls, op->getResult(0).getType());
    for (auto [k, value] : llvm::enumerate(op.getOperands())) {
      all = LLVM::InsertValueOp::create(calls, all, value,
                                        static_cast<int64_t>(k));
    }
    op->replaceAllUsesWith(ValueRange{all});
  }
  op->erase();
}

LogicalResult ProductWriter::run() {
  if (failed(collect())) {
    return failure();
  }
  follow();
  if (failed(askForValues())) {
    return failure();
  }
  // While all products are there: their results are not looked through.
  SmallVector<Value> written;
  for (const Product &product : products) {
    OpBuilder b(product.op);
    SmallVector<Value> registers = product.parsed.accumulators;
    if (product.parsed.a.size() > 1) {
      llvm::append_range(registers, product.parsed.a);
    }
    written.push_back(fences.get(b, registers));
  }
  for (auto [product, count] : llvm::zip(products, written)) {
    replaceProduct(product, count);
  }
  for (LLVM::InlineAsmOp tie : ties) {
    replaceTie(tie);
  }
  return success();
}

bool emulator::isOfProducts(Operation *op) {
  if (auto text = dyn_cast<LLVM::InlineAsmOp>(op)) {
    std::optional<ParsedAsm> parsed = parseAsm(text);
    return parsed && parsed->kind != ParsedAsm::Pack;
  }
  return isa<NVVM::WgmmaMmaAsyncOp>(op);
}

LogicalResult emulator::replaceProducts(LLVM::LLVMFuncOp function,
                                        ModuleOp host, Sites &sites) {
  if (function.isExternal()) {
    return success();
  }
  return ProductWriter(function, host, sites).run();
}

//===----------------------------------------------------------------------===//
// Ops without results
//===----------------------------------------------------------------------===//

/// Two floats in one register.
static void replacePack(LLVM::InlineAsmOp op, Calls &calls, bool isBFloat) {
  Type element = isBFloat ? Type(calls.getBF16Type()) : calls.getF16Type();
  Value pair = LLVM::PoisonOp::create(calls, VectorType::get(2, element));
  // The first is the upper half.
  for (int32_t k : {0, 1}) {
    Value half =
        LLVM::FPTruncOp::create(calls, element, op.getOperands()[1 - k]);
    pair = LLVM::InsertElementOp::create(calls, pair, half, calls.constant(k));
  }
  op->replaceAllUsesWith(
      ValueRange{LLVM::BitcastOp::create(calls, calls.getI32Type(), pair)});
  op->erase();
}

FailureOr<bool> emulator::replaceWarpgroupOp(Operation *op, Calls &calls) {
  auto replace = [&](StringRef name, ValueRange operands) {
    SmallVector<Value> arguments(operands);
    arguments.push_back(calls.site());
    calls.call(name, {}, arguments);
    op->erase();
    return true;
  };
  return TypeSwitch<Operation *, bool>(op)
      .Case([&](NVVM::WgmmaFenceAlignedOp) {
        return replace("attn_emulator_wgmma_fence", {});
      })
      .Case([&](NVVM::WgmmaGroupSyncAlignedOp) {
        return replace("attn_emulator_wgmma_commit", {});
      })
      .Case([&](NVVM::WgmmaWaitGroupSyncOp wait) {
        return replace("attn_emulator_wgmma_wait",
                       {calls.constant(static_cast<int32_t>(wait.getGroup()))});
      })
      .Case([&](LLVM::InlineAsmOp text) {
        std::optional<ParsedAsm> parsed = parseAsm(text);
        if (!parsed || parsed->kind != ParsedAsm::Pack) {
          return false;
        }
        replacePack(text, calls, parsed->isBFloat);
        return true;
      })
      .Default(false);
}
