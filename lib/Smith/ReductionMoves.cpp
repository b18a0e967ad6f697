//===- ReductionMoves.cpp - ways to make programs smaller -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A change need not keep the meaning of a program, only its kind of failure.
// It need not even give a valid program: the verifier has the last word. So
// most moves are generic (drop an operand, an attribute, an op in favour of its
// operand) and need no knowledge of which op allows them.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "attn/Smith/Reduce.h"
#include "attn/Support/Emit.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;
using namespace mlir::attn;

using Changes = SmallVectorImpl<std::function<void()>>;

/// The one public function that a move works on.
static func::FuncOp getFunction(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>()) {
    if (func.isPublic() && !func.isExternal()) {
      return func;
    }
  }
  return {};
}

static void forEachOp(ModuleOp module,
                      llvm::function_ref<void(Operation *)> visit) {
  if (func::FuncOp func = getFunction(module)) {
    func.getBody().walk([&](Operation *op) {
      // A monoid without its laws is another failure.
      auto reduce = dyn_cast<ReduceOp>(op->getParentOp());
      bool isLaw = reduce && op->getParentRegion() == &reduce.getCombine();
      if (!isLaw && !op->hasTrait<OpTrait::IsTerminator>()) {
        visit(op);
      }
    });
  }
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

static void setResults(func::FuncOp func, ArrayRef<unsigned> kept) {
  auto end = cast<func::ReturnOp>(func.front().getTerminator());
  llvm::BitVector dropped(end.getNumOperands(), true);
  for (unsigned k : kept) {
    dropped.reset(k);
  }
  end->eraseOperands(dropped);
  (void)func.eraseResults(dropped);
}

/// Keeps one result only, or drops one.
static void collectResults(ModuleOp module, Changes &changes) {
  func::FuncOp func = getFunction(module);
  unsigned count = func ? func.getNumResults() : 0;
  if (count < 2) {
    return;
  }
  for (unsigned k = 0; k < count; ++k) {
    changes.push_back([=] {
      SmallVector<unsigned> kept;
      for (unsigned other = 0; other < count; ++other) {
        if (other != k) {
          kept.push_back(other);
        }
      }
      setResults(func, kept);
    });
  }
  for (unsigned k = 0; k < count; ++k) {
    changes.push_back([=] { setResults(func, {k}); });
  }
}

/// Returns an operand, of whatever type, in place of a result.
static void collectEarlierResults(ModuleOp module, Changes &changes) {
  func::FuncOp func = getFunction(module);
  if (!func) {
    return;
  }
  auto end = cast<func::ReturnOp>(func.front().getTerminator());
  for (OpOperand &result : end->getOpOperands()) {
    Operation *def = result.get().getDefiningOp();
    for (Value operand : def ? def->getOperands() : ValueRange()) {
      if (!isa<RankedTensorType>(operand.getType()) ||
          isa<BlockArgument>(operand)) {
        continue;
      }
      OpOperand *slot = &result;
      changes.push_back([=]() mutable {
        slot->set(operand);
        SmallVector<Type> types(slot->getOwner()->getOperandTypes());
        func.setType(FunctionType::get(func.getContext(),
                                       func.getArgumentTypes(), types));
      });
    }
  }
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Replaces a result by an operand of its type.
static void collectOperands(ModuleOp module, Changes &changes) {
  forEachOp(module, [&](Operation *op) {
    for (OpResult result : op->getResults()) {
      for (Value operand : op->getOperands()) {
        if (operand.getType() == result.getType() && !result.use_empty()) {
          changes.push_back([=] {
            Value replaced = result;
            replaced.replaceAllUsesWith(operand);
          });
        }
      }
    }
  });
}

/// Replaces a scalar of a region by a constant. Those outside of regions are
/// extents, and wrong ones are another failure.
static void collectConstants(ModuleOp module, Changes &changes) {
  func::FuncOp func = getFunction(module);
  forEachOp(module, [&](Operation *op) {
    bool isScalar = op->getNumResults() == 1 && op->getParentOp() != func &&
                    op->getResult(0).getType().isIntOrIndexOrFloat();
    if (!isScalar || op->hasTrait<OpTrait::ConstantLike>()) {
      return;
    }
    Type type = op->getResult(0).getType();
    for (double value : {1.0, 0.0}) {
      changes.push_back([=] {
        Emit e(op->getLoc(), op);
        TypedAttr attr = isa<FloatType>(type)
                             ? TypedAttr(e.getFloatAttr(type, value))
                             : TypedAttr(e.getIntegerAttr(type, value != 0.0));
        op->getResult(0).replaceAllUsesWith(arith::ConstantOp::create(e, attr));
      });
    }
  });
}

/// Makes two arguments one, or two results of equal ops.
static void collectSharing(ModuleOp module, Changes &changes) {
  func::FuncOp func = getFunction(module);
  if (!func) {
    return;
  }
  for (BlockArgument a : func.getArguments()) {
    for (BlockArgument b : func.getArguments()) {
      if (a.getArgNumber() < b.getArgNumber() && a.getType() == b.getType() &&
          func.getArgAttr(a.getArgNumber(), "attn.dims") ==
              func.getArgAttr(b.getArgNumber(), "attn.dims")) {
        changes.push_back([=] {
          Value dropped = b;
          dropped.replaceAllUsesWith(a);
        });
      }
    }
  }
}

/// The names of the extents of a score matrix, as far as arguments say; an
/// extent that is static is named by its number.
static SmallVector<StringAttr> getExtentNames(Value scores) {
  auto type = cast<ScoresType>(scores.getType());
  SmallVector<StringAttr> names(4);
  Builder builder(scores.getContext());
  for (unsigned d = 0; d < 4; ++d) {
    if (!ShapedType::isDynamic(type.getDim(d))) {
      names[d] = builder.getStringAttr(std::to_string(type.getDim(d)));
    }
  }
  auto enter = [&](Value tensor, unsigned axis, unsigned d) {
    auto argument = dyn_cast<BlockArgument>(tensor);
    auto func = argument
                    ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp())
                    : func::FuncOp();
    auto dims = func ? func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                        "attn.dims")
                     : ArrayAttr();
    if (dims && axis < dims.size() && !names[d]) {
      names[d] = dyn_cast<StringAttr>(dims[axis]);
    }
  };
  Operation *op = scores.getDefiningOp();
  if (auto score = dyn_cast_if_present<ScoreOp>(op)) {
    enter(score.getQuery(), 0, 0);
    enter(score.getQuery(), 2, 2);
    enter(score.getKey(), 2, 3);
    return names;
  }
  if (auto bias = dyn_cast_if_present<BiasOp>(op)) {
    for (unsigned d = 0; d < 4; ++d) {
      enter(bias.getTensor(), d, d);
    }
    return names;
  }
  bool keepsShape =
      isa_and_present<MapOp, MaskOp, FillOp, SoftmaxOp, WithAxesOp, ConvolveOp>(
          op);
  for (Value operand : keepsShape ? op->getOperands() : ValueRange()) {
    if (isa<ScoresType>(operand.getType())) {
      for (auto [d, name] : llvm::enumerate(getExtentNames(operand))) {
        names[d] = names[d] ? names[d] : name;
      }
    }
  }
  return names;
}

