//===- Contract.cpp - products of tiles -----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Distribute.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;
using tile::Registers;

static RankedTensorType tileType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Numbers for a vector of rows and pairs, as matrix instructions take them.
static Value pack(Emit &e, ArrayRef<Value> numbers) {
  int64_t rows = numbers.size() / 2;
  auto type = VectorType::get({rows, 2}, numbers.front().getType());
  Value all = arith::ConstantOp::create(e, e.getZeroAttr(type));
  for (auto [k, x] : llvm::enumerate(numbers)) {
    int64_t number = k;
    all = vector::InsertOp::create(e, x, all,
                                   ArrayRef<int64_t>{number / 2, number % 2});
  }
  return all;
}

/// mma.sync.m16n8k16: the left operand in registers, the right one from shared
/// memory as it is needed, for two columns of atoms at a time.
void Distributor::multiplyOnTensorCores(tile::ContractOp op) {
  Registers a(tileType(op.getA())), acc(tileType(op.getAcc()));
  SmallVector<Value> sums = get(op.getAcc());
  ArrayRef<Value> left = get(op.getA());
  Value b = op.getB();
  bool transposed = op.getTransposed();
  int64_t depth = op.getDepth();
  int64_t columns = tileType(op.getAcc()).getDimSize(1);
  SmallVector<int64_t> rows;
  for (size_t k = 0; k < acc.size(); k += 4) {
    if (acc.getOffset(k)[1] == 0) {
      rows.push_back(acc.getOffset(k)[0]);
    }
  }
  Value inEight = arith::RemUIOp::create(e, lane, e.index(8));
  Value matrix = e.div(lane, 8);
  Value odd = e.mul(arith::RemUIOp::create(e, matrix, e.index(2)), 8);
  Value upper = e.mul(e.div(matrix, 2), 8);
  for (int64_t k = 0; k < depth; k += 16) {
    DenseMap<int64_t, Value> lefts;
    for (int64_t row : rows) {
      size_t start = a.find({row, k});
      lefts[row] = pack(e, left.slice(start, 8));
    }
    for (int64_t n = 0; n < columns; n += 16) {
      int64_t atoms = std::min<int64_t>(2, (columns - n) / 8);
      // Of two atoms, each k and k + 8: matrices 0 and 1, 2 and 3. A single
      // atom takes the addresses of lanes 0 to 15.
      Value across = atoms == 2 ? upper : e.index(0);
      Value alongN = e.add(across, n), alongK = e.add(odd, k);
      Value part = transposed ? loadMatrices(b, e.add(alongN, inEight), alongK,
                                             2 * atoms, /*transpose=*/false)
                              : loadMatrices(b, e.add(alongK, inEight), alongN,
                                             2 * atoms, /*transpose=*/true);
      for (int64_t atom = 0; atom < atoms; ++atom) {
        Value right = vector::ExtractStridedSliceOp::create(
            e, part, ArrayRef<int64_t>{2 * atom}, ArrayRef<int64_t>{2},
            ArrayRef<int64_t>{1});
        for (int64_t row : rows) {
          size_t start = acc.find({row, n + 8 * atom});
          Value sum = pack(e, ArrayRef(sums).slice(start, 4));
          sum = nvgpu::MmaSyncOp::create(e, lefts[row], right, sum,
                                         ArrayRef<int64_t>{16, 8, 16});
          for (int64_t r = 0; r < 4; ++r) {
            sums[start + r] = vector::ExtractOp::create(
                e, sum, ArrayRef<int64_t>{r / 2, r % 2});
          }
        }
      }
    }
  }
  registers[op.getResult()] = std::move(sums);
}

static Value convertOperand(Emit &e, Value x, Type to) {
  if (isa<IntegerType>(to)) {
    return x.getType() == to ? x : arith::ExtSIOp::create(e, to, x).getResult();
  }
  return e.convertFloat(x, to);
}

/// One k after the other, every thread for its own elements.
void Distributor::multiplyAndAdd(tile::ContractOp op) {
  Registers acc(tileType(op.getAcc()));
  Type element = tileType(op.getAcc()).getElementType();
  SmallVector<int64_t> rows = acc.getDistinct(0), columns = acc.getDistinct(1);
  Value row = base(acc.getLayout(), 0), column = base(acc.getLayout(), 1);
  Value one = e.index(1);
  auto loop = scf::ForOp::create(e, e.index(0), e.index(op.getDepth()), one,
                                 get(op.getAcc()));
  OpBuilder::InsertionGuard guard(e);
  if (!loop.getBody()->empty()) {
    loop.getBody()->back().erase();
  }
  e.setInsertionPointToStart(loop.getBody());
  Value k = loop.getInductionVar();
  DenseMap<int64_t, Value> left, present, right;
  for (int64_t r : rows) {
    Value at = e.add(row, r);
    left[r] = convertOperand(e, e.load(op.getA(), {at, k}), element);
    if (op.getPresent()) {
      Value byte = e.load(op.getPresent(), {at, k});
      present[r] = arith::CmpIOp::create(e, arith::CmpIPredicate::ne, byte,
                                         e.constant(byte.getType(), 0.0));
    }
  }
  for (int64_t c : columns) {
    Value at = e.add(column, c);
    Value x = op.getTransposed() ? e.load(op.getB(), {at, k})
                                 : e.load(op.getB(), {k, at});
    right[c] = convertOperand(e, x, element);
  }
  SmallVector<Value> sums;
  for (size_t n = 0; n < acc.size(); ++n) {
    int64_t r = acc.getOffset(n)[0], c = acc.getOffset(n)[1];
    Value old = loop.getRegionIterArgs()[n];
    Value sum;
    if (isa<FloatType>(element)) {
      sum = math::FmaOp::create(e, left[r], right[c], old);
    } else {
      sum = e.add(old, e.mul(left[r], right[c]));
    }
    sums.push_back(op.getPresent() ? e.select(present[r], sum, old) : sum);
  }
  scf::YieldOp::create(e, sums);
  registers[op.getResult()].assign(loop.getResults().begin(),
                                   loop.getResults().end());
}

void Distributor::lower(tile::ContractOp op) {
  if (tile::isTile(op.getA().getType())) {
    multiplyOnTensorCores(op);
  } else {
    multiplyAndAdd(op);
  }
}
