//===- RowCopies.cpp - rows whose features change places ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A chunk of a shuffled, or expanded, row needs features of other chunks. Such
// a row is written into a small buffer when it is prepared, chunk by chunk with
// its places known, so that most chunks are plain loads of the row it is made
// from:
//
//   %y = vector.shuffle %x, %x [32, 33, .., 63, 0, 1, .., 31]
//   ->  vector.store %x[32, W), %y[0];  vector.store %x[48, W), %y[16];  ...
//
//===----------------------------------------------------------------------===//

#include "Scope.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

Value Scope::getRowCopy(Value value) const {
  if (Value found = rowCopies.lookup(value)) {
    return found;
  }
  return parent ? parent->getRowCopy(value) : Value();
}

void Scope::prepareRow(Value value) {
  DenseSet<Value> seen;
  prepareRow(value, seen);
}

void Scope::prepareRow(Value value, DenseSet<Value> &seen) {
  Operation *op = value.getDefiningOp();
  if (!isa<VectorType>(value.getType())) {
    if (!isa<ShapedType>(value.getType())) {
      get(value);
    }
    return;
  }
  if (!op || isa<SweepOp>(op) || op->hasTrait<OpTrait::ConstantLike>() ||
      !seen.insert(value).second || getRowCopy(value)) {
    return;
  }
  for (Value operand : op->getOperands()) {
    prepareRow(operand, seen);
  }
  if (auto shuffle = dyn_cast<vector::ShuffleOp>(op)) {
    copyShuffled(shuffle);
  } else if (auto expand = dyn_cast<ExpandOp>(op)) {
    copyRow(expand.getCoefficients());
    copyExpanded(expand);
  }
}

/// Keeps a row in a buffer, unless it is in memory as it is.
void Scope::copyRow(Value value) {
  if (getRowCopy(value) || value.getDefiningOp<AtOp>()) {
    return;
  }
  Emit &e = kernel.e;
  auto type = cast<VectorType>(value.getType());
  Value copy = kernel.allocateRow(type);
  forEachChunk(e, type.getNumElements(), kernel.lanes,
               [&](Value d, int64_t width) {
                 e.storeVector(RowChunk(*this, d, width).get(value), copy, d);
               });
  rowCopies[value] = copy;
}

/// Coefficients are taken one by one, each for a few chunks, and so that sums
/// do not wait for each other.
void Scope::copyExpanded(ExpandOp op) {
  constexpr int64_t sumsTogether = 4;
  Emit &e = kernel.e;
  VectorType type = op.getResult().getType();
  Type element = type.getElementType();
  int64_t rank = op.getCoefficients().getType().getNumElements();
  int64_t lanes = kernel.lanes;
  Value copy = kernel.allocateRow(type);
  Value matrix = get(op.getMatrix());
  SmallVector<Value> indices = get(op.getIndices());
  indices.append(2, Value());
  forEachChunk(
      e, type.getNumElements(), sumsTogether * lanes,
      [&](Value d, int64_t extent) {
        int64_t chunks = llvm::divideCeil(extent, lanes);
        int64_t together = sumsTogether / chunks;
        auto widthOf = [&](int64_t chunk) {
          return std::min(lanes, extent - chunk * lanes);
        };
        // Adds a term to each chunk of `sums`.
        auto addTerm = [&](Value r, MutableArrayRef<Value> sums) {
          Value x = RowChunk(*this, r, 1).get(op.getCoefficients());
          x = vector::ExtractOp::create(e, x, ArrayRef<int64_t>{0});
          x = e.convertFloat(x, element);
          SmallVector<Value> place(indices);
          place[place.size() - 2] = r;
          for (auto [chunk, sum] : llvm::enumerate(sums)) {
            int64_t width = widthOf(static_cast<int64_t>(chunk));
            place.back() = e.add(d, static_cast<int64_t>(chunk) * lanes);
            Value features =
                e.convertFloat(e.loadVector(matrix, place, width), element);
            sum =
                vector::FMAOp::create(e, e.broadcast(x, width), features, sum);
          }
        };
        SmallVector<Value> sums;
        for (int64_t k = 0; k < together * chunks; ++k) {
          auto here = VectorType::get(widthOf(k % chunks), element);
          sums.push_back(e.constant(here, 0));
        }
        int64_t whole = rank / together * together;
        sums =
            e.loop(e.index(0), e.index(whole), together, sums,
                   [&](Value r, ValueRange so) {
                     SmallVector<Value> next(so);
                     for (int64_t k = 0; k < together; ++k) {
                       addTerm(e.add(r, k),
                               MutableArrayRef(next).slice(k * chunks, chunks));
                     }
                     return next;
                   });
        MutableArrayRef<Value> all(sums);
        for (int64_t r = whole; r < rank; ++r) {
          addTerm(e.index(r), all.slice((r - whole) * chunks, chunks));
        }
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
          Value sum = sums[chunk];
          for (int64_t k = 1; k < together; ++k) {
            sum = arith::AddFOp::create(e, sum, sums[k * chunks + chunk]);
          }
          e.storeVector(sum, copy, e.add(d, chunk * lanes));
        }
      });
  rowCopies[op.getResult()] = copy;
}