/// Replaces scores by a stored matrix, an argument.
static void collectBiases(ModuleOp module, Changes &changes) {
  func::FuncOp func = getFunction(module);
  forEachOp(module, [&](Operation *op) {
    auto type = op->getNumResults() == 1
                    ? dyn_cast<ScoresType>(op->getResult(0).getType())
                    : ScoresType();
    if (!type || isa<BiasOp>(op) || !op->getParentOp() ||
        op->getParentOp() != func) {
      return;
    }
    SmallVector<StringAttr> names = getExtentNames(op->getResult(0));
    if (llvm::is_contained(names, StringAttr())) {
      return;
    }
    changes.push_back([=]() mutable {
      Emit e(op->getLoc(), op);
      unsigned number = func.getNumArguments();
      SmallVector<Attribute> dims(names.begin(), names.end());
      NamedAttrList attrs;
      attrs.set("attn.dims", e.getArrayAttr(dims));
      attrs.set("attn.name",
                e.getStringAttr("matrix" + std::to_string(number)));
      (void)func.insertArgument(
          number, RankedTensorType::get(type.getShape(), type.getElementType()),
          attrs.getDictionary(e.getContext()), op->getLoc());
      Value none;
      Value bias = BiasOp::create(e, type, func.getArgument(number), none, none,
                                  none, none, none, none, none, none);
      op->getResult(0).replaceAllUsesWith(bias);
    });
  });
}

