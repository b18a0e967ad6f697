//===- MaskAnalysisTest.cpp - tiles and bounds against brute force --------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs attn-analyze-masks on one-carry sweeps, evaluates the condition for each
// entry and the derived regions for each tile with a small interpreter, and
// compares: a tile said to be empty holds no entry, a full one all of its
// entries, and no entry lies outside of the bounds. Where a mask is listed as
// exact the answers must also be the best ones, so that the test cannot pass
// by answering "maybe" throughout.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Registration.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir;
using namespace mlir::attn;

namespace {

//===----------------------------------------------------------------------===//
// Interpreter: evaluates a value by folding its operations
//===----------------------------------------------------------------------===//

class Interpreter {
public:
  explicit Interpreter(MLIRContext *context) : builder(context) {}

  void bindIndex(Value value, int64_t index) {
    known[value] = builder.getIndexAttr(index);
  }
  void bindTable(Value tensor, std::vector<int64_t> elements) {
    tables[tensor] = std::move(elements);
  }
  int64_t integer(Value value) {
    auto attr = dyn_cast_or_null<IntegerAttr>(evaluate(value));
    if (!attr) {
      ADD_FAILURE() << "no value";
      return 0;
    }
    return value.getType().isInteger(1) ? attr.getValue().getBoolValue()
                                        : attr.getValue().getSExtValue();
  }

private:
  Attribute evaluate(Value value) {
    if (Attribute attr = known.lookup(value)) {
      return attr;
    }
    Operation *op = value.getDefiningOp();
    if (!op) {
      return {};
    }
    run(op);
    return known.lookup(value);
  }

  /// Row-major; only a first dimension that is indexed by 0 may be dynamic.
  int64_t offset(Value source, ValueRange indices) {
    auto type = cast<ShapedType>(source.getType());
    int64_t result = 0;
    for (auto [dim, index] : llvm::enumerate(indices)) {
      int64_t i = integer(index);
      if (!type.isDynamicDim(dim)) {
        EXPECT_TRUE(0 <= i && i < type.getDimSize(dim)) << "index " << i;
      }
      result = result == 0 ? i : result * type.getDimSize(dim) + i;
    }
    return result;
  }

  void run(Operation *op) {
    if (auto at = dyn_cast<AtOp>(op)) {
      const std::vector<int64_t> &table = tables[at.getSource()];
      int64_t k = offset(at.getSource(), at.getIndices());
      ASSERT_GE(k, 0);
      ASSERT_LT(k, static_cast<int64_t>(table.size()));
      known[at] = builder.getIntegerAttr(at.getType(), table[k]);
      return;
    }
    if (auto range = dyn_cast<RangeOp>(op)) {
      const std::vector<int64_t> &table = tables[range.getSource()];
      int64_t size =
          cast<ShapedType>(range.getSource().getType()).getShape().back();
      if (ShapedType::isDynamic(size)) {
        size = static_cast<int64_t>(table.size());
      }
      int64_t row = offset(range.getSource(), range.getIndices()) * size;
      ASSERT_GE(row, 0);
      ASSERT_LE(row + size, static_cast<int64_t>(table.size()));
      int64_t end = size - 1;
      int64_t first = std::clamp<int64_t>(integer(range.getFirst()), 0, end);
      int64_t last = std::clamp<int64_t>(integer(range.getLast()), 0, end);
      auto [lo, hi] = std::minmax_element(table.begin() + row + first,
                                          table.begin() + row + last + 1);
      Type type = range.getMin().getType();
      known[range.getMin()] = builder.getIntegerAttr(type, *lo);
      known[range.getMax()] = builder.getIntegerAttr(type, *hi);
      return;
    }
    if (auto dot = dyn_cast<DotOp>(op)) {
      // Any values will do: a scramble of the indices.
      int64_t i = integer(dot.getLhsIndices().back());
      int64_t j = integer(dot.getRhsIndices().back());
      known[dot] =
          builder.getFloatAttr(dot.getType(), (i * 7 + j * 13) % 5 - 2);
      return;
    }
    SmallVector<Attribute> operands;
    for (Value operand : op->getOperands()) {
      operands.push_back(evaluate(operand));
    }
    SmallVector<OpFoldResult> results;
    ASSERT_TRUE(succeeded(op->fold(operands, results)))
        << op->getName().getStringRef().str();
    auto attr = dyn_cast<Attribute>(results.front());
    known[op->getResult(0)] = attr ? attr : evaluate(cast<Value>(results[0]));
  }

