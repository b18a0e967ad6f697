//===- Program.cpp - a program while it is being drawn --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include "attn/Smith/Reduce.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

Program::Program(MLIRContext &context, uint64_t seed,
                 const SmithOptions &options)
    : e(UnknownLoc::get(&context), &context), options(options), random(seed) {
  // Neighbouring seeds are to differ from the first number on.
  random = Random(random.next() ^ 0x5851f42d4c957f2dull);
  module = ModuleOp::create(e.getLoc());
  e.setInsertionPointToEnd(module->getBody());
  function = func::FuncOp::create(e, "f", e.getFunctionType({}, {}));
  e.setInsertionPointToStart(function.addEntryBlock());
  Type f32 = e.getF32Type();
  element = choose<Type>({f32, f32, f32, f32, f32, f32, e.getBF16Type(),
                          e.getBF16Type(), e.getF16Type(), e.getF64Type()});
  accumulation = getAccumulationType(element);
  batch = dim("B", choose<int64_t>({1, 2, 2, 3}), chance(0.3));
  heads = constant(choose<int64_t>({1, 2, 3, 4, 4, 6, 8}));
  features = constant(choose<int64_t>({4, 8, 16, 16, 32, 5, 19, 64}));
  queries = dim("M");
  keys = chance(0.5) ? queries : dim("N");
  // What is reduced over a short axis of known length may stay in registers.
  if (chance(0.12)) {
    DimRef &axis = chance(0.7) ? queries : keys;
    DimRef other = dim("N");
    (&axis == &queries ? keys : queries) = other;
    axis = dim("S", choose<int64_t>({1, 2, 3, 4, 7, 8, 15, 16, 17, 20}), true);
  }
}

//===----------------------------------------------------------------------===//
// Extents
//===----------------------------------------------------------------------===//

DimRef Program::constant(int64_t size) {
  for (const Dim &known : dims) {
    if (known.isStatic && known.size == size &&
        known.name == std::to_string(size)) {
      return &known;
    }
  }
  dims.push_back({std::to_string(size), size, true});
  return &dims.back();
}

DimRef Program::dim(StringRef prefix, int64_t size, bool isStatic) {
  unsigned count = counters[prefix]++;
  std::string name = prefix.str() + (count ? std::to_string(count) : "");
  dims.push_back({std::move(name), size, isStatic});
  return &dims.back();
}

DimRef Program::dim(StringRef prefix) {
  int64_t size = drawSize();
  // A static extent of zero is no tensor that a program would have.
  return dim(prefix, size, size > 0 && chance(0.3));
}

DimRef Program::sum(ArrayRef<DimRef> parts) {
  int64_t size = 0;
  bool isStatic = true;
  for (DimRef part : parts) {
    size += part->size;
    isStatic &= part->isStatic;
  }
  dims.push_back({"sum", size, isStatic, /*isSum=*/true});
  return &dims.back();
}

int64_t Program::drawSize() {
  static constexpr int64_t sizes[] = {1,  2,  3,   5,   7,   8,   9,   15,
                                      16, 17, 31,  33,  50,  63,  64,  65,
                                      70, 97, 128, 129, 150, 257, 385, 520};
  static constexpr int64_t counts[] = {7, 17, 21, 24};
  if (chance(0.04)) {
    return 0;
  }
  return sizes[below(counts[static_cast<size_t>(options.sizes)])];
}

Value Program::extent(DimRef dim) {
  OpBuilder::InsertionGuard guard(e);
  if (dim->isStatic) {
    return e.index(dim->size);
  }
  for (auto &[value, shape] : arguments) {
    for (auto [axis, known] : llvm::enumerate(shape)) {
      if (known == dim) {
        return tensor::DimOp::create(e, value, static_cast<int64_t>(axis));
      }
    }
  }
  Tensor carrier = integers("extent", {dim}, "zeros");
  return tensor::DimOp::create(e, carrier.value, 0);
}

