//===- Program.h - a program while it is being drawn ------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Families draw from, and add to, what is there: score matrices and tensors,
// each with what a family must know to stay well-typed and well-conditioned.
// A program whose results hang on the rounding of one sum (a predicate on a
// computed value, an index of a maximum) says nothing about the compiler, so
// such ops are drawn only where values are exact; and exponentials only of
// bounded values.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_SMITH_PROGRAM_H
#define ATTN_LIB_SMITH_PROGRAM_H

#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Smith/Smith.h"
#include "attn/Support/Emit.h"
#include "attn/Support/Random.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <deque>

namespace mlir::attn::smith {

/// A named extent: its size is chosen with the program, and may be part of the
/// types or not.
struct Dim {
  std::string name;
  int64_t size;
  bool isStatic;
  /// The sum of others, which no argument may have.
  bool isSum = false;

  int64_t getExtent() const { return isStatic ? size : ShapedType::kDynamic; }
};
using DimRef = const Dim *;

/// What is known of numbers: about how large they are, and whether they are
/// computed without rounding (small multiples of a power of two).
struct Numbers {
  double bound = 4.0;
  bool exact = false;
};

struct Tensor : Numbers {
  Value value;
  SmallVector<DimRef> shape;

  RankedTensorType getType() const {
    return cast<RankedTensorType>(value.getType());
  }
  Type getElement() const { return getType().getElementType(); }
  explicit operator bool() const { return static_cast<bool>(value); }
};

struct Matrix : Numbers {
  Value value;
  DimRef batch = nullptr, heads = nullptr, queries = nullptr, keys = nullptr;
  /// What queries and keys carry.
  struct AxisFacts {
    bool origin = false, segments = false, perHead = false;
  } axes[2];
  /// Of a concatenation: the keys of every source, and whether each query has
  /// keys of its own there.
  SmallVector<std::pair<DimRef, bool>> sources;

  /// Whether positions of queries and keys have one origin.
  bool isComparable() const {
    return queries == keys || axes[0].origin || axes[1].origin;
  }
  bool hasSegments() const { return axes[0].segments && axes[1].segments; }
  bool hasPerHeadAxes() const { return axes[0].perHead || axes[1].perHead; }

  ScoresType getType() const { return cast<ScoresType>(value.getType()); }
  Type getElement() const { return getType().getElementType(); }
};

/// A number of a region.
struct Term : Numbers {
  Value value;
};

/// The arguments of a region on entries.
struct Site {
  SmallVector<Term> elements;
  Value b, h, i, j, pi, pj;
  DimRef batch, heads, queries, keys;
};

class Program {
public:
  Program(MLIRContext &context, uint64_t seed, const SmithOptions &options);

  // Chance.
  int64_t below(int64_t bound) { return random.below(bound); }
  bool chance(double probability) { return random.unit() < probability; }
  template <typename T> T choose(std::initializer_list<T> values) {
    return values.begin()[below(static_cast<int64_t>(values.size()))];
  }
  template <typename C> auto &chooseFrom(C &container) {
    return container[static_cast<size_t>(
        below(static_cast<int64_t>(container.size())))];
  }

  // Extents.
  /// A constant, part of types.
  DimRef constant(int64_t size);
  /// A new dimension, static or not.
  DimRef dim(StringRef prefix, int64_t size, bool isStatic);
  /// A new dimension of a random size.
  DimRef dim(StringRef prefix);
  /// The dimension of a concatenation.
  DimRef sum(ArrayRef<DimRef> parts);
  int64_t drawSize();
  /// The extent as a value of the program.
  Value extent(DimRef dim);
  /// The extents of `shape` that types leave open.
  SmallVector<Value> dynamicExtents(ArrayRef<DimRef> shape);

  // Values.
  RankedTensorType tensorType(ArrayRef<DimRef> shape, Type element);
  /// A new argument of the function.
  Tensor argument(StringRef prefix, ArrayRef<DimRef> shape, Type element,
                  StringRef init = "", Numbers numbers = {});
  /// A scalar argument of index type.
  Value scalar(StringRef prefix, int64_t value);
  /// Floats of a random pattern.
  Tensor numbers(StringRef prefix, ArrayRef<DimRef> shape, Type element);
  /// Integers by a pattern.
  Tensor integers(StringRef prefix, ArrayRef<DimRef> shape, StringRef init);
  /// One of two extents: that of the matrix, or 1.
  DimRef orOne(DimRef dim) { return chance(0.4) ? constant(1) : dim; }
  /// A filled tensor.
  Value filled(ArrayRef<DimRef> shape, Type element, double value);
  /// Marks a tensor argument as one that the program writes.
  void setWritable(Value argument);

  ScoresType scoresType(const Matrix &like);
  /// The last matrices are the most interesting ones.
  const Matrix &pickMatrix();
  /// A matrix for which `fits` holds, if there is one.
  const Matrix *findMatrix(llvm::function_ref<bool(const Matrix &)> fits);
  /// One to `most` matrices over the same queries and keys, and in `shape` the
  /// extents of what is made of them.
  SmallVector<Matrix> pickCompatible(int64_t most, Matrix &shape);
  /// `like` with another value.
  void add(const Matrix &like, Value value, double bound, bool exact);
  void add(Matrix matrix) { matrices.push_back(std::move(matrix)); }
  void addResult(Tensor tensor);
  void addTensor(Tensor tensor) { tensors.push_back(std::move(tensor)); }

  // Regions.
  /// The block of a region on entries of `inputs`, all of which have the shape
  /// of `like`; the builder moves into it.
  Site enter(Region &region, ArrayRef<Matrix> inputs, const Matrix &like);
  /// Ends the block and moves back to where `enter` was called.
  void yield(ValueRange values);
  /// A random expression of the site's elements, indices and captured tensors.
  Term expression(const Site &site, Type type, int64_t depth);
  /// A random expression of the terms alone.
  Term combine(ArrayRef<Term> terms, Type type, int64_t depth);
  Value predicate(const Site &site);
  /// A random bin below `bins`, or outside of them.
  Value bin(const Site &site, int64_t bins);

  Emit e;
  const SmithOptions &options;
  OwningOpRef<ModuleOp> module;
  func::FuncOp function;
  /// What most operands are stored in, and what scores are computed in.
  Type element, accumulation;
  DimRef batch, heads, features, queries, keys;
  std::deque<Matrix> matrices;
  std::deque<Tensor> tensors;
  SmallVector<Value> results;
  /// Functions beside the one that is drawn.
  int64_t functions = 0;
  /// Whether what is drawn now is inside of a loop or a branch.
  bool isNested = false;

  /// The types of the function and its sizes.
  void finish();

private:
  Term rareFunction(const Term &x, Type type);
  Term unary(const Term &x, Type type);
  Term binary(const Term &x, const Term &y, Type type);
  Term leaf(const Site &site, Type type);
  Term captured(const Site &site, Type type);
  Value comparison(const Site &site);
  Value capturedBit(const Site &site);

  Random random;
  std::deque<Dim> dims;
  llvm::StringMap<unsigned> counters;
  SmallVector<OpBuilder::InsertPoint> entered;
  SmallVector<std::pair<Value, SmallVector<DimRef>>> arguments;
};

} // namespace mlir::attn::smith

#endif // ATTN_LIB_SMITH_PROGRAM_H
