//===- MeasureWorkspace.cpp - attn-measure-workspace ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Says of every public function how much memory a call takes at most, before it
// is called:
//
//   %a = memref.alloc(%n) : memref<?x64xf32>     64 + ceil(256 N / 64) * 64 +
//   64 scf.if %strided { %c = memref.alloc() ... }  times 1 where it is, else 0
//   scf.for { %t = memref.alloc() ... }          once: a round frees what it
//   took call @attn_parallel_for(@kernel, ...)        per thread: the largest
//   kernel
//
// The workspace of the runtime is a stack: what was freed below something that
// is in use is taken again by something of the same size, or when all above it
// is free. So a sum over all allocations is enough, except where a loop carries
// buffers from one round to the next: n of them can keep n more of each alive.
//
//===----------------------------------------------------------------------===//

#include "Boundary.h"

#include "Bounds.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

/// What a piece of a program takes.
struct Usage {
  /// Terms of a sum; those of allocations whose size a round of a loop may
  /// change are apart.
  SmallVector<ExtentExpression> fixed, varying;

  void add(const Usage &other) {
    fixed.append(other.fixed);
    varying.append(other.varying);
  }
  void scale(const ExtentExpression &factor) {
    for (auto *terms : {&fixed, &varying}) {
      for (ExtentExpression &term : *terms) {
        term = combine(factor, term, ATTN_OP_MUL);
      }
    }
  }
  /// Equal terms once, with a factor.
  ExtentExpression getSum() const {
    int64_t constant = 0;
    SmallVector<std::pair<ExtentExpression, int64_t>> terms;
    for (const auto *list : {&fixed, &varying}) {
      for (const ExtentExpression &term : *list) {
        if (std::optional<int64_t> value = getConstant(term)) {
          constant += *value;
          continue;
        }
        auto found = llvm::find_if(
            terms, [&](const auto &known) { return known.first == term; });
        if (found != terms.end()) {
          ++found->second;
        } else {
          terms.push_back({term, 1});
        }
      }
    }
    ExtentExpression sum = getConstant(constant);
    for (const auto &[term, count] : terms) {
      sum =
          combine(std::move(sum),
                  combine(term, getConstant(count), ATTN_OP_MUL), ATTN_OP_ADD);
    }
    return sum;
  }
};

/// Walks over one public function and what it calls.
class Measurer {
public:
  explicit Measurer(func::FuncOp entry) : entry(entry), reader(entry) {}

  CallFacts measure() {
    CallFacts facts;
    std::optional<Usage> usage = measureBlock(entry.front());
    if (!entry.getBody().hasOneBlock()) {
      refuse("it jumps");
    }
    if (usage && unbounded.empty()) {
      facts.workspace = usage->getSum();
      facts.threadWorkspace = perThread;
      for (const ExtentExpression *sum :
           {&facts.workspace, &facts.threadWorkspace}) {
        if (getStackDepth(*sum) > ATTN_MAX_STACK) {
          refuse("the sizes of its buffers are too complicated");
        }
      }
    }
    facts.unbounded = unbounded;
    return facts;
  }

private:
  std::optional<Usage> refuse(const Twine &reason) {
    if (unbounded.empty()) {
      unbounded = reason.str();
    }
    return std::nullopt;
  }

  std::optional<Usage> measureBlock(Block &block) {
    Usage usage;
    for (Operation &op : block) {
      std::optional<Usage> one = measureOperation(&op);
      if (!one) {
        return std::nullopt;
      }
      usage.add(*one);
    }
    return usage;
  }

