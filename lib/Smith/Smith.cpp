//===- Smith.cpp - random programs over the algebra -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program is one or two rounds of: some sources of scores, some steps on
// them, some results, at times an op on tensors. Results of the first round are
// operands of the second.
//
//===----------------------------------------------------------------------===//

#include "Families.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

static constexpr Family kFamilies[] = {
    {"score", Stage::Source, 6, drawScore, "dot products of queries and keys"},
    {"score_with", Stage::Source, 1, drawScoreWith,
     "a region on features, reduced"},
    {"score_bytes", Stage::Source, 0.3, drawScoreBytes,
     "dot products of i8, scaled"},
    {"bias", Stage::Source, 1, drawBias, "stored matrices"},
    {"generate", Stage::Source, 0.7, drawGenerator,
     "matrices from indices and captured tensors"},
    {"map", Stage::Step, 6, drawMap, "pointwise regions on scores"},
    {"mask", Stage::Step, 3, drawNamedMask, "named masks"},
    {"predicate", Stage::Step, 3, drawPredicate, "masks by region"},
    {"fill", Stage::Step, 0.7, drawFill, "absent entries made present"},
    {"axes", Stage::Step, 1, drawAxes,
     "positions, offsets, lengths and segments"},
    {"softmax", Stage::Step, 3, drawSoftmax, "softmax with its options"},
    {"normalizer", Stage::Step, 2, drawNormalizer,
     "normalizers written with reductions and maps"},
    {"convolve", Stage::Step, 0.7, drawConvolve, "stencils"},
    {"mix_heads", Stage::Step, 0.7, drawMixHeads, "mixtures of heads"},
    {"reduce_heads", Stage::Step, 0.4, drawReduceHeads,
     "reductions over groups of heads"},
    {"transpose", Stage::Step, 0.4, drawTranspose,
     "queries and keys exchanged"},
    {"compete", Stage::Step, 0.5, drawCompete, "softmax over the queries"},
    {"matmul", Stage::Step, 0.3, drawMatmul, "products of virtual matrices"},
    {"restrict", Stage::Step, 1, drawRestrict, "lists of keys, given"},
    {"list", Stage::Step, 0.5, drawList, "lists of keys, made"},
    {"aggregate", Stage::Result, 6, drawAggregate, "sums of values"},
    {"reduce", Stage::Result, 4, drawReduce, "reductions of every kind"},
    {"lane", Stage::Source, 0.2, drawLane, "keys of single queries"},
    {"concat", Stage::Step, 0.7, drawConcat, "several sources of keys"},
    {"state", Stage::Result, 0.7, drawState,
     "partial, merge and finish over disjoint keys"},
    {"axes_reduce", Stage::Result, 1, drawReduceAxes,
     "reductions over several axes"},
    {"bins", Stage::Result, 0.7, drawBins, "binned reductions"},
    {"tally", Stage::Result, 0.6, drawTally,
     "bins whose number is an operand, or of several rows or axes"},
    {"custom", Stage::Result, 0.7, drawCustom, "reductions by region"},
    {"materialize", Stage::Result, 0.5, drawMaterialize, "stored matrices"},
    {"topk", Stage::Result, 1, drawTopk, "best entries of every row"},
    {"loop", Stage::Result, 0.4, drawLoop, "layers in loops"},
    {"while", Stage::Result, 0.2, drawWhile, "layers in while loops"},
    {"branch", Stage::Result, 0.3, drawBranch, "layers in branches"},
    {"call", Stage::Result, 0.3, drawCall, "layers in functions"},
    {"linalg", Stage::Tail, 2, drawLinalg, "arithmetic on tensors"},
    {"selection", Stage::Tail, 1, drawSelection, "sorting and selection"},
    {"gather_rows", Stage::Tail, 1, drawGather, "gathers and scatters"},
    {"prefix", Stage::Tail, 0.7, drawPrefix, "running values"},
    {"solve", Stage::Tail, 0.4, drawSolve, "small factorisations"},
    {"plain", Stage::Storage, 12, nullptr, "arguments", storePlain},
    {"non_finite", Stage::Storage, 0.3, nullptr, "a row of NaN or infinities",
     storeNonFinite},
    {"known", Stage::Storage, 2, nullptr, "results of before", storeKnown},
    {"rope", Stage::Storage, 1, nullptr, "rotary embeddings", storeRope},
    {"hadamard", Stage::Storage, 0.6, nullptr, "Hadamard transforms",
     storeHadamard},
    {"view", Stage::Storage, 1, nullptr, "tensors computed on load", storeView},
    {"gather", Stage::Storage, 0.6, nullptr, "gathered rows", storeGather},
    {"slice", Stage::Storage, 0.6, nullptr, "slices of tensors", storeSlice},
    {"transposed", Stage::Storage, 0.6, nullptr,
     "tokens before heads, split or not", storeTransposed},
    {"projection", Stage::Storage, 0.6, nullptr, "linalg before attention",
     storeProjection},
    {"dequantize", Stage::Storage, 1, nullptr, "codes and scales",
     storeDequantized},
    {"quantize", Stage::Storage, 0.4, nullptr,
     "numbers that are quantised first", storeQuantized},
    {"paged", Stage::Storage, 0.8, nullptr, "pages of a pool", storePaged},
    {"append", Stage::Storage, 0.5, nullptr, "caches that are written",
     storeAppended},
};

