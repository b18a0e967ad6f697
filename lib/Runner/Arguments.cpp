//===- Arguments.cpp - arrays beside a signature --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a program takes for granted is checked here, once, before it runs, and a
// mismatch names both arguments.
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Arguments.h"

using namespace mlir;
using namespace mlir::attn;

llvm::Error attn::checkPages(const Signature &signature,
                             ArrayRef<Array> inputs) {
  for (auto [table, parameter] : llvm::zip(inputs, signature.arguments)) {
    if (!parameter.pool) {
      continue;
    }
    int64_t pages = inputs[*parameter.pool].getShape().front();
    for (int64_t i = 0; i < table.size(); ++i) {
      int64_t page = table.getInt(i);
      if (page < -1 || page >= pages || pages == 0) {
        return llvm::createStringError(
            "page table '" + parameter.name + "' has page " +
            llvm::Twine(page) + " as element " + llvm::Twine(i) +
            ", but pool '" + signature.arguments[*parameter.pool].name +
            "' has " + llvm::Twine(pages) + " pages; -1 stands for no page");
      }
    }
  }
  return llvm::Error::success();
}

llvm::Error attn::checkLists(const Signature &signature,
                             ArrayRef<Array> inputs) {
  for (auto [list, parameter] : llvm::zip(inputs, signature.arguments)) {
    if (!parameter.list) {
      continue;
    }
    auto [query, block] = *parameter.list;
    int64_t queries = inputs[query].getShape()[2];
    int64_t rows = list.getShape()[2], needed = (queries + block - 1) / block;
    if (rows < needed) {
      return llvm::createStringError(
          "list '" + parameter.name + "' has " + llvm::Twine(rows) +
          " rows for " + llvm::Twine(block) + " queries each, but '" +
          signature.arguments[query].name + "' has " + llvm::Twine(queries) +
          " queries, which take " + llvm::Twine(needed));
    }
  }
  return llvm::Error::success();
}

static int64_t getExtent(const ExtentSource &source, ArrayRef<Array> inputs) {
  return source.factor * (source.argument
                              ? inputs[*source.argument].getShape()[source.axis]
                              : 1);
}

llvm::Error attn::checkExtents(const Signature &signature,
                               ArrayRef<Array> inputs) {
  for (const ExtentRelation &relation : signature.relations) {
    int64_t extent = inputs[relation.argument].getShape()[relation.axis];
    int64_t source = getExtent(relation.source, inputs);
    if (extent != source) {
      return llvm::createStringError(
          "argument '" + signature.arguments[relation.argument].name + "' " +
          describe(relation, signature) + ", which is " + llvm::Twine(source) +
          ", but has " + llvm::Twine(extent));
    }
  }
  for (auto [lengths, parameter] : llvm::zip(inputs, signature.arguments)) {
    for (const ExtentSource &source : parameter.lengths) {
      int64_t most = getExtent(source, inputs);
      for (int64_t i = 0; i < lengths.size(); ++i) {
        int64_t length = lengths.getInt(i);
        if (length < 0 || length > most) {
          return llvm::createStringError(
              "length '" + parameter.name + "' has " + llvm::Twine(length) +
              " as element " + llvm::Twine(i) + ", allowed are 0 to " +
              llvm::Twine(most));
        }
      }
    }
  }
  return llvm::Error::success();
}

llvm::Error attn::checkMaps(const Signature &signature,
                            ArrayRef<Array> inputs) {
  for (auto [map, parameter] : llvm::zip(inputs, signature.arguments)) {
    for (const MapTarget &target : parameter.maps) {
      int64_t extent = target.argument
                           ? inputs[*target.argument].getShape()[target.axis]
                           : target.extent;
      for (int64_t i = 0; i < map.size() && !ShapedType::isDynamic(extent);
           ++i) {
        int64_t named = map.getInt(i);
        if (named < 0 || named >= extent) {
          return llvm::createStringError(
              target.what + " map '" + parameter.name + "' has " +
              llvm::Twine(named) + " as element " + llvm::Twine(i) + ", but " +
              target.tensor + " has " + llvm::Twine(extent) +
              (target.what == "head" ? " heads" : " batches"));
        }
      }
    }
  }
  return llvm::Error::success();
}

llvm::Expected<std::vector<Array>>
attn::copyWritten(const Signature &signature, ArrayRef<Array> arguments) {
  std::vector<Array> own(arguments);
  std::vector<bool> isWritten;
  for (const Parameter &parameter : signature.arguments) {
    isWritten.push_back(parameter.isWritable);
  }
  for (const Parameter &result : signature.results) {
    if (result.alias) {
      isWritten[*result.alias] = true;
    }
  }
  for (size_t k = 0; k < own.size(); ++k) {
    if (!isWritten[k]) {
      continue;
    }
    std::optional<Array> copy = own[k].convertTo(own[k].getType());
    if (!copy) {
      return llvm::createStringError("not enough memory for a second '" +
                                     signature.arguments[k].name + "'");
    }
    own[k] = std::move(*copy);
  }
  return own;
}

llvm::Error attn::bindSizes(const Parameter &parameter, const Array &array,
                            SizeMap &sizes,
                            llvm::StringMap<std::string> &origins) {
  if (array.getShape().size() != parameter.shape.size()) {
    return llvm::createStringError(
        "argument '" + parameter.name + "' has rank " +
        llvm::Twine(array.getShape().size()) + ", the program asks for " +
        llvm::Twine(parameter.shape.size()));
  }
  for (auto [axis, extent] : llvm::enumerate(array.getShape())) {
    StringRef dim = parameter.dims[axis];
    int64_t fixed = parameter.shape[axis];
    std::string here = "argument '" + parameter.name + "' has " +
                       std::to_string(extent) + " on axis " +
                       std::to_string(axis) + " (" + dim.str() + "), ";
    if (!ShapedType::isDynamic(fixed) && fixed != extent) {
      return llvm::createStringError(here + "the program asks for " +
                                     llvm::Twine(fixed));
    }
    auto [entry, inserted] = sizes.try_emplace(dim, extent);
    if (inserted) {
      origins[dim] = "argument '" + parameter.name + "'";
    } else if (entry->second != extent) {
      std::string origin = origins.lookup(dim);
      return llvm::createStringError(
          here + (origin.empty() ? "--size" : origin) + " says " + dim + " = " +
          llvm::Twine(entry->second));
    }
  }
  return llvm::Error::success();
}
