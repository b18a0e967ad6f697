//===- Tile.h - the tile dialect and its layouts ----------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_TILE_IR_TILE_H
#define ATTN_DIALECT_TILE_IR_TILE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::attn::tile {

/// Whether `type` is a tensor with the encoding of a tile.
bool isTile(Type type);

/// Where `type` is a matrix in workgroup memory.
bool isShared(Type type);

/// Where `type` is several of them.
bool isRing(Type type);

/// What a ring has several of.
MemRefType getMatrix(MemRefType ring);

} // namespace mlir::attn::tile

#include "attn/Dialect/Tile/IR/TileDialect.h.inc"
#include "attn/Dialect/Tile/IR/TileEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "attn/Dialect/Tile/IR/TileAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "attn/Dialect/Tile/IR/TileTypes.h.inc"

#define GET_OP_CLASSES
#include "attn/Dialect/Tile/IR/TileOps.h.inc"

namespace mlir::attn::tile {

/// What one warp holds in one instruction. The position of an element is the
/// sum of the bases of the bits that are set in the numbers of its register and
/// of its lane.
struct AtomShape {
  std::array<int64_t, 2> extents;
  SmallVector<std::array<int64_t, 2>> registers, lanes;

  /// The lanes of a warp.
  int64_t countLanes() const { return int64_t{1} << lanes.size(); }

  static const AtomShape &get(Atom atom);
};

/// The atom of left operands of the matrix instruction whose sums `acc` holds;
/// none if it is no such atom.
std::optional<Atom> getOperandAtom(Atom acc);

/// The elements of a tile as the registers of one thread.
class Registers {
public:
  explicit Registers(RankedTensorType tile);

  /// How many elements a thread holds.
  size_t size() const { return offsets.size(); }
  /// How far element k of a thread is from its first one, by kept axis.
  ArrayRef<int64_t> getOffset(size_t k) const { return offsets[k]; }
  /// The registers along one axis: for each element, the number of its offset
  /// along `dim` among all of them, in ascending order.
  SmallVector<int64_t> getDistinct(unsigned dim) const;
  LayoutAttr getLayout() const { return layout; }
  /// The axes of the matrix that the tile keeps.
  ArrayRef<unsigned> getAxes() const { return axes; }
  /// The register whose offset is `offset`.
  size_t find(ArrayRef<int64_t> offset) const;

private:
  LayoutAttr layout;
  SmallVector<unsigned> axes;
  SmallVector<SmallVector<int64_t, 2>> offsets;
};

/// The layout of the matrix that `tile` is, or is a slice of.
LayoutAttr getMatrixLayout(RankedTensorType tile);

/// What remains of a tile without one axis of its matrix.
RankedTensorType dropAxis(RankedTensorType tile, int64_t dim);

/// Elements of an atom beside and above each other, one per warp.
std::array<int64_t, 2> getUnit(LayoutAttr layout);

/// The threads of a block that has these tiles.
int64_t countThreads(LayoutAttr layout);

/// Where the first element of a thread is in the matrix.
std::array<int64_t, 2> getFirst(LayoutAttr layout, int64_t thread);

} // namespace mlir::attn::tile

#endif // ATTN_DIALECT_TILE_IR_TILE_H