ArrayRef<Family> smith::getFamilies() { return kFamilies; }

double smith::getWeight(const Program &p, const Family &family) {
  auto found = p.options.weights.find(family.name);
  return found == p.options.weights.end() ? family.weight : found->second;
}

/// A family of the stage by weight; null where all weights are 0.
static const Family *pickFamily(Program &p, Stage stage) {
  double total = 0.0;
  const Family *last = nullptr;
  for (const Family &family : getFamilies()) {
    if (family.stage == stage && getWeight(p, family) > 0.0) {
      total += getWeight(p, family);
      last = &family;
    }
  }
  double place = static_cast<double>(p.below(1 << 20)) / (1 << 20) * total;
  for (const Family &family : getFamilies()) {
    if (family.stage == stage) {
      place -= getWeight(p, family);
      if (place < 0.0) {
        return &family;
      }
    }
  }
  return last;
}

static constexpr int kTries = 20;

bool smith::drawOne(Program &p, Stage stage) {
  for (int k = 0; k < kTries; ++k) {
    const Family *family = pickFamily(p, stage);
    if (!family) {
      return false;
    }
    if (family->draw(p)) {
      return true;
    }
  }
  return false;
}

Tensor smith::drawOperand(Program &p, const Request &request) {
  for (int k = 0; k < kTries; ++k) {
    const Family *family = pickFamily(p, Stage::Storage);
    if (!family) {
      break;
    }
    if (Tensor tensor = family->store(p, request)) {
      return tensor;
    }
  }
  return storePlain(p, request);
}

std::string attn::getFamilyHelp() {
  static constexpr const char *stages[] = {
      "sources of scores", "steps on scores", "results of scores",
      "ops on tensors", "storage of operands"};
  std::string text;
  llvm::raw_string_ostream os(text);
  for (auto [number, title] : llvm::enumerate(stages)) {
    bool isFirst = true;
    for (const Family &family : getFamilies()) {
      if (static_cast<size_t>(family.stage) != number) {
        continue;
      }
      os << (isFirst ? std::string(title) + "\n" : "");
      isFirst = false;
      os << "  " << llvm::left_justify(family.name, 14)
         << llvm::format("%-5g", family.weight) << family.summary << "\n";
    }
  }
  return text;
}

static const Family *findFamily(StringRef name) {
  for (const Family &family : getFamilies()) {
    if (name == family.name) {
      return &family;
    }
  }
  return nullptr;
}

llvm::Error attn::parseFamilies(StringRef text, SmithOptions &options) {
  SmallVector<StringRef> parts;
  text.split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts) {
    auto [name, number] = part.split('=');
    double weight = 0.0;
    if (!findFamily(name)) {
      return llvm::createStringError("'" + name +
                                     "' is no family; --help lists them");
    }
    if (number.getAsDouble(weight) || !(weight >= 0.0) || weight > 1e6) {
      return llvm::createStringError("the weight of '" + name +
                                     "' is a number of at least 0, not '" +
                                     number + "'");
    }
    options.weights[name] = weight;
  }
  return llvm::Error::success();
}

OwningOpRef<ModuleOp> attn::drawProgram(MLIRContext &context, uint64_t seed,
                                        const SmithOptions &options) {
  Program p(context, seed, options);
  int64_t rounds = p.chance(0.15) ? 2 : 1;
  for (int64_t round = 0; round < rounds; ++round) {
    for (int64_t k = p.choose<int64_t>({1, 1, 1, 2, 2, 3}); k > 0; --k) {
      drawOne(p, Stage::Source);
    }
    for (int64_t k = p.below(options.steps + 1); k > 0; --k) {
      drawOne(p, Stage::Step);
    }
    for (int64_t k = p.choose<int64_t>({1, 1, 1, 2, 2, 3}); k > 0; --k) {
      drawOne(p, Stage::Result);
    }
    if (p.chance(0.25)) {
      drawOne(p, Stage::Tail);
    }
  }
  p.finish();
  return std::move(p.module);
}
