//===- Signature.cpp - how a function is called ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arguments may carry attributes that tools understand:
//
//   %q: tensor<?x8x?x64xf32> {attn.name = "q", attn.dims = ["B", "H", "M",
//   "D"],
//                             attn.init = "normal"}
//
// Dimensions of one name agree in size.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Signature.h"

#include "ExtentClasses.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;

const Parameter *Signature::findArgument(StringRef name) const {
  for (const Parameter &argument : arguments) {
    if (argument.name == name) {
      return &argument;
    }
  }
  return nullptr;
}

static llvm::Error readDims(DictionaryAttr attrs, Parameter &parameter) {
  auto dims = attrs ? attrs.getAs<ArrayAttr>("attn.dims") : ArrayAttr();
  if (dims && dims.size() != parameter.shape.size()) {
    return llvm::createStringError("attn.dims of '" + parameter.name +
                                   "' names " + llvm::Twine(dims.size()) +
                                   " dimensions, the type has " +
                                   llvm::Twine(parameter.shape.size()));
  }
  for (auto [axis, extent] : llvm::enumerate(parameter.shape)) {
    auto name = dims ? dyn_cast<StringAttr>(dims[axis]) : StringAttr();
    if (dims && !name) {
      return llvm::createStringError("attn.dims of '" + parameter.name +
                                     "' holds something that is not a string");
    }
    std::string dim = name ? name.str() : std::string();
    if (dim.empty()) {
      dim = ShapedType::isDynamic(extent)
                ? parameter.name + "." + std::to_string(axis)
                : std::to_string(extent);
    }
    int64_t number = 0;
    if (!StringRef(dim).getAsInteger(10, number)) {
      if (!ShapedType::isDynamic(extent) && number != extent) {
        return llvm::createStringError(
            "attn.dims of '" + parameter.name + "' says " + dim + " for axis " +
            llvm::Twine(axis) + ", the type says " + llvm::Twine(extent));
      }
      extent = number;
    }
    parameter.dims.push_back(std::move(dim));
  }
  return llvm::Error::success();
}

static llvm::Expected<Parameter> readParameter(Type type, DictionaryAttr attrs,
                                               const llvm::Twine &fallback) {
  Parameter parameter;
  auto name = attrs ? attrs.getAs<StringAttr>("attn.name") : StringAttr();
  auto init = attrs ? attrs.getAs<StringAttr>("attn.init") : StringAttr();
  parameter.name = name ? name.str() : fallback.str();
  parameter.init = init ? init.str() : "normal";
  // Names are parts of file names and of NAME=VALUE.
  if (parameter.name.empty() ||
      parameter.name.find_first_of("/\\=\n") != std::string::npos) {
    return llvm::createStringError("'" + parameter.name +
                                   "' cannot be the name of " + fallback +
                                   ": it is empty, or has a slash, an "
                                   "equals sign or a line feed in it");
  }
  auto tensor = dyn_cast<RankedTensorType>(type);
  parameter.isScalar = !tensor;
  auto writable =
      attrs ? attrs.getAs<BoolAttr>("bufferization.writable") : BoolAttr();
  parameter.isWritable = writable && writable.getValue();
  std::optional<ElementType> element =
      getElementType(tensor ? tensor.getElementType() : type);
  if (!element || (tensor && tensor.getEncoding())) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return llvm::createStringError(
        "'" + parameter.name + "' has type " + text +
        ", which cannot be passed: allowed are tensors and scalars of f64, "
        "f32, f16, bf16, f8E4M3FN, f8E5M2, i64, i32, i8, i1 and index");
  }
  parameter.type = *element;
  if (tensor) {
    parameter.shape.assign(tensor.getShape().begin(), tensor.getShape().end());
  }
  if (llvm::Error error = readDims(attrs, parameter)) {
    return error;
  }
  return parameter;
}

/// The argument whose buffer `value` is, through appends.
static BlockArgument getArgument(Value value) {
  while (auto append = value.getDefiningOp<AppendOp>()) {
    value = append.getCache();
  }
  return dyn_cast<BlockArgument>(value);
}

/// Which results are arguments that were written, and which tables lead into
/// which pools.
static void readStorage(func::FuncOp func, Signature &signature) {
  auto end = func.isExternal()
                 ? func::ReturnOp()
                 : dyn_cast<func::ReturnOp>(func.front().getTerminator());
  if (!end) {
    return;
  }
  for (auto [result, value] : llvm::zip(signature.results, end.getOperands())) {
    if (BlockArgument argument = getArgument(value);
        argument && value.getDefiningOp<AppendOp>()) {
      result.alias = argument.getArgNumber();
    }
  }
  auto note = [&](Value table, Value pool) {
    BlockArgument from = table ? getArgument(table) : BlockArgument();
    BlockArgument to = getArgument(pool);
    if (from && to && from.getOwner() == &func.front() &&
        to.getOwner() == &func.front()) {
      signature.arguments[from.getArgNumber()].pool = to.getArgNumber();
    }
  };
  func.walk([&](PagedOp op) { note(op.getTable(), op.getPool()); });
  func.walk([&](AppendOp op) { note(op.getTable(), op.getCache()); });
}

/// The queries behind `scores`, if they are an argument.
static BlockArgument getQueries(Value scores) {
  while (auto op = scores.getDefiningOp<ScoresOpInterface>()) {
    if (auto score = dyn_cast<ScoreOp>(*op)) {
      return dyn_cast<BlockArgument>(score.getQuery());
    }
    auto sources = op.getAxisSources(/*isQuery=*/true);
    if (sources.empty() || !sources.front().second) {
      break; // queries and keys changed places
    }
    scores = sources.front().first;
  }
  return {};
}

