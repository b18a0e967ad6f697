//===- Contract.cpp - products of tiles -----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Distribute.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;
using tile::Registers;

/// Two numbers of 16 bits as an operand of mma.sync: a vector of halves, or the
/// word that two of the others are.
static Value makeOperand(Emit &e, Value pair) {
  auto type = cast<VectorType>(pair.getType());
  if (type.getElementType().isF16()) {
    return pair;
  }
  Value word =
      vector::BitCastOp::create(e, VectorType::get({1}, e.getI32Type()), pair);
  return vector::ExtractOp::create(e, word, ArrayRef<int64_t>{0});
}

static Value makePair(Emit &e, Value first, Value second) {
  return vector::FromElementsOp::create(
      e, VectorType::get({2}, first.getType()), ValueRange{first, second});
}

/// sum + left * right on the fragments of one atom, sums in f32.
static SmallVector<Value> multiplyAtom(Emit &e, ArrayRef<Value> left,
                                       ArrayRef<Value> right,
                                       ArrayRef<Value> sums, Type element) {
  auto kind = element.isF16() ? NVVM::MMATypes::f16 : NVVM::MMATypes::bf16;
  SmallVector<Type> four(4, e.getF32Type());
  auto result = LLVM::LLVMStructType::getLiteral(e.getContext(), four);
  Value product = NVVM::MmaOp::create(
      e, result, left, right, sums, ArrayRef<int64_t>{16, 8, 16},
      /*b1Op=*/std::nullopt, /*intOverflow=*/std::nullopt,
      std::array<NVVM::MMATypes, 2>{kind, kind},
      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row,
                                     NVVM::MMALayout::col});
  SmallVector<Value> all;
  for (int64_t k = 0; k < 4; ++k) {
    all.push_back(LLVM::ExtractValueOp::create(e, product, k));
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
    DenseMap<int64_t, SmallVector<Value>> lefts;
    for (int64_t row : rows) {
      ArrayRef<Value> numbers = left.slice(a.find({row, k}), 8);
      for (int64_t r = 0; r < 8; r += 2) {
        lefts[row].push_back(
            makeOperand(e, makePair(e, numbers[r], numbers[r + 1])));
      }
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
        SmallVector<Value> right;
        for (int64_t r = 0; r < 2; ++r) {
          right.push_back(
              makeOperand(e, vector::ExtractOp::create(
                                 e, part, ArrayRef<int64_t>{2 * atom + r})));
        }
        for (int64_t row : rows) {
          size_t start = acc.find({row, n + 8 * atom});
          SmallVector<Value> next =
              multiplyAtom(e, lefts[row], right, ArrayRef(sums).slice(start, 4),
                           tileType(op.getA()).getElementType());
          llvm::copy(next, sums.begin() + start);
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

/// One k after the other, every thread for its own elements. `join` takes what
/// was accumulated, two elements, and k. What all may be joined in a loop of
/// its own, and then nothing is left for the one that asks what is present.
SmallVector<Value> Distributor::accumulate(
    const Pairs &pairs,
    llvm::function_ref<Value(Value, Value, Value, Value)> join) {
  Registers acc(tileType(pairs.acc));
  Type element = tileType(pairs.acc).getElementType();
  SmallVector<int64_t> rows = acc.getDistinct(0), columns = acc.getDistinct(1);
  Value row = base(acc.getLayout(), 0), column = base(acc.getLayout(), 1);
  auto joinRange = [&](Value first, Value end, SmallVector<Value> sums,
                       bool isMasked) -> SmallVector<Value> {
    return e.loop(first, end, 1, sums, [&](Value k, ValueRange sofar) {
      DenseMap<int64_t, Value> left, present, right;
      for (int64_t r : rows) {
        Value at = e.add(row, r);
        left[r] = convertOperand(e, e.load(pairs.a, {at, k}), element);
        if (isMasked) {
          Value byte = e.load(pairs.present, {at, k});
          present[r] = arith::CmpIOp::create(e, arith::CmpIPredicate::ne, byte,
                                             e.constant(byte.getType(), 0.0));
        }
      }
      for (int64_t c : columns) {
        Value at = e.add(column, c);
        Value x = pairs.transposed ? e.load(pairs.b, {at, k})
                                   : e.load(pairs.b, {k, at});
        right[c] = convertOperand(e, x, element);
      }
      SmallVector<Value> next;
      for (size_t n = 0; n < acc.size(); ++n) {
        int64_t r = acc.getOffset(n)[0], c = acc.getOffset(n)[1];
        Value joined = join(sofar[n], left[r], right[c], k);
        next.push_back(isMasked ? e.select(present[r], joined, sofar[n])
                                : joined);
      }
      return next;
    });
  };
  Value none = e.index(0), all = e.index(pairs.depth);
  if (!pairs.finite) {
    return joinRange(none, all, get(pairs.acc), bool(pairs.present));
  }
  Value count = e.select(pairs.finite, all, none);
  SmallVector<Value> sums =
      joinRange(none, count, get(pairs.acc), /*isMasked=*/false);
  return joinRange(count, all, std::move(sums), /*isMasked=*/true);
}

void Distributor::multiplyAndAdd(tile::ContractOp op) {
  Pairs pairs = {op.getA(),         op.getB(),   op.getPresent(),
                 op.getFinite(),    op.getAcc(), int64_t(op.getDepth()),
                 op.getTransposed()};
  registers[op.getResult()] =
      accumulate(pairs, [&](Value sum, Value x, Value y, Value) -> Value {
        if (isa<FloatType>(sum.getType())) {
          return math::FmaOp::create(e, x, y, sum);
        }
        return e.add(sum, e.mul(x, y));
      });
}

void Distributor::lower(tile::CombineOp op) {
  Pairs pairs = {op.getA(),
                 op.getB(),
                 Value(),
                 Value(),
                 op.getAcc(),
                 int64_t(op.getDepth()),
                 /*transposed=*/true};
  Block &body = op.getBody().front();
  registers[op.getResult()] =
      accumulate(pairs, [&](Value sofar, Value x, Value y, Value k) {
        IRMapping map;
        map.map(body.getArguments(), ValueRange{x, y, k});
        for (Operation &inner : body.without_terminator()) {
          e.clone(inner, map);
        }
        Value term = map.lookupOrDefault(body.getTerminator()->getOperand(0));
        return combine(op.getKind(), sofar, term);
      });
}

void Distributor::lower(tile::ContractOp op) {
  if (tile::isTile(op.getA().getType())) {
    device.vendor == Vendor::AMD ? multiplyOnAMD(op)
                                 : multiplyOnTensorCores(op);
  } else {
    multiplyAndAdd(op);
  }
}
