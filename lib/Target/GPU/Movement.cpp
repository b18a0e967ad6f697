//===- Movement.cpp - tiles from memory, to memory, between threads -------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Distribute.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/IR/IRMapping.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;
using tile::AtomShape;
using tile::Registers;

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

void Distributor::lower(tile::LoadOp op) {
  Registers tile(tileType(op.getResult()));
  Type element = tileType(op.getResult()).getElementType();
  SmallVector<Value> all;
  for (size_t k = 0; k < tile.size(); ++k) {
    SmallVector<Value> at;
    for (Value index : op.getIndices()) {
      at.push_back(index.getType().isIndex() ? index : get(index)[k]);
    }
    auto load = [&] { return e.load(op.getSource(), at); };
    all.push_back(op.getMask()
                      ? e.ifValue(get(op.getMask())[k], element, load,
                                  [&] { return e.constant(element, 0.0); })
                      : load());
  }
  registers[op.getResult()] = std::move(all);
}

void Distributor::forEachPlace(
    Value value, ValueRange indices, Value mask,
    llvm::function_ref<void(Value, ValueRange)> body) {
  Registers tile(tileType(value));
  // Of the threads that hold an element of a slice, the first one along the
  // dropped axis is asked.
  Value owner;
  if (auto slice = dyn_cast<tile::SliceAttr>(tileType(value).getEncoding())) {
    owner = e.equal(base(slice.getParent(), slice.getDim()), e.index(0));
  }
  for (size_t k = 0; k < tile.size(); ++k) {
    SmallVector<Value> at;
    for (Value index : indices) {
      at.push_back(index.getType().isIndex() ? index : get(index)[k]);
    }
    Value cond = mask ? get(mask)[k] : Value();
    if (owner) {
      cond = cond ? e.both(cond, owner) : owner;
    }
    if (cond) {
      e.ifThen(cond, [&] { body(get(value)[k], at); });
    } else {
      body(get(value)[k], at);
    }
  }
}

void Distributor::lower(tile::StoreOp op) {
  forEachPlace(op.getValue(), op.getIndices(), op.getMask(),
               [&](Value x, ValueRange at) { e.store(x, op.getTarget(), at); });
}

static arith::AtomicRMWKind getAtomicKind(tile::ReduceKind kind, Type element) {
  bool isFloat = isa<FloatType>(element);
  switch (kind) {
  case tile::ReduceKind::Add:
    return isFloat ? arith::AtomicRMWKind::addf : arith::AtomicRMWKind::addi;
  case tile::ReduceKind::Max:
    return isFloat ? arith::AtomicRMWKind::maximumf
                   : arith::AtomicRMWKind::maxs;
  case tile::ReduceKind::Min:
    return isFloat ? arith::AtomicRMWKind::minimumf
                   : arith::AtomicRMWKind::mins;
  case tile::ReduceKind::Or:
    break;
  }
  llvm_unreachable("verified");
}