void Scope::copyShuffled(vector::ShuffleOp op) {
  Emit &e = kernel.e;
  int64_t lanes = kernel.lanes;
  int64_t firstLength = op.getV1VectorType().getNumElements();
  int64_t secondLength = op.getV2VectorType().getNumElements();
  copyRow(op.getV1());
  copyRow(op.getV2());
  auto load = [&](int64_t from, int64_t width) {
    bool second = from >= firstLength;
    RowChunk chunk(*this, e.index(second ? from - firstLength : from), width);
    return chunk.get(second ? op.getV2() : op.getV1());
  };
  // Chunks do not cross from one operand to the other.
  auto chunkOf = [&](int64_t from) {
    return from < firstLength
               ? from / lanes * lanes
               : firstLength + (from - firstLength) / lanes * lanes;
  };
  auto widthOf = [&](int64_t chunk) {
    int64_t end =
        chunk < firstLength ? firstLength : firstLength + secondLength;
    return std::min(lanes, end - chunk);
  };
  Value copy = kernel.allocateRow(op.getResultVectorType());
  ArrayRef<int64_t> mask = op.getMask();
  for (int64_t d = 0; d < static_cast<int64_t>(mask.size()); d += lanes) {
    ArrayRef<int64_t> from = mask.slice(d).take_front(lanes);
    auto width = static_cast<int64_t>(from.size());
    bool crosses = from.front() < firstLength && from.back() >= firstLength;
    bool contiguous =
        !crosses && llvm::all_of(llvm::enumerate(from), [&](auto it) {
          return it.value() == from.front() + static_cast<int64_t>(it.index());
        });
    Value result;
    if (contiguous) {
      result = load(from.front(), width);
    } else if (llvm::all_equal(from)) {
      Value one = vector::ExtractOp::create(e, load(from.front(), 1),
                                            ArrayRef<int64_t>{0});
      result = e.broadcast(one, width);
    } else {
      SetVector<int64_t> chunks;
      for (int64_t k : from) {
        chunks.insert(chunkOf(k));
      }
      for (int64_t chunk : chunks) {
        Value source = load(chunk, widthOf(chunk));
        SmallVector<int64_t> lanesFrom;
        for (auto [k, place] : llvm::enumerate(from)) {
          bool here = chunkOf(place) == chunk;
          auto lane = static_cast<int64_t>(k);
          lanesFrom.push_back(here ? (result ? width : 0) + place - chunk
                                   : (result ? lane : 0));
        }
        result = vector::ShuffleOp::create(e, result ? result : source, source,
                                           lanesFrom);
      }
    }
    e.storeVector(result, copy, e.index(d));
  }
  rowCopies[op.getResult()] = copy;
}
