//===- Npy.cpp - NumPy's array files --------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A .npy file is a magic string, a version, the length of a header, the header
// (a Python dictionary literal), and the elements:
//
//   \x93NUMPY 1 0 <u2 length> {'descr': '<f4', 'fortran_order': False,
//                              'shape': (2, 3), } ... elements
//
// Nothing in a file is trusted: lengths are compared with what is there, and
// sizes are multiplied with overflow checks.
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Npy.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>
#include <limits>

using namespace mlir;
using namespace mlir::attn;

namespace {

struct Header {
  char byteOrder = '|';
  char kind = 0; // f, i, u, b, V
  int64_t width = 0;
  bool fortranOrder = false;
  SmallVector<int64_t, 4> shape;
  StringRef data;
};

llvm::Error damaged(const llvm::Twine &what) {
  return llvm::createStringError("not a readable .npy file: " + what);
}

/// A reader of the small part of Python's literals that NumPy writes.
class HeaderParser {
public:
  explicit HeaderParser(StringRef text) : rest(text) {}

  llvm::Error parse(Header &header) {
    if (!eat("{")) {
      return damaged("the header is not a dictionary");
    }
    bool hasDescr = false, hasOrder = false, hasShape = false;
    while (!eat("}")) {
      std::optional<StringRef> key = parseString();
      if (!key || !eat(":")) {
        return damaged("the header is cut off or malformed");
      }
      bool *seen = *key == "descr"           ? &hasDescr
                   : *key == "fortran_order" ? &hasOrder
                   : *key == "shape"         ? &hasShape
                                             : nullptr;
      if (!seen || *seen) {
        return damaged("unexpected key '" + *key + "' in the header");
      }
      *seen = true;
      llvm::Error error = *key == "descr"   ? parseDescr(header)
                          : *key == "shape" ? parseShape(header)
                                            : parseOrder(header);
      if (error) {
        return error;
      }
      eat(",");
    }
    if (!hasDescr || !hasOrder || !hasShape) {
      return damaged("the header lacks descr, fortran_order or shape");
    }
    return llvm::Error::success();
  }

private:
  bool eat(StringRef token) {
    rest = rest.ltrim();
    return rest.consume_front(token);
  }

  std::optional<StringRef> parseString() {
    rest = rest.ltrim();
    if (rest.empty() || (rest[0] != '\'' && rest[0] != '"')) {
      return std::nullopt;
    }
    size_t end = rest.find(rest[0], 1);
    if (end == StringRef::npos) {
      return std::nullopt;
    }
    StringRef text = rest.slice(1, end);
    rest = rest.drop_front(end + 1);
    return text;
  }

  llvm::Error parseDescr(Header &header) {
    std::optional<StringRef> text = parseString();
    if (!text) {
      return damaged("structured element types are not supported");
    }
    StringRef descr = *text;
    if (!descr.empty() && StringRef("<>|=").contains(descr[0])) {
      header.byteOrder = descr[0];
      descr = descr.drop_front();
    }
    if (descr.empty() || descr.drop_front().getAsInteger(10, header.width)) {
      return damaged("unknown element type '" + *text + "'");
    }
    header.kind = descr[0];
    return llvm::Error::success();
  }

  llvm::Error parseOrder(Header &header) {
    header.fortranOrder = eat("True");
    if (!header.fortranOrder && !eat("False")) {
      return damaged("fortran_order is neither True nor False");
    }
    return llvm::Error::success();
  }

  llvm::Error parseShape(Header &header) {
    if (!eat("(")) {
      return damaged("the shape is not a tuple");
    }
    while (!eat(")")) {
      rest = rest.ltrim();
      int64_t extent = 0;
      if (rest.consumeInteger(10, extent) || extent < 0) {
        return damaged("the shape has an extent that is not a size");
      }
      rest.consume_front("L");
      header.shape.push_back(extent);
      if (!eat(",") && !rest.ltrim().starts_with(")")) {
        return damaged("the shape is malformed");
      }
      if (header.shape.size() > 64) {
        return damaged("the shape has more than 64 dimensions");
      }
    }
    return llvm::Error::success();
  }