//===----------------------------------------------------------------------===//
// Parts of ops
//===----------------------------------------------------------------------===//

/// Drops an operand that may be optional.
static void collectOptionalOperands(ModuleOp module, Changes &changes) {
  forEachOp(module, [&](Operation *op) {
    if (!isa_and_present<AttnDialect>(op->getDialect())) {
      return;
    }
    auto sizes = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
    for (unsigned k = 0; k < op->getNumOperands(); ++k) {
      changes.push_back([=] {
        if (sizes) {
          SmallVector<int32_t> reduced(sizes.asArrayRef());
          unsigned first = 0;
          for (int32_t &size : reduced) {
            unsigned end = first + static_cast<unsigned>(size);
            size -= k >= first && k < end;
            first = end;
          }
          op->setAttr("operandSegmentSizes",
                      DenseI32ArrayAttr::get(op->getContext(), reduced));
        }
        op->eraseOperand(k);
      });
    }
  });
}

/// Drops flags and optional attributes, and makes factors 1.
static void collectAttributes(ModuleOp module, Changes &changes) {
  forEachOp(module, [&](Operation *op) {
    if (!isa_and_present<AttnDialect>(op->getDialect())) {
      return;
    }
    for (NamedAttribute attr : op->getAttrs()) {
      StringAttr name = attr.getName();
      auto number = dyn_cast<FloatAttr>(attr.getValue());
      if (isa<UnitAttr, TypeAttr>(attr.getValue())) {
        changes.push_back([=] { op->removeAttr(name); });
      } else if (number && number.getValueAsDouble() != 1.0 &&
                 number.getValueAsDouble() != 0.0) {
        for (double value : {0.0, 1.0}) {
          changes.push_back([=] {
            op->setAttr(name, FloatAttr::get(number.getType(), value));
          });
        }
      }
    }
  });
}

/// Empties a region that may be optional.
static void collectRegions(ModuleOp module, Changes &changes) {
  forEachOp(module, [&](Operation *op) {
    if (!isa_and_present<AttnDialect>(op->getDialect())) {
      return;
    }
    for (Region &region : op->getRegions()) {
      if (!region.empty()) {
        Region *emptied = &region;
        changes.push_back([=] {
          emptied->dropAllReferences();
          emptied->getBlocks().clear();
        });
      }
    }
  });
}

