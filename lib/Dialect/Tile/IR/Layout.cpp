//===- Layout.cpp - which thread holds what -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A new matrix instruction is a line of the table of atoms.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::tile;

const AtomShape &AtomShape::get(Atom atom) {
  static const AtomShape grid = {
      {8, 4}, {}, {{0, 1}, {0, 2}, {1, 0}, {2, 0}, {4, 0}}};
  // The fragments of mma.sync.m16n8k16, as the PTX ISA draws them.
  static const AtomShape mmaAcc = {
      {16, 8}, {{0, 1}, {8, 0}}, {{0, 2}, {0, 4}, {1, 0}, {2, 0}, {4, 0}}};
  static const AtomShape mmaA = {{16, 16},
                                 {{0, 1}, {8, 0}, {0, 8}},
                                 {{0, 2}, {0, 4}, {1, 0}, {2, 0}, {4, 0}}};
  static const AtomShape grid64 = {
      {16, 4}, {}, {{0, 1}, {0, 2}, {1, 0}, {2, 0}, {4, 0}, {8, 0}}};
  // "AMD Instinct MI200" and "RDNA3", "RDNA4" Instruction Set Architecture: the
  // columns of D, which are rows here, are the lanes modulo 16.
  static const AtomShape mfma = {
      {16, 16},
      {{0, 1}, {0, 2}},
      {{1, 0}, {2, 0}, {4, 0}, {8, 0}, {0, 4}, {0, 8}}};
  static const AtomShape wmmaAcc = {{16, 16},
                                    {{0, 2}, {0, 4}, {0, 8}},
                                    {{1, 0}, {2, 0}, {4, 0}, {8, 0}, {0, 1}}};
  static const AtomShape wmmaA = {{16, 16},
                                  {{0, 1}, {0, 2}, {0, 4}, {0, 8}},
                                  {{1, 0}, {2, 0}, {4, 0}, {8, 0}, {0, 0}}};
  static const AtomShape wmmaHalves = {
      {16, 16},
      {{0, 1}, {0, 2}, {0, 4}},
      {{1, 0}, {2, 0}, {4, 0}, {8, 0}, {0, 8}}};
  switch (atom) {
  case Atom::Grid:
    return grid;
  case Atom::Grid64:
    return grid64;
  case Atom::Mfma:
    return mfma;
  case Atom::WmmaAcc:
    return wmmaAcc;
  case Atom::WmmaA:
    return wmmaA;
  case Atom::WmmaHalves:
    return wmmaHalves;
  case Atom::MmaAcc:
    return mmaAcc;
  case Atom::MmaA:
    return mmaA;
  }
  llvm_unreachable("atoms are listed");
}

std::optional<Atom> tile::getOperandAtom(Atom acc) {
  switch (acc) {
  case Atom::MmaAcc:
    return Atom::MmaA;
  case Atom::WmmaAcc:
    return Atom::WmmaA;
  case Atom::Mfma:
  case Atom::WmmaHalves:
    return acc;
  default:
    return std::nullopt;
  }
}

bool tile::isTile(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() &&
         isa_and_nonnull<LayoutAttr, SliceAttr>(tensor.getEncoding());
}

static bool isInWorkgroup(Type type, int64_t rank) {
  auto memref = dyn_cast<MemRefType>(type);
  return memref && memref.getRank() == rank && memref.hasStaticShape() &&
         memref.getLayout().isIdentity() &&
         gpu::GPUDialect::hasWorkgroupMemoryAddressSpace(memref);
}

bool tile::isShared(Type type) { return isInWorkgroup(type, 2); }

bool tile::isRing(Type type) { return isInWorkgroup(type, 3); }

MemRefType tile::getMatrix(MemRefType ring) {
  if (ring.getRank() == 0) {
    return ring;
  }
  return MemRefType::get(ring.getShape().drop_front(), ring.getElementType(),
                         MemRefLayoutAttrInterface(), ring.getMemorySpace());
}

LayoutAttr tile::getMatrixLayout(RankedTensorType tile) {
  if (auto slice = dyn_cast<SliceAttr>(tile.getEncoding())) {
    return slice.getParent();
  }
  return cast<LayoutAttr>(tile.getEncoding());
}