  StringRef rest;
};

llvm::Expected<Header> parseHeader(StringRef bytes) {
  constexpr StringRef magic("\x93NUMPY", 6);
  if (!bytes.consume_front(magic)) {
    return damaged("it does not start with the magic string");
  }
  if (bytes.size() < 2) {
    return damaged("it ends inside the version");
  }
  unsigned major = static_cast<unsigned char>(bytes[0]);
  if (major < 1 || major > 3) {
    return damaged("unknown format version " + llvm::Twine(major));
  }
  bytes = bytes.drop_front(2);
  size_t lengthBytes = major == 1 ? 2 : 4;
  if (bytes.size() < lengthBytes) {
    return damaged("it ends inside the header length");
  }
  size_t length = lengthBytes == 2
                      ? llvm::support::endian::read16le(bytes.data())
                      : llvm::support::endian::read32le(bytes.data());
  bytes = bytes.drop_front(lengthBytes);
  if (bytes.size() < length) {
    return damaged("it ends inside the header");
  }
  Header header;
  if (llvm::Error error =
          HeaderParser(bytes.take_front(length)).parse(header)) {
    return error;
  }
  header.data = bytes.drop_front(length);
  return header;
}

/// Whether a file's elements are, bit for bit, elements of `type`.
bool isSameEncoding(const Header &header, ElementType type) {
  if (header.width != getByteWidth(type)) {
    return false;
  }
  switch (type) {
  case ElementType::F64:
  case ElementType::F32:
  case ElementType::F16:
    return header.kind == 'f';
  case ElementType::BF16:
  case ElementType::F8E4M3:
  case ElementType::F8E5M2:
    return header.kind == 'u' || header.kind == 'V';
  case ElementType::I1:
    return header.kind == 'b';
  default:
    return header.kind == 'i';
  }
}

std::string describe(const Header &header) {
  StringRef kind = header.kind == 'f'   ? "float"
                   : header.kind == 'i' ? "int"
                   : header.kind == 'u' ? "uint"
                   : header.kind == 'b' ? "bool"
                   : header.kind == 'V' ? "void"
                                        : "type ";
  if (kind == "bool") {
    return "bool";
  }
  if (kind == "type ") {
    return ("type '" + llvm::Twine(header.kind) + llvm::Twine(header.width) +
            "'")
        .str();
  }
  return (kind + llvm::Twine(header.width * 8)).str();
}

/// Element `index` of the file's data as bytes in the order of this machine.
uint64_t readWord(const Header &header, int64_t index) {
  unsigned char word[8] = {};
  std::memcpy(word, header.data.data() + index * header.width, header.width);
  if (header.byteOrder == '>') {
    std::reverse(word, word + header.width);
  }
  return llvm::support::endian::read64le(word);
}

/// An integer element; nothing if it does not fit into `type`.
std::optional<int64_t> readInteger(const Header &header, int64_t index,
                                   ElementType type) {
  uint64_t word = readWord(header, index);
  int64_t value = static_cast<int64_t>(word);
  if (header.kind == 'i' && header.width < 8) {
    value = llvm::SignExtend64(word, header.width * 8);
  }
  bool fits = header.kind != 'u' || value >= 0;
  if (type == ElementType::I32) {
    fits = fits && llvm::isInt<32>(value);
  } else if (type == ElementType::I8) {
    // Packed codes come as bytes without a sign.
    fits = fits && (llvm::isInt<8>(value) || llvm::isUInt<8>(value));
  } else if (type == ElementType::I1) {
    fits = fits && (value == 0 || value == 1);
  }
  return fits ? std::optional<int64_t>(value) : std::nullopt;
}

/// The row-major index of the element that comes `index`-th in a file.
int64_t getRowMajorIndex(const Header &header, int64_t index) {
  if (!header.fortranOrder) {
    return index;
  }
  SmallVector<int64_t, 4> position;
  for (int64_t extent : header.shape) {
    position.push_back(index % extent);
    index /= extent;
  }
  int64_t result = 0;
  for (auto [extent, k] : llvm::zip_equal(header.shape, position)) {
    result = result * extent + k;
  }
  return result;
}

} // namespace