  Builder builder;
  DenseMap<Value, Attribute> known;
  DenseMap<Value, std::vector<int64_t>> tables;
};

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

struct MaskCase {
  std::string name;
  /// A named mask, or else text that computes %p.
  std::string attribute, text;
  bool exactEmpty = true, exactFull = true, exactBounds = true;
  bool positions = false;
  bool shuffled = false; // segments in no order
};

std::string textOf(const MaskCase &mask) {
  std::string text = mask.text;
  if (text.empty()) {
    text = "%p = \"test.named\"(%pi, %pj, %si, %sj, %prefix) : (index, index, "
           "index, index, index) -> i1";
  }
  std::string position = mask.positions ? "%off" : "%c0";
  return R"mlir(
    func.func @f(%q: tensor<1x1x?x4xf32>, %seg: tensor<1x?xi32>,
                 %len: tensor<1x1xi32>, %offset: tensor<1xi64>,
                 %blocks: tensor<6x6xi8>, %bits: tensor<6x6xi1>,
                 %out: tensor<1x1x?xi64>, %m: index, %n: index) -> tensor<1x1x?xi64> {
      %one = arith.constant 1 : index
      %r = attn.stream rows (%b, %h, %i) in [%one, %one, %m] over %e = %n
          ins(%Q = %q : tensor<1x1x?x4xf32>, %S = %seg : tensor<1x?xi32>,
              %L = %len : tensor<1x1xi32>, %O = %offset : tensor<1xi64>,
              %T = %blocks : tensor<6x6xi8>, %U = %bits : tensor<6x6xi1>)
          outs(%out : tensor<1x1x?xi64>) {
        %c0 = arith.constant 0 : index
        %off64 = attn.at %O[%b] : tensor<1xi64> -> i64
        %off = arith.index_cast %off64 : i64 to index
        %len32 = attn.at %L[%b, %h] : tensor<1x1xi32> -> i32
        %prefix = arith.index_cast %len32 : i32 to index
        %si32 = attn.at %S[%b, %i] : tensor<1x?xi32> -> i32
        %si = arith.index_cast %si32 : i32 to index
        %pi = arith.addi %i, )mlir" +
         position + R"mlir( : index
        %c = attn.sweep %j = %c0 to %e {
          %pj = arith.addi %j, %c0 : index
          %sj32 = attn.at %S[%b, %j] : tensor<1x?xi32> -> i32
          %sj = arith.index_cast %sj32 : i32 to index
          %dot = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x4xf32>, tensor<1x1x?x4xf32> -> f32
          )mlir" +
         text + R"mlir(
          %acc = attn.carry count if %p : (i1) -> i64
          attn.yield %acc : i64
        } : i64
        attn.store_row %c : i64
      }
      return %r : tensor<1x1x?xi64>
    })mlir";
}

struct Sizes {
  int64_t m, n;
  std::vector<int64_t> segments;
  int64_t length, offset;
};