void Distributor::lower(tile::ScatterOp op) {
  arith::AtomicRMWKind kind =
      getAtomicKind(op.getKind(), tileType(op.getValue()).getElementType());
  forEachPlace(op.getValue(), op.getIndices(), op.getMask(),
               [&](Value x, ValueRange at) {
                 memref::AtomicRMWOp::create(e, x.getType(), kind, x,
                                             op.getTarget(), at);
               });
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

Value Distributor::viewBuffer(Operation *op, MemRefType type, Value offset) {
  Value place = e.index(shared.places.lookup(op));
  return memref::ViewOp::create(
      e, type, memory, offset ? e.add(place, offset) : place, ValueRange());
}

void Distributor::lower(tile::SharedOp op) {
  auto type = cast<MemRefType>(op.getResult().getType());
  if (tile::isShared(type)) {
    op.getResult().replaceAllUsesWith(viewBuffer(op, type));
  }
}

void Distributor::lower(tile::StageOp op) {
  auto type = cast<MemRefType>(op.getResult().getType());
  Value offset = e.mul(op.getStage(), countBytes(type));
  op.getResult().replaceAllUsesWith(
      viewBuffer(op.getRing().getDefiningOp(), type, offset));
}

void Distributor::lower(tile::ArriveOp) {
  if (device.copiesAsync) {
    NVVM::CpAsyncCommitGroupOp::create(e);
    NVVM::CpAsyncWaitGroupOp::create(e, 0);
  }
}

/// The low bits of an address that a step of `x` elements may set.
static Value addBits(Emit &e, Value bits, Value x, int64_t scale) {
  return e.either(bits, e.mul(x, scale));
}

/// What one copy of a row's elements moves.
static constexpr int64_t kCopyBytes = 16;

static int64_t countInVector(Type element) {
  return kCopyBytes / llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

/// Vectors by way of registers, or the asynchronous copies of devices that have
/// them, from a buffer that is seen as one row: `start` is where row `first`
/// begins, and the next one is `stride` elements further on.
void Distributor::copyVectors(tile::CopyOp op, Value flat, Value start,
                              Value stride) {
  auto shared = cast<MemRefType>(op.getTarget().getType());
  Type element = shared.getElementType();
  int64_t rows = shared.getDimSize(0);
  int64_t columns = op.getColumns(), padded = op.getPadded();
  int64_t vector = countInVector(element);
  int64_t chunks = padded / vector;
  // How many rows there are; less than that is compared in 32 bits.
  Value zero = e.index(0);
  Value there = e.sub(op.getEnd(), op.getFirst());
  there = e.max(e.min(there, e.index(rows)), zero);
  if (!device.copiesAsync) {
    forEachElement(rows, chunks, [&](Value row, Value chunk) {
      copyByRegisters(op, flat, e.add(start, e.mul(row, stride)),
                      e.less(row, there), row, e.mul(chunk, vector));
    });
    return;
  }
  Type word = e.getI32Type();
  auto copy = [&](Value from, Value row, Value column, Value count) {
    nvgpu::DeviceAsyncCopyOp::create(
        e, nvgpu::DeviceAsyncTokenType::get(e.getContext()), op.getTarget(),
        ValueRange{row, column}, flat, from, e.getIndexAttr(vector), count,
        UnitAttr());
  };
  // What is left out is filled with zeros; its address stays inside.
  auto clip = [&](Value column) -> std::pair<Value, Value> {
    if (columns == padded) {
      return {column, e.index(vector)};
    }
    Value count =
        e.max(e.min(e.sub(e.index(columns), column), e.index(vector)), zero);
    return {e.select(e.less(column, e.index(columns)), column, zero), count};
  };
  // Of a row that is not there nothing is read, wherever it would be.
  if (threads % chunks != 0 || threads / chunks < 4) {
    forEachElement(rows, chunks, [&](Value row, Value chunk) {
      Value column = e.mul(chunk, vector);
      auto [inside, count] = clip(column);
      copy(e.add(e.add(start, e.mul(row, stride)), inside), row, column,
           e.select(e.less(row, there), count, zero));
    });
    return;
  }
  // A thread stays in its column, for a few rows that are equally far apart.
  int64_t step = threads / chunks;
  Value row = e.div(thread, chunks);
  Value column =
      e.mul(arith::RemUIOp::create(e, thread, e.index(chunks)), vector);
  auto [inside, count] = clip(column);
  Value from = e.add(e.add(start, inside), e.mul(row, stride));
  Value further = e.mul(stride, step);
  Value left = arith::IndexCastOp::create(e, word, e.sub(there, row));
  auto copyAll = [&, count = count](bool isWhole) {
    Value at = from;
    for (int64_t passed = 0; passed < rows; passed += step) {
      Value here = isWhole && columns == padded ? Value() : count;
      if (!isWhole) {
        Value present =
            e.less(arith::ConstantIntOp::create(e, passed, 32), left);
        here = e.select(present, count, zero);
      }
      auto copyRow = [&] { copy(at, e.add(row, passed), column, here); };
      // The last pass may have more threads than there are rows.
      if (passed + step <= rows) {
        copyRow();
      } else {
        e.ifThen(e.less(row, e.index(rows - passed)), copyRow);
      }
      at = e.add(at, further);
    }
  };
  e.ifThen(
      e.equal(there, e.index(rows)), [&] { copyAll(true); },
      [&] { copyAll(false); });
}

/// A vector of one row, at `from`, if that is `present`.
void Distributor::copyByRegisters(tile::CopyOp op, Value flat, Value from,
                                  Value present, Value row, Value column) {
  auto shared = cast<MemRefType>(op.getTarget().getType());
  Type element = shared.getElementType();
  int64_t vector = countInVector(element);
  auto type = VectorType::get(vector, element);
  if (op.getColumns() != op.getPadded()) {
    present = e.both(present, e.less(column, e.index(op.getColumns())));
  }
  auto align = llvm::MaybeAlign(kCopyBytes);
  Value x = e.ifValue(
      present, type,
      [&]() -> Value {
        return vector::LoadOp::create(e, type, flat, e.add(from, column),
                                      /*nontemporal=*/false, align);
      },
      [&] { return e.constant(type, 0.0); });
  vector::StoreOp::create(e, x, op.getTarget(), ValueRange{row, column},
                          /*nontemporal=*/false, align);
}

/// 16 bytes at a time if every row starts at such an address, else element by
/// element.
void Distributor::lower(tile::CopyOp op) {
  Value source = op.getSource(), target = op.getTarget();
  auto type = cast<MemRefType>(source.getType());
  auto shared = cast<MemRefType>(target.getType());
  Type element = type.getElementType();
  int64_t size = llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  int64_t rows = shared.getDimSize(0);
  int64_t columns = op.getColumns(), padded = op.getPadded();

  auto metadata = memref::ExtractStridedMetadataOp::create(e, source);
  SmallVector<Value> strides(metadata.getStrides());
  Value pointer = memref::ExtractAlignedPointerAsIndexOp::create(e, source);
  Value bits = addBits(e, pointer, metadata.getOffset(), size);
  for (Value stride : ArrayRef(strides).drop_back()) {
    bits = addBits(e, bits, stride, size);
  }
  Value low = arith::AndIOp::create(e, bits, e.index(15));
  Value aligned =
      e.both(e.equal(low, e.index(0)), e.equal(strides.back(), e.index(1)));
  // Registers take whole vectors.
  if (!device.copiesAsync && columns * size % 16 != 0) {
    aligned = e.truth(false);
  }
  Value first = op.getFirst(), end = op.getEnd();
  auto index = [&](Value row, Value column) {
    SmallVector<Value> at(op.getIndices());
    at.push_back(row);
    at.push_back(column);
    return at;
  };
  e.ifThen(
      aligned,
      [&] {
        // The last stride is 1: the buffer is a row of as many elements as any.
        auto flat =
            MemRefType::get({ShapedType::kDynamic}, element,
                            StridedLayoutAttr::get(e.getContext(), 0, {1}));
        Value view = memref::ReinterpretCastOp::create(
            e, flat, metadata.getBaseBuffer(), e.getIndexAttr(0),
            OpFoldResult(e.getIndexAttr(std::numeric_limits<int64_t>::max())),
            OpFoldResult(e.getIndexAttr(1)));
        Value start = metadata.getOffset();
        for (auto [index, stride] :
             llvm::zip(op.getIndices(), ArrayRef(strides).drop_back(2))) {
          start = e.add(start, e.mul(index, stride));
        }
        Value stride = strides[strides.size() - 2];
        start = e.add(start, e.mul(first, stride));
        if (copiesInBulk(op)) {
          copyInBulk(op, pointer, start, stride);
        } else {
          copyVectors(op, view, start, stride);
        }
      },
      [&] {
        forEachElement(rows, padded, [&](Value row, Value column) {
          Value from = e.add(first, row);
          Value inside = e.less(from, end);
          if (columns != padded) {
            inside = e.both(inside, e.less(column, e.index(columns)));
          }
          Value x = e.ifValue(
              inside, element,
              [&] { return e.load(source, index(from, column)); },
              [&] { return e.constant(element, 0.0); });
          e.store(x, target, {row, column});
        });
        fenceStores();
      });
}

void Distributor::forEachElement(int64_t rows, int64_t columns,
                                 llvm::function_ref<void(Value, Value)> body) {
  if (device.copiesAsync && threads % columns == 0 && threads / columns >= 4) {
    // A thread stays in its column, for a few rows.
    Value column = arith::RemUIOp::create(e, thread, e.index(columns));
    e.loop(e.div(thread, columns), e.index(rows), threads / columns,
           [&](Value row) { body(row, column); });
    return;
  }
  e.loop(thread, e.index(rows * columns), threads, [&](Value k) {
    body(e.div(k, columns), arith::RemUIOp::create(e, k, e.index(columns)));
  });
}

void Distributor::lower(tile::FillOp op) {
  auto type = cast<MemRefType>(op.getTarget().getType());
  Type element = type.getElementType();
  int64_t columns = op.getColumns(), padded = op.getPadded();
  Block &body = op.getBody().front();
  forEachElement(type.getDimSize(0), padded, [&](Value row, Value column) {
    Value inside = e.less(row, op.getRows());
    if (columns != padded) {
      inside = e.both(inside, e.less(column, e.index(columns)));
    }
    Value x = e.ifValue(
        inside, element,
        [&] {
          IRMapping map;
          map.map(body.getArguments(), ValueRange{row, column});
          for (Operation &inner : body.without_terminator()) {
            e.clone(inner, map);
          }
          return map.lookupOrDefault(body.getTerminator()->getOperand(0));
        },
        [&] { return e.constant(element, 0.0); });
    e.store(x, op.getTarget(), {row, column});
  });
  fenceStores();
}

void Distributor::lower(tile::StashOp op) {
  Registers tile(tileType(op.getValue()));
  for (size_t k = 0; k < tile.size(); ++k) {
    Value x = get(op.getValue())[k];
    if (x.getType().isInteger(1)) {
      x = arith::ExtUIOp::create(e, e.getI8Type(), x);
    }
    e.store(x, op.getTarget(), {position(tile, k, 0), position(tile, k, 1)});
  }
}

/// Matrices of 8 x 8 numbers of 16 bits, two of a row in each lane. Lane l
/// names row l mod 8 of matrix l div 8.
Value Distributor::loadMatrices(Value source, Value row, Value column,
                                int64_t count, bool transpose) {
  Type element = cast<MemRefType>(source.getType()).getElementType();
  return nvgpu::LdMatrixOp::create(e, VectorType::get({count, 2}, element),
                                   source, ValueRange{row, column}, transpose,
                                   count);
}

void Distributor::lower(tile::FetchOp op) {
  RankedTensorType type = tileType(op.getResult());
  Registers tile(type);
  SmallVector<Value> all;
  if (tile.getLayout().getAtom() != tile::Atom::MmaA ||
      type.getElementTypeBitWidth() != 16) {
    for (size_t k = 0; k < tile.size(); ++k) {
      all.push_back(
          e.load(op.getSource(), {position(tile, k, 0), position(tile, k, 1)}));
    }
    registers[op.getResult()] = std::move(all);
    return;
  }
  // Lanes 0 to 15 name the rows of the left half, 16 to 31 of the right one.
  Value row = arith::RemUIOp::create(e, lane, e.index(16));
  row = e.add(row, e.mul(warp, 16));
  Value column = e.mul(e.div(lane, 16), 8);
  for (size_t k = 0; k < tile.size(); k += 8) {
    Value four = loadMatrices(op.getSource(), e.add(row, tile.getOffset(k)[0]),
                              e.add(column, tile.getOffset(k)[1]), 4,
                              /*transpose=*/false);
    for (int64_t r = 0; r < 8; ++r) {
      all.push_back(
          vector::ExtractOp::create(e, four, ArrayRef<int64_t>{r / 2, r % 2}));
    }
  }
  registers[op.getResult()] = std::move(all);
}

/// A word that is 0 if none of the numbers of a thread's share, of 16 bits
/// each, is infinite or NaN: 16 bytes at a time. One step added to an exponent
/// of ones carries into the bit of the sign, which is cleared before.
Value Distributor::findInfinite(tile::FiniteOp op, FloatType type) {
  constexpr int64_t vector = 8;
  constexpr uint32_t sign = 1 << 15;
  unsigned mantissa = type.getFPMantissaWidth() - 1;
  auto repeat = [&](uint32_t bits) -> Value {
    return arith::ConstantIntOp::create(e, bits | bits << 16, 32);
  };
  Value sizes = repeat(sign - 1), step = repeat(uint32_t(1) << mantissa);
  // Rows are filled up with zeros.
  int64_t columns = llvm::divideCeil(op.getColumns(), vector);
  auto words = VectorType::get({4}, e.getI32Type());
  Value sums = e.loop(
      thread, e.index(op.getRows() * columns), threads,
      e.constant(e.getI32Type(), 0.0), [&](Value k, ValueRange sofar) {
        Value row = e.div(k, columns);
        Value column =
            e.mul(arith::RemUIOp::create(e, k, e.index(columns)), vector);
        Value numbers = vector::LoadOp::create(
            e, VectorType::get({vector}, type), op.getSource(),
            ValueRange{row, column}, /*nontemporal=*/false, llvm::Align(16));
        Value four = vector::BitCastOp::create(e, words, numbers);
        Value found = sofar[0];
        for (int64_t w = 0; w < 4; ++w) {
          Value word = vector::ExtractOp::create(e, four, ArrayRef<int64_t>{w});
          word = arith::AndIOp::create(e, word, sizes);
          found = e.either(found, e.add(word, step));
        }
        return SmallVector<Value>{found};
      })[0];
  return arith::AndIOp::create(e, sums, repeat(sign));
}

Value Distributor::findInfiniteOneByOne(tile::FiniteOp op, FloatType type) {
  int64_t columns = op.getColumns();
  return e.loop(thread, e.index(op.getRows() * columns), threads,
                e.constant(e.getI32Type(), 0.0),
                [&](Value k, ValueRange sofar) {
                  Value column = arith::RemUIOp::create(e, k, e.index(columns));
                  Value x = e.load(op.getSource(), {e.div(k, columns), column});
                  // Infinity and NaN less themselves are NaN.
                  Value zero = arith::SubFOp::create(e, x, x);
                  Value odd = e.differs(zero, e.constant(type, 0.0));
                  Value bit = arith::ExtUIOp::create(e, e.getI32Type(), odd);
                  return SmallVector<Value>{e.either(sofar[0], bit)};
                })[0];
}

/// Every thread looks at its share; warps join by shuffles, the block by a word
/// per warp.
void Distributor::lower(tile::FiniteOp op) {
  auto type = cast<MemRefType>(op.getSource().getType());
  Value none = e.constant(e.getI32Type(), 0.0);
  Value found = none;
  if (auto number = dyn_cast<FloatType>(type.getElementType())) {
    // Where numbers are wide, registers are what there is least of.
    found = number.getWidth() == 16 ? findInfinite(op, number)
                                    : findInfiniteOneByOne(op, number);
  }
  for (int64_t mask = 1; mask < device.warpSize; mask *= 2) {
    found = e.either(found, shuffle(found, mask));
  }
  Value flags = viewBuffer(op, getFlagsType(function));
  Value zero = e.index(0);
  if (role == Role::Consumer) {
    meet(); // nobody still reads those of the tile before
  }
  e.ifThen(e.equal(lane, zero), [&] { e.store(found, flags, {zero, warp}); });
  meet();
  found = none;
  for (int64_t k = 0; k < threads / device.warpSize; ++k) {
    found = e.either(found, e.load(flags, {zero, e.index(k)}));
  }
  found = sameInWave(found);
  op.getResult().replaceAllUsesWith(e.equal(found, none));
}