llvm::Expected<ElementType> attn::getNpyType(StringRef bytes) {
  llvm::Expected<Header> header = parseHeader(bytes);
  if (!header) {
    return header.takeError();
  }
  for (ElementType type :
       {ElementType::F64, ElementType::F32, ElementType::F16, ElementType::BF16,
        ElementType::I64, ElementType::I32, ElementType::I8, ElementType::I1,
        ElementType::F8E4M3}) {
    if (isSameEncoding(*header, type)) {
      return type;
    }
  }
  return llvm::createStringError("elements of " + describe(*header) +
                                 " are not supported");
}

llvm::Expected<Array> attn::parseNpy(StringRef bytes, ElementType type) {
  llvm::Expected<Header> header = parseHeader(bytes);
  if (!header) {
    return header.takeError();
  }
  bool isInteger = StringRef("iub").contains(header->kind) &&
                   header->width >= 1 && header->width <= 8 &&
                   !attn::isFloat(type);
  if (!isSameEncoding(*header, type) && !isInteger) {
    return llvm::createStringError("it holds " + describe(*header) + " where " +
                                   getName(type) + " is needed");
  }
  std::optional<int64_t> count = getNumElements(header->shape);
  int64_t needed = 0;
  if (!count || __builtin_mul_overflow(*count, header->width, &needed)) {
    return damaged("the shape describes more elements than 63 bits can count");
  }
  if (static_cast<uint64_t>(needed) > header->data.size()) {
    return damaged("it holds " + llvm::Twine(header->data.size()) +
                   " bytes of elements where the shape asks for " +
                   llvm::Twine(needed));
  }
  std::optional<Array> array = Array::create(type, header->shape);
  if (!array) {
    return llvm::createStringError("not enough memory for " +
                                   llvm::Twine(*count) + " elements");
  }
  for (int64_t i = 0; i < *count; ++i) {
    int64_t target = getRowMajorIndex(*header, i);
    if (isInteger) {
      std::optional<int64_t> value = readInteger(*header, i, type);
      if (!value) {
        return llvm::createStringError("element " + llvm::Twine(i) +
                                       " does not fit into " + getName(type));
      }
      array->setInt(target, *value);
    } else {
      uint64_t word = readWord(*header, i);
      std::memcpy(array->getAddress(target), &word, header->width);
    }
  }
  return std::move(*array);
}

static StringRef getDescr(ElementType type) {
  switch (type) {
  case ElementType::F64:
    return "<f8";
  case ElementType::F32:
    return "<f4";
  case ElementType::F16:
    return "<f2";
  case ElementType::BF16:
    return "<u2";
  case ElementType::I64:
  case ElementType::Index:
    return "<i8";
  case ElementType::I32:
    return "<i4";
  case ElementType::F8E4M3:
  case ElementType::F8E5M2:
    return "|u1";
  case ElementType::I8:
    return "|i1";
  case ElementType::I1:
    return "|b1";
  }
  llvm_unreachable("all element types are handled");
}

std::string attn::formatNpy(const Array &array) {
  std::string header = "{'descr': '" + getDescr(array.getType()).str() +
                       "', 'fortran_order': False, 'shape': (";
  for (int64_t extent : array.getShape()) {
    header += std::to_string(extent) + ", ";
  }
  header += "), }";
  // The elements start at a multiple of 64, after a line feed.
  constexpr size_t prefix = 10;
  size_t padded = llvm::alignTo(prefix + header.size() + 1, 64) - prefix;
  header.resize(padded - 1, ' ');
  header += '\n';
  std::string result("\x93NUMPY\x01\x00", 8);
  result += static_cast<char>(header.size() & 0xff);
  result += static_cast<char>(header.size() >> 8);
  result += header;
  int64_t width = getByteWidth(array.getType());
  size_t start = result.size();
  result.resize(start + static_cast<size_t>(array.size() * width));
  for (int64_t i = 0; i < array.size(); ++i) {
    std::memcpy(result.data() + start + i * width, array.getAddress(i), width);
  }
  return result;
}