class MaskAnalysis : public testing::TestWithParam<MaskCase> {
protected:
  MaskAnalysis() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.allowUnregisteredDialects();
  }

  void analyze(const MaskCase &mask) {
    std::string text = textOf(mask);
    module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    module->walk([&](Operation *op) {
      if (op->getName().getStringRef() == "test.named") {
        OpBuilder b(op);
        auto kind = dyn_cast_or_null<NamedMaskInterface>(
            parseAttribute(mask.attribute, &context));
        ASSERT_TRUE(kind);
        MaskSite site{op->getOperand(0), op->getOperand(1), op->getOperand(2),
                      op->getOperand(3), op->getOperand(4)};
        op->getResult(0).replaceAllUsesWith(
            kind.buildPredicate(b, op->getLoc(), site));
        op->erase();
      }
    });
    PassManager pm(&context);
    pm.addNestedPass<func::FuncOp>(createAnalyzeMasksPass());
    ASSERT_TRUE(succeeded(pm.run(*module)));
    ASSERT_TRUE(succeeded(verify(*module)));
    module->walk([&](StreamOp op) { stream = op; });
    module->walk([&](SweepOp op) { sweep = op; });
    module->walk([&](CarryOp op) { condition = op.getCond(); });
  }

  Interpreter interpreter(const Sizes &sizes) {
    Interpreter result(&context);
    result.bindIndex(stream.getBatchArg(), 0);
    result.bindIndex(stream.getHeadArg(), 0);
    result.bindIndex(stream.getExtentArg(), sizes.n);
    result.bindTable(stream.getInputArg(1), sizes.segments);
    result.bindTable(stream.getInputArg(2), {sizes.length});
    result.bindTable(stream.getInputArg(3), {sizes.offset});
    std::vector<int64_t> blocks(36);
    for (int64_t k = 0; k < 36; ++k) {
      blocks[k] = k % 7 == 0 || k % 6 == 0; // the diagonal and the first
    }
    result.bindTable(stream.getInputArg(4), blocks);
    result.bindTable(stream.getInputArg(5), blocks);
    return result;
  }

  /// Evaluates the two results of a region at its arguments.
  std::pair<int64_t, int64_t> evaluate(Region &region, const Sizes &sizes,
                                       ArrayRef<int64_t> arguments) {
    Interpreter in = interpreter(sizes);
    for (auto [arg, value] : llvm::zip(region.getArguments(), arguments)) {
      in.bindIndex(arg, value);
    }
    Operation *end = region.front().getTerminator();
    return {in.integer(end->getOperand(0)), in.integer(end->getOperand(1))};
  }

  std::vector<std::vector<bool>> truth(const Sizes &sizes) {
    std::vector<std::vector<bool>> present(sizes.m, std::vector<bool>(sizes.n));
    for (int64_t i = 0; i < sizes.m; ++i) {
      for (int64_t j = 0; j < sizes.n; ++j) {
        Interpreter in = interpreter(sizes);
        in.bindIndex(stream.getRowArg(), i);
        in.bindIndex(sweep.getKeyArg(), j);
        present[i][j] = in.integer(condition);
      }
    }
    return present;
  }

  void checkBounds(const MaskCase &mask, const Sizes &sizes,
                   const std::vector<std::vector<bool>> &present, int64_t i0,
                   int64_t i1) {
    auto [lo, hi] = evaluate(sweep.getBounds(), sizes, {i0, i1});
    EXPECT_LE(0, lo);
    EXPECT_LE(lo, hi);
    EXPECT_LE(hi, sizes.n);
    int64_t first = sizes.n, end = 0;
    for (int64_t i = i0; i <= i1; ++i) {
      for (int64_t j = 0; j < sizes.n; ++j) {
        if (present[i][j]) {
          first = std::min(first, j);
          end = std::max(end, j + 1);
          EXPECT_TRUE(lo <= j && j < hi) << "entry " << i << ", " << j
                                         << " outside of " << lo << ", " << hi;
        }
      }
    }
    if (mask.exactBounds && first < end) {
      EXPECT_EQ(lo, first) << "rows " << i0 << " to " << i1;
      EXPECT_EQ(hi, end) << "rows " << i0 << " to " << i1;
    }
  }

  void checkTile(const MaskCase &mask, const Sizes &sizes,
                 const std::vector<std::vector<bool>> &present, int64_t i0,
                 int64_t i1, int64_t j0, int64_t j1) {
    auto [may, must] = evaluate(sweep.getTiles(), sizes, {i0, i1, j0, j1});
    bool any = false, all = true;
    for (int64_t i = i0; i <= i1; ++i) {
      for (int64_t j = j0; j <= j1; ++j) {
        any = any || present[i][j];
        all = all && present[i][j];
      }
    }
    auto where = [&] {
      return ::testing::Message()
             << "tile " << i0 << ".." << i1 << " x " << j0 << ".." << j1;
    };
    EXPECT_TRUE(!any || may) << where() << " is not empty";
    EXPECT_TRUE(!must || all) << where() << " is not full";
    if (mask.exactEmpty) {
      EXPECT_EQ(any, static_cast<bool>(may)) << where();
    }
    if (mask.exactFull) {
      EXPECT_EQ(all, static_cast<bool>(must)) << where();
    }
    needed += any;
    visited += may;
    total += 1;
  }

  void check(const MaskCase &mask, const Sizes &sizes) {
    auto present = truth(sizes);
    for (auto [br, bc] : {std::pair<int64_t, int64_t>{1, 1},
                          {4, 8},
                          {16, 5},
                          {7, 32},
                          {64, 64}}) {
      for (int64_t i0 = 0; i0 < sizes.m; i0 += br) {
        int64_t i1 = std::min(i0 + br, sizes.m) - 1;
        if (!sweep.getBounds().empty()) {
          checkBounds(mask, sizes, present, i0, i1);
        }
        for (int64_t j0 = 0; j0 < sizes.n; j0 += bc) {
          checkTile(mask, sizes, present, i0, i1, j0,
                    std::min(j0 + bc, sizes.n) - 1);
        }
      }
    }
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  StreamOp stream;
  SweepOp sweep;
  Value condition;
  int64_t needed = 0, visited = 0, total = 0;
};

