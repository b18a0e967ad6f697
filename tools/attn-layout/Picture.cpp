//===- Picture.cpp - tiles as pictures ------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Picture.h"

#include "attn/Dialect/Tile/IR/Tile.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

static std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  type.print(stream);
  return text;
}

/// "5:2", and how many threads hold the same where it is more than one.
static std::string describeHolders(ArrayRef<std::pair<int64_t, int64_t>> held) {
  std::string text =
      std::to_string(held[0].first) + ":" + std::to_string(held[0].second);
  return held.size() > 1 ? text + "x" + std::to_string(held.size()) : text;
}

static Picture drawTile(RankedTensorType type) {
  Picture picture;
  tile::Registers registers(type);
  tile::LayoutAttr layout = registers.getLayout();
  ArrayRef<unsigned> axes = registers.getAxes();
  int64_t threads = tile::countThreads(layout);
  int64_t lanes = tile::AtomShape::get(layout.getAtom()).countLanes();
  picture.title = print(type);
  picture.legend = std::to_string(threads) +
                   " threads; in a cell: thread:register, x threads that hold "
                   "the element";
  // What is left of a matrix without its columns is drawn as a column.
  bool isColumn = axes.size() == 1 && axes[0] == 0;
  picture.rows = axes.size() == 2 || isColumn ? type.getDimSize(0) : 1;
  picture.columns = type.getNumElements() / picture.rows;
  picture.numFamilies = threads / lanes;
  picture.numColors = threads;
  std::vector<SmallVector<std::pair<int64_t, int64_t>, 1>> holders(
      type.getNumElements());
  for (int64_t thread = 0; thread < threads; ++thread) {
    std::array<int64_t, 2> first = tile::getFirst(layout, thread);
    for (size_t number = 0; number < registers.size(); ++number) {
      int64_t place = 0;
      for (auto [k, axis] : llvm::enumerate(axes)) {
        place = place * type.getDimSize(k) + first[axis] +
                registers.getOffset(number)[k];
      }
      holders[place].push_back({thread, number});
    }
  }
  for (const auto &held : holders) {
    picture.cells.push_back(
        {describeHolders(held), held[0].first, held[0].first / lanes});
  }
  return picture;
}

/// 32 banks of 4 bytes, as GPUs of NVIDIA and AMD have them.
static Picture drawShared(MemRefType type) {
  constexpr int64_t kBanks = 32, kBankBytes = 4;
  int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  Picture picture;
  picture.title = print(type);
  picture.width = std::max<int64_t>(1, kBankBytes / bytes);
  picture.rows = type.getDimSize(0);
  picture.columns = llvm::divideCeil(type.getDimSize(1), picture.width);
  picture.numColors = kBanks;
  picture.legend = "in a cell: the bank of " + std::to_string(picture.width) +
                   " element" + (picture.width > 1 ? "s" : "");
  for (int64_t row = 0; row < picture.rows; ++row) {
    for (int64_t column = 0; column < picture.columns; ++column) {
      int64_t place = row * type.getDimSize(1) + column * picture.width;
      int64_t bank = place * bytes / kBankBytes % kBanks;
      picture.cells.push_back({std::to_string(bank), bank, 0});
    }
  }
  return picture;
}

std::optional<Picture> attn::drawType(Type type) {
  if (tile::isTile(type)) {
    return drawTile(cast<RankedTensorType>(type));
  }
  if (tile::isRing(type)) {
    type = tile::getMatrix(cast<MemRefType>(type));
  }
  if (tile::isShared(type)) {
    return drawShared(cast<MemRefType>(type));
  }
  return std::nullopt;
}

void Picture::printText(llvm::raw_ostream &stream) const {
  size_t longest = 0;
  for (const Cell &cell : cells) {
    longest = std::max(longest, cell.text.size());
  }
  stream << title << "\n" << legend << "\n";
  for (auto [number, cell] : llvm::enumerate(cells)) {
    int64_t column = number % columns;
    stream << (column ? " " : "")
           << llvm::right_justify(cell.text, static_cast<unsigned>(longest))
           << (column + 1 == columns ? "\n" : "");
  }
}

void Picture::printSVG(llvm::raw_ostream &stream) const {
  constexpr int64_t kHeight = 18, kMargin = 8, kTop = 56, kLetter = 6;
  size_t longest = 2;
  for (const Cell &cell : cells) {
    longest = std::max(longest, cell.text.size());
  }
  auto cellWidth = static_cast<int64_t>(longest + 1) * kLetter;
  int64_t broad = columns * cellWidth + 2 * kMargin;
  auto letters = static_cast<int64_t>(std::max(title.size(), legend.size()));
  broad = std::max(broad, letters * (kLetter + 1) + 2 * kMargin);
  int64_t high = rows * kHeight + kTop + kMargin;
  auto escape = [&](StringRef text) {
    for (char c : text) {
      stream << (c == '<'   ? "&lt;"
                 : c == '>' ? "&gt;"
                 : c == '&' ? "&amp;"
                            : StringRef(&c, 1));
    }
  };
  stream << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << broad
         << "\" height=\"" << high
         << "\" font-family=\"monospace\" font-size=\"10\">\n"
         << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
         << "<text x=\"" << kMargin << "\" y=\"20\" font-size=\"12\">";
  escape(title);
  stream << "</text>\n<text x=\"" << kMargin << "\" y=\"40\">";
  escape(legend);
  stream << "</text>\n";
  // A hue for each family, and shades in it; one family alone has all hues.
  int64_t shades = std::max<int64_t>(1, numColors / numFamilies);
  for (auto [number, cell] : llvm::enumerate(cells)) {
    int64_t x = kMargin + static_cast<int64_t>(number) % columns * cellWidth;
    int64_t y = kTop + static_cast<int64_t>(number) / columns * kHeight;
    int64_t shade = cell.color % shades;
    int64_t hue = numFamilies > 1 ? 360 * cell.family / numFamilies
                                  : 360 * shade / shades;
    int64_t light = numFamilies > 1 ? 62 + 32 * shade / shades : 78;
    stream << "<rect x=\"" << x << "\" y=\"" << y << "\" width=\"" << cellWidth
           << "\" height=\"" << kHeight << "\" fill=\"hsl(" << hue << ",70%,"
           << light << "%)\" stroke=\"white\"/><text x=\"" << x + cellWidth / 2
           << "\" y=\"" << y + 13 << "\" text-anchor=\"middle\">" << cell.text
           << "</text>\n";
  }
  stream << "</svg>\n";
}