  std::optional<Usage> measureOperation(Operation *op) {
    if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
      return measureAllocation(alloc);
    }
    if (auto call = dyn_cast<func::CallOp>(op)) {
      return measureCall(call);
    }
    if (auto branch = dyn_cast<scf::IfOp>(op)) {
      return measureBranch(branch);
    }
    if (isa<memref::ReallocOp>(op)) {
      return refuse("a buffer of it grows");
    }
    Usage usage;
    for (Region &region : op->getRegions()) {
      for (Block &block : region) {
        std::optional<Usage> one = measureBlock(block);
        if (!one) {
          return std::nullopt;
        }
        usage.add(*one);
      }
    }
    if (isa<LoopLikeOpInterface>(op)) {
      multiply(usage, llvm::count_if(op->getResultTypes(), [](Type type) {
                 return isa<BaseMemRefType>(type);
               }));
    }
    return usage;
  }

  /// Of a loop that carries buffers.
  static void multiply(Usage &usage, int64_t carried) {
    if (carried == 0) {
      return;
    }
    // Each of those that were carried may lie on one whose size has changed.
    int64_t alive = carried + 1,
            above = alive * static_cast<int64_t>(usage.fixed.size() +
                                                 usage.varying.size());
    for (ExtentExpression &term : usage.fixed) {
      term = combine(term, getConstant(alive), ATTN_OP_MUL);
    }
    for (ExtentExpression &term : usage.varying) {
      term = combine(term, getConstant(alive * (above + 1)), ATTN_OP_MUL);
    }
  }

  std::optional<Usage> measureAllocation(memref::AllocOp alloc) {
    MemRefType type = alloc.getType();
    Type element = type.getElementType();
    int64_t width = 8; // of an index
    if (auto vector = dyn_cast<VectorType>(element)) {
      width = llvm::PowerOf2Ceil(llvm::divideCeil(
          vector.getNumElements() * vector.getElementTypeBitWidth(), 8));
    } else if (element.isIntOrFloat()) {
      width = llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
    }
    bool isFixed = true;
    int64_t fixed = width;
    ExtentExpression bytes;
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      if (!type.isDynamicDim(axis)) {
        fixed *= type.getDimSize(axis);
        continue;
      }
      Bounds extent = reader.readDim(alloc, axis);
      if (extent.upper.empty()) {
        return refuse("the size of a buffer of it depends on data");
      }
      isFixed = isFixed && extent.isExact();
      ExtentExpression upper =
          isNeverNegative(extent.upper)
              ? extent.upper
              : combine(extent.upper, getConstant(0), ATTN_OP_MAX);
      bytes = bytes.empty() ? upper : combine(bytes, upper, ATTN_OP_MUL);
    }
    bytes = bytes.empty() ? getConstant(fixed)
                          : combine(bytes, getConstant(fixed), ATTN_OP_MUL);
    // Room to align what malloc gives, and what the runtime puts before it.
    constexpr int64_t line = ATTN_WORKSPACE_LINE_BYTES;
    int64_t more = std::max<int64_t>(line, alloc.getAlignment().value_or(0));
    if (fixed % line != 0 || type.getNumDynamicDims() == 0) {
      bytes = combine(combine(bytes, getConstant(line), ATTN_OP_CEILDIV),
                      getConstant(line), ATTN_OP_MUL);
    }
    ExtentExpression piece = combine(
        bytes, getConstant(llvm::alignTo(more, line) + line), ATTN_OP_ADD);
    Usage usage;
    (isFixed ? usage.fixed : usage.varying).push_back(piece);
    return usage;
  }

  /// Extents of arguments, and products and sums of them.
  static bool isNeverNegative(const ExtentExpression &expression) {
    return llvm::all_of(expression, [](const ExtentTerm &term) {
      return term.op == ATTN_OP_SYMBOL ||
             (term.op == ATTN_OP_CONSTANT && term.operand >= 0) ||
             (!hasOperand(term.op) && term.op != ATTN_OP_SUB);
    });
  }

  std::optional<Usage> measureBranch(scf::IfOp branch) {
    std::optional<Usage> taken = measureBlock(*branch.thenBlock()),
                         other = Usage();
    if (Block *block = branch.elseBlock()) {
      other = measureBlock(*block);
    }
    if (!taken || !other) {
      return std::nullopt;
    }
    ExtentExpression condition = reader.readCondition(branch.getCondition());
    if (!condition.empty()) {
      taken->scale(condition);
      other->scale(negate(condition));
    }
    taken->add(*other);
    return taken;
  }

  std::optional<Usage> measureCall(func::CallOp call) {
    if (call.getCallee() == "attn_parallel_for") {
      return measureParallelLoop(call);
    }
    auto callee = entry->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(
        call.getCallee());
    if (!callee || callee.isExternal()) {
      return Usage();
    }
    return measureBody(callee, call.getOperands());
  }

  std::optional<Usage> measureBody(func::FuncOp func, ValueRange operands) {
    Block &body = func.front();
    if (!func.getBody().hasOneBlock() || reader.isEntered(body) ||
        func == entry) {
      return refuse("it calls itself");
    }
    reader.enter(body, operands);
    std::optional<Usage> usage = measureBlock(body);
    reader.leave(body);
    return usage;
  }

  /// Threads run items of one loop at a time; a loop in a loop runs on the
  /// thread that it is on.
  std::optional<Usage> measureParallelLoop(func::CallOp call) {
    Value function = call.getOperand(0);
    if (auto cast = function.getDefiningOp<UnrealizedConversionCastOp>()) {
      function = cast.getOperand(0);
    }
    auto name = function.getDefiningOp<func::ConstantOp>();
    auto kernel =
        name ? entry->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(
                   name.getValue())
             : func::FuncOp();
    if (!kernel || kernel.isExternal()) {
      return refuse("it runs a loop that is not known");
    }
    // Items lie between zero and their number.
    Bounds count = reader.read(call.getOperand(2));
    for (BlockArgument limit : kernel.getArguments().drop_front()) {
      reader.give(limit, {getConstant(0), count.upper, true});
    }
    bool isOutermost = !isInParallelLoop;
    isInParallelLoop = true;
    std::optional<Usage> usage = measureBody(kernel, call.getOperand(1));
    isInParallelLoop = !isOutermost;
    if (!usage || !isOutermost) {
      return usage;
    }
    ExtentExpression sum = usage->getSum();
    perThread = combine(perThread, sum, ATTN_OP_MAX);
    return Usage();
  }

  func::FuncOp entry;
  BoundsReader reader;
  ExtentExpression perThread = getConstant(0);
  std::string unbounded;
  bool isInParallelLoop = false;
};

struct MeasureWorkspacePass
    : PassWrapper<MeasureWorkspacePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(MeasureWorkspacePass)

  StringRef getArgument() const override { return "attn-measure-workspace"; }
  StringRef getDescription() const override {
    return "how much memory calls of public functions take";
  }

  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isPublic() && !func.isExternal()) {
        setWorkspace(func, Measurer(func).measure());
      }
    }
  }
};

} // namespace

std::unique_ptr<Pass> attn::createMeasureWorkspacePass() {
  return std::make_unique<MeasureWorkspacePass>();
}