TEST_P(MaskAnalysis, AgreesWithBruteForce) {
  const MaskCase &mask = GetParam();
  ASSERT_NO_FATAL_FAILURE(analyze(mask));
  ASSERT_FALSE(sweep.getTiles().empty());
  EXPECT_TRUE(!mask.exactBounds || !sweep.getBounds().empty());
  std::mt19937 random(1);
  for (auto [m, n] : {std::pair<int64_t, int64_t>{48, 48}, {1, 33}, {29, 7}}) {
    if (mask.name.starts_with("Neighborhood") && m != n) {
      continue; // positions are those of one grid of 48
    }
    std::vector<int64_t> segments(std::max(m, n));
    int64_t segment = -1;
    for (int64_t &s : segments) {
      segment += random() % 9 == 0;
      s = segment;
    }
    if (mask.shuffled) {
      std::shuffle(segments.begin(), segments.end(), random);
    }
    check(mask, {m, n, segments, /*length=*/n / 3, /*offset=*/n - m});
  }
  // Every mask here leaves tiles out, and some tile is needed.
  EXPECT_LT(visited, total);
  EXPECT_GT(needed, 0);
  // A named mask on ordered segments costs next to no extra tiles.
  if (!mask.attribute.empty() && !mask.shuffled) {
    EXPECT_LE(visited, needed + needed / 20);
  }
  if (mask.name.starts_with("Table")) {
    EXPECT_LE(visited, needed + needed / 4); // one or two blocks in a tile
  }
  RecordProperty("needed", static_cast<int>(needed));
  RecordProperty("visited", static_cast<int>(visited));
  if (HasFailure()) {
    module->dump();
  }
}

MaskCase named(std::string name, std::string attribute) {
  return {name, attribute, ""};
}
MaskCase text(std::string name, std::string body) { return {name, "", body}; }
MaskCase withPositions(MaskCase mask) {
  mask.positions = true;
  mask.name += "AtOffset";
  return mask;
}
MaskCase shuffled(MaskCase mask) {
  mask.shuffled = true;
  mask.name += "Shuffled";
  return mask;
}
/// Bounds may be wider than needed.
MaskCase loose(MaskCase mask) {
  mask.exactBounds = false;
  return mask;
}
/// Sound, but not exact tile by tile.
MaskCase sound(MaskCase mask) {
  mask.exactEmpty = mask.exactFull = mask.exactBounds = false;
  return mask;
}