SmallVector<Value> Program::dynamicExtents(ArrayRef<DimRef> shape) {
  SmallVector<Value> extents;
  for (DimRef dim : shape) {
    if (!dim->isStatic) {
      extents.push_back(extent(dim));
    }
  }
  return extents;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

RankedTensorType Program::tensorType(ArrayRef<DimRef> shape, Type element) {
  SmallVector<int64_t> extents;
  for (DimRef dim : shape) {
    extents.push_back(dim->getExtent());
  }
  return RankedTensorType::get(extents, element);
}

Tensor Program::argument(StringRef prefix, ArrayRef<DimRef> shape, Type element,
                         StringRef init, Numbers numbers) {
  SmallVector<Attribute> names;
  for (DimRef dim : shape) {
    names.push_back(e.getStringAttr(dim->name));
  }
  std::string name = prefix.str() + std::to_string(counters[prefix]++);
  NamedAttrList attrs;
  attrs.set("attn.name", e.getStringAttr(name));
  attrs.set("attn.dims", e.getArrayAttr(names));
  if (!init.empty()) {
    attrs.set("attn.init", e.getStringAttr(init));
  }
  unsigned index = function.getNumArguments();
  (void)function.insertArgument(index, tensorType(shape, element),
                                attrs.getDictionary(e.getContext()),
                                e.getLoc());
  Tensor tensor;
  static_cast<Numbers &>(tensor) = numbers;
  tensor.value = function.getArgument(index);
  tensor.shape.assign(shape.begin(), shape.end());
  arguments.emplace_back(tensor.value, tensor.shape);
  return tensor;
}

Value Program::scalar(StringRef prefix, int64_t value) {
  NamedAttrList attrs;
  attrs.set("attn.name",
            e.getStringAttr(prefix.str() + std::to_string(counters[prefix]++)));
  attrs.set("attn.init",
            e.getStringAttr("constant(" + std::to_string(value) + ")"));
  unsigned index = function.getNumArguments();
  (void)function.insertArgument(
      index, e.getIndexType(), attrs.getDictionary(e.getContext()), e.getLoc());
  return function.getArgument(index);
}

Tensor Program::numbers(StringRef prefix, ArrayRef<DimRef> shape,
                        Type element) {
  if (chance(0.35)) {
    return argument(prefix, shape, element, "grid(0.25, 2)", {2.0, true});
  }
  struct Pattern {
    const char *init;
    double bound;
  };
  auto pattern = choose<Pattern>({{"", 4.0},
                                  {"", 4.0},
                                  {"", 4.0},
                                  {"late-max", 12.0},
                                  {"large(8)", 32.0},
                                  {"tiny", 0.01},
                                  {"uniform(1)", 1.0},
                                  {"positive", 1.0}});
  return argument(prefix, shape, element, pattern.init, {pattern.bound, false});
}

Tensor Program::integers(StringRef prefix, ArrayRef<DimRef> shape,
                         StringRef init) {
  Type type = chance(0.3) ? e.getI64Type() : e.getI32Type();
  return argument(prefix, shape, type, init);
}

Value Program::filled(ArrayRef<DimRef> shape, Type element, double value) {
  RankedTensorType type = tensorType(shape, element);
  Value empty = tensor::EmptyOp::create(e, type, dynamicExtents(shape));
  Value number = e.constant(element, value);
  return linalg::FillOp::create(e, number, empty).getResult(0);
}

void Program::setWritable(Value argument) {
  function.setArgAttr(cast<BlockArgument>(argument).getArgNumber(),
                      "bufferization.writable", e.getBoolAttr(true));
}

ScoresType Program::scoresType(const Matrix &like) {
  SmallVector<int64_t> shape{like.batch->getExtent(), like.heads->getExtent(),
                             like.queries->getExtent(), like.keys->getExtent()};
  return ScoresType::get(shape, accumulation);
}

const Matrix &Program::pickMatrix() {
  // What nothing uses yet would be dead.
  if (chance(0.7)) {
    const Matrix *unused =
        findMatrix([](const Matrix &m) { return m.value.use_empty(); });
    if (unused) {
      return *unused;
    }
  }
  size_t recent = std::min<size_t>(matrices.size(), 3);
  size_t first = matrices.size() - recent;
  return matrices[first +
                  static_cast<size_t>(below(static_cast<int64_t>(recent)))];
}

const Matrix *
Program::findMatrix(llvm::function_ref<bool(const Matrix &)> fits) {
  SmallVector<const Matrix *> found;
  for (const Matrix &matrix : matrices) {
    if (fits(matrix)) {
      found.push_back(&matrix);
    }
  }
  return found.empty() ? nullptr : chooseFrom(found);
}

SmallVector<Matrix> Program::pickCompatible(int64_t most, Matrix &shape) {
  shape = pickMatrix();
  SmallVector<Matrix> picked{shape};
  auto isOne = [](DimRef dim) { return dim->isStatic && dim->size == 1; };
  auto fits = [&](DimRef a, DimRef b) {
    return a == b || isOne(a) || isOne(b);
  };
  while (static_cast<int64_t>(picked.size()) < most && chance(0.6)) {
    const Matrix *next = findMatrix([&](const Matrix &other) {
      return other.queries == shape.queries && other.keys == shape.keys &&
             fits(other.batch, shape.batch) && fits(other.heads, shape.heads);
    });
    picked.push_back(*next);
    shape.batch = isOne(shape.batch) ? next->batch : shape.batch;
    shape.heads = isOne(shape.heads) ? next->heads : shape.heads;
    for (int axis : {0, 1}) {
      shape.axes[axis].origin |= next->axes[axis].origin;
      shape.axes[axis].segments |= next->axes[axis].segments;
      shape.axes[axis].perHead |= next->axes[axis].perHead;
    }
  }
  return picked;
}

void Program::add(const Matrix &like, Value value, double bound, bool exact) {
  Matrix matrix = like;
  matrix.value = value;
  matrix.bound = bound;
  matrix.exact = exact;
  add(std::move(matrix));
}

void Program::addResult(Tensor tensor) {
  results.push_back(tensor.value);
  addTensor(std::move(tensor));
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

Site Program::enter(Region &region, ArrayRef<Matrix> inputs,
                    const Matrix &like) {
  Site site;
  entered.push_back(e.saveInsertionPoint());
  Block *block = e.createBlock(&region);
  for (const Matrix &input : inputs) {
    Term term;
    static_cast<Numbers &>(term) = input;
    term.value = block->addArgument(input.getElement(), e.getLoc());
    site.elements.push_back(term);
  }
  for (Value *index :
       {&site.b, &site.h, &site.i, &site.j, &site.pi, &site.pj}) {
    *index = block->addArgument(e.getIndexType(), e.getLoc());
  }
  site.batch = like.batch;
  site.heads = like.heads;
  site.queries = like.queries;
  site.keys = like.keys;
  return site;
}

void Program::yield(ValueRange values) {
  YieldOp::create(e, values);
  e.restoreInsertionPoint(entered.pop_back_val());
}

void Program::finish() {
  func::ReturnOp::create(e, results);
  SmallVector<Type> types(ValueRange(results).getTypes());
  function.setType(e.getFunctionType(function.getArgumentTypes(), types));
  for (size_t k = 0; k < results.size(); ++k) {
    function.setResultAttr(static_cast<unsigned>(k), "attn.name",
                           e.getStringAttr("r" + std::to_string(k)));
  }
  removeDeadCode(*module);
  NamedAttrList sizes;
  for (const Dim &dim : dims) {
    bool isUsed = llvm::any_of(function.getArguments(), [&](Value argument) {
      auto *known = llvm::find_if(
          arguments, [&](auto &entry) { return entry.first == argument; });
      return known != arguments.end() &&
             llvm::is_contained(known->second, &dim);
    });
    if (isUsed && dim.name != std::to_string(dim.size)) {
      sizes.set(dim.name, e.getI64IntegerAttr(dim.size));
    }
  }
  function->setAttr("attn.sizes", sizes.getDictionary(e.getContext()));
}