/// One segment of a concatenation in place of all, with the value of that
/// segment; one state in place of several.
static void collectSegments(ModuleOp module, Changes &changes) {
  forEachOp(module, [&](Operation *op) {
    if (auto merge = dyn_cast<MergeOp>(op)) {
      for (unsigned k = 0;
           merge.getStates().size() > 1 && k < merge.getStates().size(); ++k) {
        changes.push_back([=] { op->eraseOperand(k); });
      }
    }
    auto concat = dyn_cast<ConcatOp>(op);
    size_t count = concat ? concat.getSegments().size() : 0;
    for (unsigned k = 0; k < count; ++k) {
      Value segment = concat.getSegments()[k];
      if (segment.getType() != concat.getType()) {
        continue;
      }
      changes.push_back([=]() mutable {
        module.walk([&](AggregateOp aggregate) {
          if (aggregate.getValues().size() != count) {
            return;
          }
          OpBuilder builder(aggregate);
          Value map = aggregate.getHeadMap(k), batch = aggregate.getBatchMap(k);
          Value replaced = AggregateOp::create(
              builder, aggregate.getLoc(), aggregate.getType(),
              aggregate.getWeights(), aggregate.getValues()[k],
              map ? ValueRange(map) : ValueRange(),
              batch ? ValueRange(batch) : ValueRange(),
              {static_cast<bool>(map)}, {static_cast<bool>(batch)},
              aggregate.getOperandTypeAttr());
          aggregate.getResult().replaceAllUsesWith(replaced);
        });
        op->getResult(0).replaceAllUsesWith(segment);
      });
    }
  });
}

/// A loop that does not run, a branch that is always taken.
static void collectControl(ModuleOp module, Changes &changes) {
  forEachOp(module, [&](Operation *op) {
    if (auto loop = dyn_cast<LoopLikeOpInterface>(op)) {
      if (loop.getInits().size() == op->getNumResults()) {
        changes.push_back([=] {
          auto inner = cast<LoopLikeOpInterface>(op);
          SmallVector<Value> inits(inner.getInits());
          op->replaceAllUsesWith(inits);
        });
      }
    }
    auto branch = dyn_cast<scf::IfOp>(op);
    for (unsigned k = 0; branch && k < 2; ++k) {
      changes.push_back([=] {
        Region &region = op->getRegion(k);
        if (region.empty()) {
          return;
        }
        Block &block = region.front();
        Operation *end = block.getTerminator();
        op->replaceAllUsesWith(end->getOperands());
        end->erase();
        op->getBlock()->getOperations().splice(op->getIterator(),
                                               block.getOperations());
        op->erase();
      });
    }
  });
}

//===----------------------------------------------------------------------===//
// Sizes and types
//===----------------------------------------------------------------------===//

/// Smaller extents to try, the best last.
static SmallVector<int64_t> smaller(int64_t size) {
  SmallVector<int64_t> sizes;
  for (int64_t next : {size - 1, size / 2, int64_t{2}, int64_t{1}}) {
    if (next > 0 && next < size && !llvm::is_contained(sizes, next)) {
      sizes.push_back(next);
    }
  }
  return sizes;
}

static void collectRunSizes(ModuleOp module, Changes &changes) {
  func::FuncOp func = getFunction(module);
  auto sizes = func ? func->getAttrOfType<DictionaryAttr>("attn.sizes")
                    : DictionaryAttr();
  for (NamedAttribute entry :
       sizes ? sizes.getValue() : ArrayRef<NamedAttribute>()) {
    auto size = dyn_cast<IntegerAttr>(entry.getValue());
    if (!size) {
      continue;
    }
    for (int64_t next : smaller(size.getInt())) {
      changes.push_back([=]() mutable {
        NamedAttrList changed(sizes);
        changed.set(entry.getName(), IntegerAttr::get(size.getType(), next));
        func->setAttr("attn.sizes", changed.getDictionary(func.getContext()));
      });
    }
  }
}