/// Which arguments are lists, and of whose keys.
static void readLists(func::FuncOp func, Signature &signature) {
  func.walk([&](RestrictOp op) {
    auto list = dyn_cast<BlockArgument>(op.getIndices());
    BlockArgument queries = getQueries(op.getInput());
    if (list && queries && list.getOwner() == &func.front() &&
        queries.getOwner() == &func.front()) {
      signature.arguments[list.getArgNumber()].list = ListRows{
          queries.getArgNumber(), static_cast<int64_t>(op.getQueryBlock())};
    }
  });
}

/// Which arguments are maps, and of what; a map that nothing is said of is made
/// to fit the first tensor.
static void readMaps(func::FuncOp func, Signature &signature) {
  if (func.isExternal()) {
    return;
  }
  auto note = [&](Value map, Value tensor, StringRef what, unsigned axis) {
    auto from = dyn_cast_if_present<BlockArgument>(map);
    BlockArgument to = getArgument(tensor);
    if (!from || from.getOwner() != &func.front()) {
      return;
    }
    int64_t extent = cast<RankedTensorType>(tensor.getType()).getDimSize(axis);
    MapTarget target{what, "the tensor", std::nullopt, axis, extent};
    if (to && to.getOwner() == &func.front()) {
      target.argument = to.getArgNumber();
      target.tensor = "'" + signature.arguments[*target.argument].name + "'";
    }
    unsigned number = from.getArgNumber();
    Parameter &parameter = signature.arguments[number];
    if (parameter.maps.empty() && !func.getArgAttr(number, "attn.init") &&
        (target.argument || !ShapedType::isDynamic(extent))) {
      parameter.init =
          "table(" +
          (target.argument ? signature.arguments[*target.argument].dims[axis]
                           : std::to_string(extent)) +
          ")";
    }
    parameter.maps.push_back(std::move(target));
  };
  auto noteKeys = [&](auto op) {
    note(op.getHeadMap(), op.getKey(), "head", 1);
    note(op.getBatchMap(), op.getKey(), "batch", 0);
  };
  func.walk([&](Operation *op) {
    llvm::TypeSwitch<Operation *>(op)
        .Case<ScoreOp, ScoreWithOp, LaneOp>(noteKeys)
        .Case([&](AggregateOp aggregate) {
          for (auto [k, value] : llvm::enumerate(aggregate.getValues())) {
            note(aggregate.getHeadMap(k), value, "head", 1);
            note(aggregate.getBatchMap(k), value, "batch", 0);
          }
        });
  });
}

static llvm::Error readSizes(func::FuncOp func, Signature &signature) {
  auto sizes = func->getAttrOfType<DictionaryAttr>("attn.sizes");
  for (NamedAttribute entry :
       sizes ? sizes.getValue() : ArrayRef<NamedAttribute>()) {
    auto size = dyn_cast<IntegerAttr>(entry.getValue());
    if (!size || size.getInt() < 0) {
      return llvm::createStringError("attn.sizes of '" + signature.function +
                                     "' gives '" + entry.getName().getValue() +
                                     "' no size of at least 0");
    }
    signature.sizes[entry.getName().getValue()] = size.getInt();
  }
  return llvm::Error::success();
}

llvm::Expected<Signature> attn::readSignature(func::FuncOp func) {
  Signature signature;
  signature.function = func.getName().str();
  if (llvm::Error error = readSizes(func, signature)) {
    return error;
  }
  for (auto [index, type] : llvm::enumerate(func.getArgumentTypes())) {
    auto argument = readParameter(type, func.getArgAttrDict(index),
                                  "arg" + llvm::Twine(index));
    if (!argument) {
      return argument.takeError();
    }
    if (signature.findArgument(argument->name)) {
      return llvm::createStringError("two arguments of '" + signature.function +
                                     "' are named '" + argument->name + "'");
    }
    signature.arguments.push_back(std::move(*argument));
  }
  for (auto [index, type] : llvm::enumerate(func.getResultTypes())) {
    auto result = readParameter(type, func.getResultAttrDict(index),
                                "result" + llvm::Twine(index));
    if (!result) {
      return result.takeError();
    }
    for (const Parameter &other : signature.results) {
      if (other.name == result->name) {
        return llvm::createStringError("two results of '" + signature.function +
                                       "' are named '" + other.name + "'");
      }
    }
    signature.results.push_back(std::move(*result));
  }
  readStorage(func, signature);
  readLists(func, signature);
  readMaps(func, signature);
  readExtentRelations(func, signature);
  return signature;
}

llvm::Expected<func::FuncOp> attn::findEntry(ModuleOp module, StringRef name) {
  SmallVector<func::FuncOp> entries;
  std::string names;
  for (auto func : module.getOps<func::FuncOp>()) {
    if (!func.isPublic() || func.isExternal()) {
      continue;
    }
    entries.push_back(func);
    names += (names.empty() ? "" : ", ") + func.getName().str();
    if (func.getName() == name) {
      return func;
    }
  }
  if (entries.empty()) {
    return llvm::createStringError(
        "the program has no public function with a body");
  }
  if (!name.empty()) {
    return llvm::createStringError("the program has no public function '" +
                                   name + "'; it has " + names);
  }
  if (entries.size() > 1) {
    return llvm::createStringError(
        "the program has several public functions (" + names +
        "): choose one with --entry");
  }
  return entries.front();
}