RankedTensorType tile::dropAxis(RankedTensorType tile, int64_t dim) {
  auto layout = cast<LayoutAttr>(tile.getEncoding());
  return RankedTensorType::get(tile.getDimSize(1 - dim), tile.getElementType(),
                               SliceAttr::get(tile.getContext(), dim, layout));
}

std::array<int64_t, 2> tile::getUnit(LayoutAttr layout) {
  const AtomShape &atom = AtomShape::get(layout.getAtom());
  return {atom.extents[0] * layout.getWarps()[0],
          atom.extents[1] * layout.getWarps()[1]};
}

int64_t tile::countThreads(LayoutAttr layout) {
  return AtomShape::get(layout.getAtom()).countLanes() * layout.getWarps()[0] *
         layout.getWarps()[1];
}

std::array<int64_t, 2> tile::getFirst(LayoutAttr layout, int64_t thread) {
  const AtomShape &atom = AtomShape::get(layout.getAtom());
  int64_t lane = thread % atom.countLanes(), warp = thread / atom.countLanes();
  int64_t rows = layout.getWarps()[0];
  std::array<int64_t, 2> first = {warp % rows * atom.extents[0],
                                  warp / rows * atom.extents[1]};
  for (auto [bit, step] : llvm::enumerate(atom.lanes)) {
    if (lane >> bit & 1) {
      first[0] += step[0];
      first[1] += step[1];
    }
  }
  return first;
}

LogicalResult
LayoutAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                   Atom atom, ArrayRef<int64_t> warps) {
  if (warps.size() != 2 || warps[0] < 1 || warps[1] < 1) {
    return emitError() << "warps are counted along two axes";
  }
  return success();
}

LogicalResult
SliceAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                  int64_t dim, LayoutAttr parent) {
  if (dim != 0 && dim != 1) {
    return emitError() << "a slice is without axis 0 or 1, not " << dim;
  }
  return success();
}

Registers::Registers(RankedTensorType tile) : layout(getMatrixLayout(tile)) {
  if (auto slice = dyn_cast<SliceAttr>(tile.getEncoding())) {
    axes = {unsigned(1 - slice.getDim())};
  } else {
    axes = {0, 1};
  }
  const AtomShape &atom = AtomShape::get(layout.getAtom());
  std::array<int64_t, 2> unit = getUnit(layout);
  // Repeats from outside in, then the registers of the atom; what differs only
  // along a dropped axis is one register.
  SmallVector<SmallVector<int64_t, 2>> all = {{}};
  for (auto [k, axis] : llvm::enumerate(axes)) {
    SmallVector<SmallVector<int64_t, 2>> next;
    for (const auto &prefix : all) {
      for (int64_t at = 0; at < tile.getDimSize(k); at += unit[axis]) {
        next.push_back(prefix);
        next.back().push_back(at);
      }
    }
    all = std::move(next);
  }
  for (const auto &repeat : all) {
    for (size_t number = 0; number < size_t{1} << atom.registers.size();
         ++number) {
      SmallVector<int64_t, 2> offset = repeat;
      bool first = true;
      for (size_t bit = 0; bit < atom.registers.size(); ++bit) {
        if (!(number >> bit & 1)) {
          continue;
        }
        bool kept = false;
        for (auto [k, axis] : llvm::enumerate(axes)) {
          offset[k] += atom.registers[bit][axis];
          kept |= atom.registers[bit][axis] != 0;
        }
        first &= kept;
      }
      if (first) {
        offsets.push_back(offset);
      }
    }
  }
}

SmallVector<int64_t> Registers::getDistinct(unsigned dim) const {
  SmallVector<int64_t> values;
  for (const auto &offset : offsets) {
    values.push_back(offset[dim]);
  }
  llvm::sort(values);
  values.erase(llvm::unique(values), values.end());
  return values;
}

size_t Registers::find(ArrayRef<int64_t> offset) const {
  for (size_t k = 0; k < offsets.size(); ++k) {
    if (ArrayRef<int64_t>(offsets[k]) == offset) {
      return k;
    }
  }
  llvm_unreachable("an offset of the tile");
}
