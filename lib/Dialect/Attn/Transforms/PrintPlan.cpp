//===- PrintPlan.cpp - the plan in words ----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Prints what a program became: which kernels run, what each one reads, carries
// and writes, which tiles it leaves out, how much work that is and what is kept
// in memory between kernels.
//
//   plan of @attention: 1 stream
//     stream 1: rows (b, h, i) in [B, 8, L] over j in L
//       reads q: tensor<?x8x?x64xf32>, k: tensor<?x2x?x64xf32>, ...
//       writes tensor<?x8x?x64xf32>
//       sweep 1: j from 0 to N: 1 dot, 1 outer
//         gauge 1: running max f32 if j <= i
//         sum f32 if j <= i, act(gauge 1)
//         outer vector<64xf32> if j <= i, act(gauge 1)
//         tiles: empty ones are skipped, full ones unmasked; the range is
//         bounded work 2.00
//     work 2.00 in all, where one Q K^T is 1
//     memory: nothing of size M x N is stored, no tensors between streams
//
// Work counts multiply-adds per entry in units of one contraction over the
// features, before tiles are skipped and without the halos of stencils.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/Transforms/PrintPlan.h"

#include "PlanText.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/Format.h"

namespace mlir::attn {
#define GEN_PASS_DEF_PRINTPLANPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

static int64_t lastExtent(Value value) {
  return cast<ShapedType>(value.getType()).getShape().back();
}

namespace {
/// Multiply-adds per entry of one sweep.
struct SweepWork {
  int64_t dots = 0, outers = 0;
  int64_t features = 0; // of the first contraction
  int64_t outerFeatures = 0;
  double total = 0;
  SmallVector<Operation *> collectives;
  SmallVector<SweepOp> products; // sums of products inside of an entry

  explicit SweepWork(SweepOp sweep) { add(sweep.getBody().front(), 1.0); }

  /// The ops of a block that runs `times` per entry.
  void add(Block &block, double times) {
    for (Operation &op : block) {
      if (auto dot = dyn_cast<DotOp>(op)) {
        addDot(lastExtent(dot.getLhs()), times);
      } else if (auto inner = dyn_cast<InnerOp>(op)) {
        addDot(lastExtent(inner.getLhs()), times);
      } else if (auto dot = dyn_cast<DotWithOp>(op)) {
        addDot(lastExtent(dot.getLhs()), times);
      } else if (isa<AcrossOp>(op)) {
        collectives.push_back(&op);
      } else if (isCollective(&op)) {
        collectives.push_back(&op);
        total += times * static_cast<double>(getTapCount(&op));
        add(op.getRegion(0).front(), times * getSharedEvaluations(&op));
      } else if (auto inner = dyn_cast<SweepOp>(op)) {
        products.push_back(inner);
      } else if (auto carry = dyn_cast<CarryOp>(op);
                 carry && carry.getKind() == CarryKind::Outer) {
        ++outers;
        outerFeatures += lastExtent(carry.getRow());
        total += static_cast<double>(lastExtent(carry.getRow()));
      }
    }
  }
  void addDot(int64_t count, double times) {
    ++dots;
    features = features ? features : count;
    total += times * static_cast<double>(count);
  }
};

class PlanPrinter {
public:
  PlanPrinter(func::FuncOp func, raw_ostream &os) : func(func), os(os) {}
  void print();

private:
  void printStream(StreamOp stream, unsigned position);
  void printSweep(SweepOp sweep, unsigned position);
  void printAccumulators(SweepOp sweep);
  void printCarry(CarryOp carry, const DenseMap<Value, unsigned> &gauges);
  void printCondition(Value condition);
  void printCollective(Operation *op);
  void printTiles(SweepOp sweep);
  void printNumberOfBins(BinsOp bins);
  void printList(SweepOp sweep);
  int64_t printProducts(const SweepWork &work);
  void printMemory(ArrayRef<StreamOp> streams);
  void printWork(double features, bool continues);