INSTANTIATE_TEST_SUITE_P(
    Masks, MaskAnalysis,
    testing::Values(
        named("Causal", "#attn.causal"),
        withPositions(named("Causal", "#attn.causal")),
        named("Window", "#attn.window<left = 5, right = 2>"),
        withPositions(named("Window", "#attn.window<left = 9, right = 0>")),
        named("Prefix", "#attn.prefix"),
        loose(named("Document", "#attn.document")),
        shuffled(sound(named("Document", "#attn.document"))),
        sound(named("Dilated", "#attn.dilated<window = 3, dilation = 4>")),
        named("Chunked", "#attn.chunked<size = 10>"),
        named("Neighborhood1d",
              "#attn.neighborhood<shape = [48], window = [7]>"),
        sound(named("Neighborhood1dDilated",
                    "#attn.neighborhood<shape = [48], window = [5], "
                    "dilation = [3]>")),
        sound(named("Neighborhood2d",
                    "#attn.neighborhood<shape = [6, 8], window = [3, 5]>")),
        sound(named("Neighborhood2dDilatedCausal",
                    "#attn.neighborhood<shape = [6, 8], window = [3, 2], "
                    "dilation = [2, 3], causal = [1, 0]>")),
        sound(named("Neighborhood3d", "#attn.neighborhood<shape = [4, 3, 4], "
                                      "window = [2, 3, 3]>")),
        text("Length", "%p = arith.cmpi slt, %j, %prefix : index"),
        text("UnsignedLength", "%p = arith.cmpi ult, %j, %prefix : index"),
        sound(text("ScoreThreshold", R"(
          %z = arith.constant 0.0 : f32
          %big = arith.cmpf ogt, %dot, %z : f32
          %causal = arith.cmpi sle, %j, %i : index
          %p = arith.andi %causal, %big : i1)")),
        text("BandByAbsoluteDistance", R"(
          %d = arith.subi %i, %j : index
          %a = math.absi %d : index
          %w = arith.constant 6 : index
          %p = arith.cmpi ule, %a, %w : index)"),
        sound(text("GlobalTokensOrWindow", R"(
          %two = arith.constant 2 : index
          %w = arith.constant 4 : index
          %gi = arith.cmpi slt, %i, %two : index
          %gj = arith.cmpi slt, %j, %two : index
          %g = arith.ori %gi, %gj : i1
          %d = arith.subi %i, %j : index
          %a = math.absi %d : index
          %near = arith.cmpi sle, %a, %w : index
          %p = arith.ori %g, %near : i1)")),
        text("NotFuture32", R"(
          %i32 = arith.index_cast %i : index to i32
          %j32 = arith.index_cast %j : index to i32
          %future = arith.cmpi sgt, %j32, %i32 : i32
          %true = arith.constant true
          %p = arith.xori %future, %true : i1)"),
        sound(text("HashThatWraps", R"(
          %i32 = arith.index_cast %i : index to i32
          %j32 = arith.index_cast %j : index to i32
          %k = arith.constant 1640531527 : i32
          %x = arith.muli %i32, %k : i32
          %y = arith.muli %j32, %k : i32
          %s = arith.addi %x, %y : i32
          %t = arith.constant 900000000 : i32
          %low = arith.cmpi slt, %s, %t : i32
          %c = arith.cmpi sle, %j, %i : index
          %p = arith.andi %low, %c : i1)")),
        sound(text("DivisionOfNegatives", R"(
          %five = arith.constant 5 : index
          %d = arith.subi %j, %i : index
          %a = arith.divsi %d, %five : index
          %r = arith.remsi %d, %five : index
          %f = arith.floordivsi %d, %five : index
          %lo = arith.constant -2 : index
          %p0 = arith.cmpi sge, %a, %lo : index
          %p1 = arith.cmpi sle, %r, %a : index
          %p2 = arith.cmpi slt, %f, %five : index
          %p3 = arith.andi %p0, %p1 : i1
          %p = arith.andi %p3, %p2 : i1)")),
        sound(text("SelectOfWindows", R"(
          %w0 = arith.constant 3 : index
          %w1 = arith.constant 12 : index
          %wide = arith.cmpi eq, %si, %c0 : index
          %w = arith.select %wide, %w1, %w0 : index
          %d = arith.subi %i, %j : index
          %near = arith.cmpi sle, %d, %w : index
          %past = arith.cmpi sle, %j, %i : index
          %p = arith.select %near, %past, %wide : i1)")),
        sound(text("ScaledAndClamped", R"(
          %three = arith.constant 3 : index
          %x = arith.muli %j, %three : index
          %y = arith.maxsi %x, %i : index
          %z = arith.minsi %y, %prefix : index
          %p0 = arith.cmpi sle, %z, %i : index
          %p1 = arith.cmpi slt, %x, %i : index
          %p = arith.andi %p0, %p1 : i1)")),
        sound(text("TableOfBlocks", R"(
          %eight = arith.constant 8 : index
          %zero8 = arith.constant 0 : i8
          %bi = arith.divui %i, %eight : index
          %bj = arith.divui %j, %eight : index
          %t = attn.at %T[%bi, %bj] : tensor<6x6xi8> -> i8
          %p = arith.cmpi ne, %t, %zero8 : i8)")),
        sound(text("TableOfBits", R"(
          %eight = arith.constant 8 : index
          %bi = arith.divui %i, %eight : index
          %bj = arith.divui %j, %eight : index
          %p = attn.at %U[%bi, %bj] : tensor<6x6xi1> -> i1)")),
        sound(text("TableOfBitsAsIntegers", R"(
          %eight = arith.constant 8 : index
          %one8 = arith.constant 1 : i8
          %bi = arith.divui %i, %eight : index
          %bj = arith.divui %j, %eight : index
          %u = attn.at %U[%bi, %bj] : tensor<6x6xi1> -> i1
          %x = arith.extui %u : i1 to i8
          %p = arith.cmpi eq, %x, %one8 : i8)")),
        sound(text("StridedOrLocal", R"(
          %six = arith.constant 6 : index
          %r = arith.remui %j, %six : index
          %five = arith.constant 5 : index
          %summary = arith.cmpi eq, %r, %five : index
          %bi = arith.divui %i, %six : index
          %bj = arith.divui %j, %six : index
          %local = arith.cmpi eq, %bi, %bj : index
          %either = arith.ori %summary, %local : i1
          %past = arith.cmpi ule, %j, %i : index
          %p = arith.andi %either, %past : i1)"))),
    [](const testing::TestParamInfo<MaskCase> &info) {
      return info.param.name;
    });

TEST_F(MaskAnalysis, CausalVisitsTheTriangleOnly) {
  ASSERT_NO_FATAL_FAILURE(analyze(named("Causal", "#attn.causal")));
  Sizes sizes{64, 64, std::vector<int64_t>(64), 0, 0};
  int64_t full = 0, partial = 0;
  for (int64_t i0 = 0; i0 < 64; i0 += 8) {
    auto [lo, hi] = evaluate(sweep.getBounds(), sizes, {i0, i0 + 7});
    EXPECT_EQ(lo, 0);
    EXPECT_EQ(hi, i0 + 8);
    for (int64_t j0 = 0; j0 < 64; j0 += 8) {
      auto [may, must] =
          evaluate(sweep.getTiles(), sizes, {i0, i0 + 7, j0, j0 + 7});
      full += must;
      partial += may && !must;
    }
  }
  EXPECT_EQ(full, 28);
  EXPECT_EQ(partial, 8);
}

} // namespace
