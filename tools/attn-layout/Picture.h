//===- Picture.h - tiles as pictures ----------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_LAYOUT_PICTURE_H
#define ATTN_TOOLS_LAYOUT_PICTURE_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Support/LLVM.h"

namespace mlir::attn {

/// A matrix as cells, of which each has a text and a color.
struct Picture {
  struct Cell {
    std::string text;
    /// Cells of one number look alike.
    int64_t color = 0;
    /// Colors of one family are shades.
    int64_t family = 0;
  };
  /// The type, and what the texts are.
  std::string title, legend;
  /// Elements of the matrix that a cell stands for, along its row.
  int64_t width = 1;
  int64_t rows = 0, columns = 0;
  int64_t numFamilies = 1, numColors = 1;
  std::vector<Cell> cells;

  void printText(llvm::raw_ostream &stream) const;
  void printSVG(llvm::raw_ostream &stream) const;
};

/// Which thread holds an element in which register, for a tile; the bank of
/// each word, for a matrix in workgroup memory. None for other types.
std::optional<Picture> drawType(Type type);

} // namespace mlir::attn

#endif // ATTN_TOOLS_LAYOUT_PICTURE_H
