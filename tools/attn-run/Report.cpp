//===- Report.cpp - results as lines and as files -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "attn/Runner/Npy.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"
#include <cmath>

using namespace mlir;
using namespace mlir::attn;

static uint64_t getChecksum(const Array &array) {
  size_t width = getByteWidth(array.getType());
  std::vector<uint8_t> bytes(array.size() * width);
  for (int64_t i = 0; i < array.size(); ++i) {
    std::memcpy(bytes.data() + i * width, array.getAddress(i), width);
  }
  return llvm::xxh3_64bits(bytes);
}

std::string attn::formatSummary(const Parameter &parameter,
                                const Array &array) {
  double least = HUGE_VAL, most = -HUGE_VAL, sum = 0.0;
  int64_t nans = 0, infinities = 0, finite = 0;
  for (int64_t i = 0; i < array.size(); ++i) {
    double value = array.getNumber(i);
    nans += std::isnan(value);
    infinities += std::isinf(value);
    if (!std::isfinite(value)) {
      continue;
    }
    ++finite;
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value;
  }
  std::string text;
  llvm::raw_string_ostream os(text);
  os << parameter.name << ": ";
  if (parameter.isScalar) {
    os << getName(array.getType()) << " "
       << llvm::format("%.9g", array.getNumber(0));
    return text;
  }
  os << "tensor<";
  for (int64_t extent : array.getShape()) {
    os << extent << "x";
  }
  os << getName(array.getType()) << ">";
  if (finite) {
    os << llvm::format(" min %.6g max %.6g mean %.6g", least, most,
                       sum / static_cast<double>(finite));
  }
  if (nans) {
    os << " NaN " << nans;
  }
  if (infinities) {
    os << " infinite " << infinities;
  }
  os << " checksum " << llvm::format_hex_no_prefix(getChecksum(array), 16);
  return text;
}

static llvm::Error writeFile(StringRef path, StringRef contents) {
  std::error_code code;
  llvm::raw_fd_ostream file(path, code);
  if (!code) {
    file << contents;
    file.close();
    code = file.error();
    file.clear_error();
  }
  if (code) {
    return llvm::createStringError("cannot write '" + path +
                                   "': " + code.message());
  }
  return llvm::Error::success();
}

llvm::Error attn::writeArchive(StringRef path, ArrayRef<NamedArray> arrays) {
  llvm::Expected<std::string> contents = formatNpz(arrays);
  return contents ? writeFile(path, *contents) : contents.takeError();
}

llvm::Error attn::writeResults(StringRef path, ArrayRef<Parameter> parameters,
                               ArrayRef<Array> arrays) {
  if (path.ends_with(".npz")) {
    std::vector<NamedArray> named;
    for (auto [parameter, array] : llvm::zip_equal(parameters, arrays)) {
      named.emplace_back(parameter.name, array);
    }
    return writeArchive(path, named);
  }
  if (std::error_code code = llvm::sys::fs::create_directories(path)) {
    return llvm::createStringError("cannot make directory '" + path +
                                   "': " + code.message());
  }
  for (auto [parameter, array] : llvm::zip_equal(parameters, arrays)) {
    SmallString<128> file(path);
    llvm::sys::path::append(file, parameter.name + ".npy");
    if (llvm::Error error = writeFile(file, formatNpy(array))) {
      return error;
    }
  }
  return llvm::Error::success();
}