  func::FuncOp func;
  raw_ostream &os;
  int64_t unit = 0; // features of one Q K^T
  double total = 0;
  double pass = 0; // of the sweeps that share the last pass over the keys
};
} // namespace

static StringRef plural(uint64_t count) { return count == 1 ? "" : "s"; }

void PlanPrinter::printCondition(Value condition) {
  if (condition) {
    os << " if " << formulaOf(condition);
  }
}

void PlanPrinter::printCarry(CarryOp carry,
                             const DenseMap<Value, unsigned> &gauges) {
  os << "      " << stringifyCarryKind(carry.getKind()) << " "
     << carry.getType();
  printCondition(carry.getCond());
  if (!carry.getGauges().empty()) {
    os << ", act(";
    llvm::interleaveComma(carry.getGauges(), os, [&](Value gauge) {
      os << "gauge " << gauges.lookup(gauge);
    });
    os << ")";
  }
  if (carry.getPolyGauge()) {
    os << ", poly(gauge " << gauges.lookup(carry.getPolyGauge())
       << ") of degree " << carry.getCompanions().size();
  }
  os << "\n";
}

void PlanPrinter::printAccumulators(SweepOp sweep) {
  DenseMap<Value, unsigned> gauges;
  for (auto running : sweep.getBody().getOps<RunningOp>()) {
    unsigned number = gauges.size() + 1;
    gauges[running] = number;
    os << "      gauge " << number << ": running "
       << stringifyGaugeKind(running.getKind()) << " " << running.getType();
    printCondition(running.getCond());
    os << "\n";
  }
  for (Operation &op : sweep.getBody().front()) {
    if (auto carry = dyn_cast<CarryOp>(op)) {
      printCarry(carry, gauges);
    } else if (auto fold = dyn_cast<FoldOp>(op)) {
      os << "      fold of " << fold.getNumResults() << " value"
         << plural(fold.getNumResults());
      printCondition(fold.getCond());
      os << "\n";
    } else if (auto top = dyn_cast<TopOp>(op)) {
      os << "      " << (top.getSmallest() ? "smallest " : "largest ")
         << cast<VectorType>(top.getKeys().getType()).getNumElements();
      printCondition(top.getCond());
      os << "\n";
    } else if (auto bins = dyn_cast<BinsOp>(op)) {
      os << "      " << stringifyCarryKind(bins.getKind()) << " in ";
      printNumberOfBins(bins);
      printCondition(bins.getCond());
      os << "\n";
    }
  }
}

/// The bins of a tally are those of its output.
void PlanPrinter::printNumberOfBins(BinsOp bins) {
  if (!bins.isTally()) {
    os << cast<VectorType>(bins.getType()).getNumElements() << " bins";
    return;
  }
  auto stream = bins->getParentOfType<StreamOp>();
  SmallVector<unsigned> outputs = bins.getOutputs();
  int64_t number = ShapedType::kDynamic;
  if (!outputs.empty()) {
    Value output = stream.getOutputs()[outputs.front()];
    number = cast<ShapedType>(output.getType()).getDimSize(3);
  }
  os << (ShapedType::isDynamic(number) ? "" : llvm::itostr(number) + " ")
     << "bins in memory";
  if (bins.getRowBlock()) {
    os << ", shared by blocks of rows";
  }
}

void PlanPrinter::printList(SweepOp sweep) {
  ListedOp list = getDriver(sweep);
  if (!list) {
    return;
  }
  auto stream = sweep->getParentOfType<StreamOp>();
  auto argument = cast<BlockArgument>(list.getSource());
  Value source =
      stream.getInputs()[argument.getArgNumber() - StreamOp::kNumIndexArgs];
  os << "      visits listed keys only: " << nameOfTensor(source) << ", "
     << list.getKeyBlock() << " key" << plural(list.getKeyBlock())
     << (list.getLengths() ? " per block of a run" : " per element")
     << ", one list per " << list.getRowBlock() << " row"
     << plural(list.getRowBlock()) << "\n";
}

void PlanPrinter::printCollective(Operation *op) {
  if (auto across = dyn_cast<AcrossOp>(op)) {
    os << "      " << stringifyCarryKind(across.getKind()) << " of all "
       << across.getRows() << " rows at a key";
    if (across.getCond()) {
      os << " if " << formulaOf(across.getCond());
    }
    os << "\n";
    return;
  }
  if (auto mix = dyn_cast<MixOp>(op)) {
    os << "      "
       << (mix.isGrouped() ? stringifyFeatureReduceKind(*mix.getKind()) : "mix")
       << " " << mix.getInputHeads() << " heads into " << mix.getOutputHeads()
       << ": a block holds all heads of its rows\n";
    return;
  }
  auto stencil = cast<StencilOp>(op);
  int64_t rows = stencil.getQueryExtent(), keys = stencil.getKeyExtent();
  os << "      stencil " << rows << " x " << keys << " around ("
     << formulaOf(stencil.getQuery()) << ", " << formulaOf(stencil.getKey())
     << "): a halo of " << rows - 1 << " row" << plural(rows - 1) << " and "
     << keys - 1 << " key" << plural(keys - 1) << "\n";
}

void PlanPrinter::printTiles(SweepOp sweep) {
  if (sweep.getTiles().empty()) {
    return;
  }
  Operation *answers = sweep.getTiles().front().getTerminator();
  bool neverFull = matchPattern(answers->getOperand(1), m_Zero());
  os << "      tiles: empty ones are skipped, "
     << (neverFull ? "all others masked" : "full ones unmasked")
     << (sweep.getBounds().empty() ? "" : "; the range is bounded") << "\n";
}

/// Products of two matrices, and the multiply-adds of their sums per entry.
int64_t PlanPrinter::printProducts(const SweepWork &work) {
  int64_t sums = 0;
  for (SweepOp inner : work.products) {
    SweepWork factors(inner);
    std::optional<int64_t> extent = getConstantIntValue(inner.getUpper());
    os << "      product: " << factors.dots << " dot" << plural(factors.dots)
       << " and a multiplication for each of "
       << (extent ? std::to_string(*extent) : formulaOf(inner.getUpper()))
       << " visits per entry" << (extent ? "" : ", not counted below") << "\n";
    sums += extent.value_or(0) * (1 + printProducts(factors));
  }
  return sums;
}

void PlanPrinter::printWork(double features, bool continues) {
  os << "      work ";
  if (unit == 0) {
    os << "0 (no products)\n";
    return;
  }
  double work = features / static_cast<double>(unit);
  if (!continues) {
    pass = 0;
  }
  total += std::max(0.0, work - pass);
  pass = std::max(pass, work);
  os << llvm::format("%.2f", work) << (continues ? " per key of its range" : "")
     << "\n";
}

void PlanPrinter::printSweep(SweepOp sweep, unsigned position) {
  auto stream = sweep->getParentOfType<StreamOp>();
  SweepWork work(sweep);
  os << "    sweep " << position << ": "
     << (stream.getOrientation() == Orientation::Rows ? "j" : "i") << " from "
     << formulaOf(sweep.getLower()) << " to " << formulaOf(sweep.getUpper())
     << ": " << work.dots << " dot" << plural(work.dots) << ", " << work.outers
     << " outer" << plural(work.outers) << "\n";
  int64_t sums = printProducts(work);
  printAccumulators(sweep);
  printList(sweep);
  llvm::for_each(work.collectives, [&](Operation *op) { printCollective(op); });
  printTiles(sweep);
  // Sweeps over neighbouring ranges are one pass over the keys.
  bool continues =
      llvm::any_of(stream.getBody().getOps<SweepOp>(), [&](SweepOp other) {
        return other != sweep && other.getUpper() == sweep.getLower();
      });
  printWork(work.total + static_cast<double>(sums), continues);
}

void PlanPrinter::printStream(StreamOp stream, unsigned position) {
  bool rows = stream.getOrientation() == Orientation::Rows;
  os << "  stream " << position << ": "
     << stringifyOrientation(stream.getOrientation()) << " (b, h, "
     << (rows ? "i" : "j") << ") in [" << nameOfExtent(stream.getBatch())
     << ", " << nameOfExtent(stream.getHeads()) << ", "
     << nameOfExtent(stream.getRows()) << "] over " << (rows ? "j" : "i")
     << " in " << nameOfExtent(stream.getExtent()) << "\n";
  os << "    reads ";
  if (stream.getInputs().empty()) {
    os << "nothing";
  }
  llvm::interleaveComma(stream.getInputs(), os, [&](Value input) {
    os << (input.getType().isIndex() ? nameOfExtent(input)
                                     : nameOfTensor(input))
       << ": " << input.getType();
  });
  os << "\n    writes ";
  llvm::interleaveComma(stream.getOutputs().getTypes(), os);
  os << "\n";
  for (auto [k, sweep] : llvm::enumerate(stream.getBody().getOps<SweepOp>())) {
    printSweep(sweep, k + 1);
  }
}

void PlanPrinter::printMemory(ArrayRef<StreamOp> streams) {
  SmallVector<Type> stored;
  func.walk(
      [&](MaterializeOp op) { stored.push_back(op->getResult(0).getType()); });
  os << "  memory: ";
  if (stored.empty()) {
    os << "nothing of size M x N is stored";
  } else {
    os << "stores M x N, as asked: ";
    llvm::interleaveComma(stored, os);
  }
  SmallVector<Value> between;
  for (StreamOp stream : streams) {
    for (Value result : stream.getResults()) {
      if (llvm::any_of(result.getUsers(), [](Operation *user) {
            return !user->hasTrait<OpTrait::ReturnLike>();
          })) {
        between.push_back(result);
      }
    }
  }
  if (between.empty()) {
    os << ", no tensors between streams\n";
    return;
  }
  os << ", between streams ";
  llvm::interleaveComma(between, os, [&](Value tensor) {
    os << nameOfTensor(tensor) << ": " << tensor.getType();
  });
  os << "\n";
}

void PlanPrinter::print() {
  SmallVector<StreamOp> streams;
  func.walk([&](StreamOp stream) { streams.push_back(stream); });
  func.walk([&](SweepOp sweep) {
    SweepWork work(sweep);
    if (unit == 0) {
      unit = work.features;
    }
  });
  if (unit == 0) {
    func.walk([&](SweepOp sweep) {
      unit = std::max(unit, SweepWork(sweep).outerFeatures);
    });
  }
  os << "plan of @" << func.getName() << ": " << streams.size() << " stream"
     << plural(streams.size()) << "\n";
  for (auto [k, stream] : llvm::enumerate(streams)) {
    printStream(stream, k + 1);
  }
  os << "  work " << llvm::format("%.2f", total)
     << " in all, where one Q K^T is 1\n";
  printMemory(streams);
}

void attn::printPlan(Operation *module, raw_ostream &os) {
  module->walk([&](func::FuncOp func) {
    bool plans = func.walk([](StreamOp) { return WalkResult::interrupt(); })
                     .wasInterrupted();
    // What private functions held was inlined.
    if (plans || func.isPublic()) {
      PlanPrinter(func, os).print();
    }
  });
}

namespace {
struct PrintPlanPass : attn::impl::PrintPlanPassBase<PrintPlanPass> {
  using Base::Base;
  void runOnOperation() override {
    // On the module, so that functions are printed in their order.
    std::string text;
    llvm::raw_string_ostream os(text);
    printPlan(getOperation(), os);
    llvm::outs() << text;
    llvm::outs().flush();
    markAllAnalysesPreserved();
  }
};
} // namespace
