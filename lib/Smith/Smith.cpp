//===- Smith.cpp - random programs over the algebra -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program is one or two rounds of: some sources of scores, some steps on
// them, some results. Results of the first round are operands of the second.
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
    {"transpose", Stage::Step, 0.4, drawTranspose,
     "queries and keys exchanged"},
    {"matmul", Stage::Step, 0.3, drawMatmul, "products of virtual matrices"},
    {"restrict", Stage::Step, 1, drawRestrict, "lists of keys, given"},
    {"list", Stage::Step, 0.5, drawList, "lists of keys, made"},
    {"aggregate", Stage::Result, 6, drawAggregate, "sums of values"},
    {"reduce", Stage::Result, 4, drawReduce, "reductions of every kind"},
    {"bins", Stage::Result, 0.7, drawBins, "binned reductions"},
    {"custom", Stage::Result, 0.7, drawCustom, "reductions by region"},
    {"materialize", Stage::Result, 0.5, drawMaterialize, "stored matrices"},
    {"topk", Stage::Result, 1, drawTopk, "best entries of every row"},
};

ArrayRef<Family> smith::getFamilies() { return kFamilies; }

double smith::getWeight(const Program &p, const Family &family) {
  auto found = p.options.weights.find(family.name);
  return found == p.options.weights.end() ? family.weight : found->second;
}

bool smith::drawOne(Program &p, Stage stage) {
  double total = 0.0;
  for (const Family &family : getFamilies()) {
    total += family.stage == stage ? getWeight(p, family) : 0.0;
  }
  constexpr int64_t kTries = 20;
  for (int64_t k = 0; total > 0.0 && k < kTries; ++k) {
    double place = static_cast<double>(p.below(1 << 20)) / (1 << 20) * total;
    for (const Family &family : getFamilies()) {
      place -= family.stage == stage ? getWeight(p, family) : 0.0;
      if (place < 0.0) {
        if (family.draw(p)) {
          return true;
        }
        break;
      }
    }
  }
  return false;
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
  }
  p.finish();
  return std::move(p.module);
}
