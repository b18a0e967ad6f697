//===- Inputs.cpp - operands from files and from seeds --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Inputs.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

/// Sizes for dimensions of which nothing is known: not a multiple of anything
/// where a kernel has tiles.
int64_t chooseSize(StringRef dim) {
  return llvm::StringSwitch<int64_t>(dim)
      .Case("B", 2)
      .Case("H", 4)
      .Case("G", 2)
      .Default(257);
}

llvm::Error checkNames(const Signature &signature,
                       const InputOptions &options) {
  auto check = [&](auto &map, StringRef flag) -> llvm::Error {
    for (const auto &entry : map) {
      if (!signature.findArgument(entry.getKey())) {
        return llvm::createStringError(flag + " names '" + entry.getKey() +
                                       "', which is no argument of '" +
                                       signature.function + "'");
      }
    }
    return llvm::Error::success();
  };
  if (llvm::Error error = check(options.patterns, "--pattern")) {
    return error;
  }
  if (llvm::Error error = check(options.strided, "--strided")) {
    return error;
  }
  return check(options.files, "an input file");
}

llvm::Error checkSizes(const Signature &signature,
                       const InputOptions &options) {
  for (const auto &entry : options.sizes) {
    bool known = llvm::any_of(signature.arguments, [&](const Parameter &p) {
      return llvm::is_contained(p.dims, entry.getKey());
    });
    if (!known) {
      return llvm::createStringError("--size names '" + entry.getKey() +
                                     "', which is no dimension of '" +
                                     signature.function + "'");
    }
  }
  return llvm::Error::success();
}

/// Enters static extents that have names, then chooses what is left.
llvm::Error completeSizes(const Signature &signature, SizeMap &sizes,
                          std::vector<std::string> &chosen) {
  for (const Parameter &parameter : signature.arguments) {
    for (auto [dim, extent] :
         llvm::zip_equal(parameter.dims, parameter.shape)) {
      if (ShapedType::isDynamic(extent)) {
        continue;
      }
      auto [entry, inserted] = sizes.try_emplace(dim, extent);
      if (!inserted && entry->second != extent) {
        return llvm::createStringError("dimension " + dim + " is " +
                                       llvm::Twine(entry->second) +
                                       ", argument '" + parameter.name +
                                       "' asks for " + llvm::Twine(extent));
      }
    }
  }
  for (const Parameter &parameter : signature.arguments) {
    for (StringRef dim : parameter.dims) {
      if (auto known = signature.sizes.find(dim);
          known != signature.sizes.end()) {
        sizes.try_emplace(dim, known->second);
      } else if (sizes.try_emplace(dim, chooseSize(dim)).second) {
        chosen.push_back(dim.str());
      }
    }
  }
  return llvm::Error::success();
}

llvm::Error tooLarge(const Parameter &parameter) {
  return llvm::createStringError("not enough memory for argument '" +
                                 parameter.name + "'");
}

llvm::Expected<Array> generate(const Parameter &parameter,
                               const InputOptions &options,
                               const SizeMap &sizes) {
  SmallVector<int64_t, 4> shape;
  for (StringRef dim : parameter.dims) {
    shape.push_back(sizes.lookup(dim));
  }
  std::optional<Array> array = Array::create(parameter.type, shape);
  if (!array) {
    return tooLarge(parameter);
  }
  auto pattern = options.patterns.find(parameter.name);
  StringRef text = pattern == options.patterns.end() ? StringRef(parameter.init)
                                                     : pattern->second;
  // Every argument has a sequence of its own, whatever the others are.
  uint64_t seed = options.seed ^ llvm::xxh3_64bits(parameter.name);
  if (llvm::Error error = fillArray(*array, text, sizes, seed)) {
    return llvm::joinErrors(
        llvm::createStringError("argument '" + parameter.name + "'"),
        std::move(error));
  }
  return std::move(*array);
}

} // namespace

llvm::Expected<std::vector<Array>>
attn::makeInputs(const Signature &signature, const InputOptions &options,
                 SizeMap &sizes, std::vector<std::string> &chosen) {
  if (llvm::Error error = checkNames(signature, options)) {
    return error;
  }
  if (llvm::Error error = checkSizes(signature, options)) {
    return error;
  }
  sizes = options.sizes;
  llvm::StringMap<std::string> origins;
  std::vector<Array> arrays(signature.arguments.size());
  for (auto [array, parameter] : llvm::zip_equal(arrays, signature.arguments)) {
    auto file = options.files.find(parameter.name);
    if (file == options.files.end()) {
      continue;
    }
    llvm::Expected<Array> parsed = parseNpy(file->second, parameter.type);
    if (!parsed) {
      return llvm::createStringError("argument '" + parameter.name + "': " +
                                     llvm::toString(parsed.takeError()));
    }
    array = std::move(*parsed);
    if (llvm::Error error = bindSizes(parameter, array, sizes, origins)) {
      return error;
    }
  }
  if (llvm::Error error = completeSizes(signature, sizes, chosen)) {
    return error;
  }
  for (auto [array, parameter] : llvm::zip_equal(arrays, signature.arguments)) {
    if (!options.files.contains(parameter.name)) {
      llvm::Expected<Array> generated = generate(parameter, options, sizes);
      if (!generated) {
        return generated.takeError();
      }
      array = std::move(*generated);
    }
    if (options.strided.contains(parameter.name)) {
      std::optional<Array> strided = array.createStrided();
      if (!strided) {
        return tooLarge(parameter);
      }
      array = std::move(*strided);
    }
  }
  return arrays;
}