/// Replaces an extent in all types, in the names of dimensions that are
/// numbers, and in the sizes of dimensions that types know.
static void replaceExtent(ModuleOp module, int64_t from, int64_t to) {
  auto replaceIn = [=](ArrayRef<int64_t> shape) {
    SmallVector<int64_t> changed(shape);
    llvm::replace(changed, from, to);
    return changed;
  };
  AttrTypeReplacer replacer;
  replacer.addReplacement([=](RankedTensorType type) -> Type {
    return RankedTensorType::get(replaceIn(type.getShape()),
                                 type.getElementType());
  });
  replacer.addReplacement([=](VectorType type) -> Type {
    return VectorType::get(replaceIn(type.getShape()), type.getElementType());
  });
  replacer.addReplacement([=](ScoresType type) -> Type {
    return ScoresType::get(replaceIn(type.getShape()), type.getElementType());
  });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true,
                                        /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
  func::FuncOp func = getFunction(module);
  Builder builder(module.getContext());
  NamedAttrList sizes(func->getAttrOfType<DictionaryAttr>("attn.sizes"));
  for (BlockArgument argument : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    auto dims =
        func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "attn.dims");
    if (!type || !dims) {
      continue;
    }
    SmallVector<Attribute> names(dims.getValue());
    for (auto [name, extent] : llvm::zip_equal(names, type.getShape())) {
      StringRef text = cast<StringAttr>(name).getValue();
      int64_t number = 0;
      if (ShapedType::isDynamic(extent)) {
        continue;
      }
      if (!text.getAsInteger(10, number)) {
        name = builder.getStringAttr(std::to_string(extent));
      } else {
        sizes.set(text, builder.getI64IntegerAttr(extent));
      }
    }
    func.setArgAttr(argument.getArgNumber(), "attn.dims",
                    builder.getArrayAttr(names));
  }
  func->setAttr("attn.sizes", sizes.getDictionary(module.getContext()));
}

static void collectExtents(ModuleOp module, Changes &changes) {
  func::FuncOp func = getFunction(module);
  SmallVector<int64_t> extents;
  for (Type type : func ? func.getArgumentTypes() : ArrayRef<Type>()) {
    if (auto tensor = dyn_cast<RankedTensorType>(type)) {
      for (int64_t extent : tensor.getShape()) {
        if (!ShapedType::isDynamic(extent) &&
            !llvm::is_contained(extents, extent)) {
          extents.push_back(extent);
        }
      }
    }
  }
  for (int64_t extent : extents) {
    for (int64_t next : smaller(extent)) {
      changes.push_back([=] { replaceExtent(module, extent, next); });
    }
  }
}

/// f32 in place of narrower floats.
static void collectElements(ModuleOp module, Changes &changes) {
  changes.push_back([=] {
    AttrTypeReplacer replacer;
    auto widen = [](FloatType type) -> Type {
      return type.getWidth() == 16 ? Float32Type::get(type.getContext()) : type;
    };
    replacer.addReplacement([=](Float16Type type) { return widen(type); });
    replacer.addReplacement([=](BFloat16Type type) { return widen(type); });
    replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
  });
}

/// Drops the pattern of an argument.
static void collectPatterns(ModuleOp module, Changes &changes) {
  func::FuncOp func = getFunction(module);
  for (unsigned k = 0; func && k < func.getNumArguments(); ++k) {
    if (func.getArgAttr(k, "attn.init") &&
        isa<FloatType>(getElementTypeOrSelf(func.getArgument(k)))) {
      changes.push_back([=]() mutable { func.removeArgAttr(k, "attn.init"); });
    }
  }
}

ArrayRef<ReductionMove> attn::getReductionMoves() {
  static constexpr ReductionMove moves[] = {
      {"fewer results", collectResults},
      {"an earlier result", collectEarlierResults},
      {"control flow", collectControl},
      {"a matrix instead of scores", collectBiases},
      {"an operand instead of a result", collectOperands},
      {"fewer segments", collectSegments},
      {"a constant instead of a scalar", collectConstants},
      {"fewer operands", collectOptionalOperands},
      {"fewer attributes", collectAttributes},
      {"fewer regions", collectRegions},
      {"fewer arguments", collectSharing},
      {"smaller sizes", collectRunSizes},
      {"smaller extents", collectExtents},
      {"wider elements", collectElements},
      {"plain operands", collectPatterns}};
  return moves;
}
