//===- Families.h - the kinds of ops to draw from -------------- *- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_SMITH_FAMILIES_H
#define ATTN_LIB_SMITH_FAMILIES_H

#include "Program.h"

namespace mlir::attn::smith {

/// Where a family may be drawn: score matrices from tensors, from score
/// matrices, tensors from score matrices, tensors from tensors, and ways to
/// store an operand.
enum class Stage { Source, Step, Result, Tail, Storage };

/// What an op asks for: a tensor [batch, heads, length, features].
struct Request {
  StringRef prefix;
  DimRef batch, heads, length, features;
  Type element;

  SmallVector<DimRef> getShape() const {
    return {batch, heads, length, features};
  }
};

/// The tensor of a request, computed as `value`.
Tensor makeTensor(const Request &request, Value value, double bound,
                  bool exact = false);

/// Adds an op, or several, to the program; false where nothing fits, and the
/// program is as it was.
using Draw = bool (*)(Program &);
/// Makes an operand; nothing where it does not fit.
using Store = Tensor (*)(Program &, const Request &);

struct Family {
  const char *name;
  Stage stage;
  double weight;
  Draw draw;
  const char *summary;
  Store store = nullptr;
};

// Sources.cpp
bool drawScore(Program &p);
bool drawScoreWith(Program &p);
bool drawScoreBytes(Program &p);
bool drawBias(Program &p);
bool drawGenerator(Program &p);

// Entries.cpp
bool drawMap(Program &p);
bool drawNamedMask(Program &p);
bool drawPredicate(Program &p);
bool drawFill(Program &p);
bool drawAxes(Program &p);
bool drawSoftmax(Program &p);
bool drawNormalizer(Program &p);

// Neighbors.cpp
bool drawConvolve(Program &p);
bool drawMixHeads(Program &p);
bool drawReduceHeads(Program &p);
bool drawTranspose(Program &p);
bool drawCompete(Program &p);
bool drawMatmul(Program &p);
bool drawRestrict(Program &p);
bool drawList(Program &p);

// Reductions.cpp
bool drawReduce(Program &p);
bool drawReduceAxes(Program &p);
bool drawBins(Program &p);
bool drawTally(Program &p);
bool drawCustom(Program &p);

// Results.cpp
bool drawAggregate(Program &p);
bool drawMaterialize(Program &p);
bool drawTopk(Program &p);

// Segments.cpp
bool drawConcat(Program &p);
bool drawLane(Program &p);
bool drawState(Program &p);

// Control.cpp
bool drawLoop(Program &p);
bool drawWhile(Program &p);
bool drawBranch(Program &p);
bool drawCall(Program &p);

// Tails.cpp
bool drawLinalg(Program &p);
bool drawSelection(Program &p);
bool drawGather(Program &p);
bool drawPrefix(Program &p);
bool drawSolve(Program &p);

// Operands.cpp
Tensor storePlain(Program &p, const Request &request);
Tensor storeNonFinite(Program &p, const Request &request);
Tensor storeKnown(Program &p, const Request &request);
Tensor storeRope(Program &p, const Request &request);
Tensor storeHadamard(Program &p, const Request &request);
Tensor storeView(Program &p, const Request &request);
Tensor storeGather(Program &p, const Request &request);
Tensor storeSlice(Program &p, const Request &request);
Tensor storeTransposed(Program &p, const Request &request);
Tensor storeProjection(Program &p, const Request &request);

// Caches.cpp
Tensor storeDequantized(Program &p, const Request &request);
Tensor storeQuantized(Program &p, const Request &request);
Tensor storePaged(Program &p, const Request &request);
Tensor storeAppended(Program &p, const Request &request);

// Smith.cpp
/// A tensor as requested, stored in one way or another.
Tensor drawOperand(Program &p, const Request &request);

/// The weight of a family, as the options have it.
double getWeight(const Program &p, const Family &family);
/// Every family.
ArrayRef<Family> getFamilies();
/// Draws a family of the stage until one fits; false if that takes too long.
bool drawOne(Program &p, Stage stage);

} // namespace mlir::attn::smith

#endif // ATTN_LIB_SMITH_FAMILIES_H
