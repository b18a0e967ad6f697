//===- AMDContract.cpp - products on AMD's matrix units -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   acc + A B    as    acc^T + B^T A^T
//
// The tile A is the instruction's second operand, whose columns are lanes, and
// what lies in shared memory its first one, whose rows are lanes: each lane
// reads its own row, the same numbers k that it has of A.
//
//   %d = rocdl.mfma.f32.16x16x16f16 %fromShared, %tile, %acc, 0, 0, 0
//
//===----------------------------------------------------------------------===//

#include "Distribute.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;
using tile::Atom;
using tile::AtomShape;
using tile::Registers;

/// The instructions take the bits of bf16.
static Value makeOperand(Emit &e, Value numbers) {
  auto type = cast<VectorType>(numbers.getType());
  if (type.getElementType().isF16()) {
    return numbers;
  }
  return vector::BitCastOp::create(
      e, VectorType::get(type.getShape(), e.getI16Type()), numbers);
}

static Value makeVector(Emit &e, ArrayRef<Value> numbers) {
  auto type =
      VectorType::get(int64_t(numbers.size()), numbers.front().getType());
  return vector::FromElementsOp::create(e, type, numbers);
}

/// sums + first * second on the fragments of one atom.
static Value multiplyAtom(Emit &e, Atom atom, Value first, Value second,
                          Value sums, bool isHalf) {
  Type type = sums.getType();
  if (atom == Atom::Mfma) {
    Value none = e.constant(e.getI32Type(), 0.0);
    SmallVector<Value> operands = {first, second, sums, none, none, none};
    return isHalf ? ROCDL::mfma_f32_16x16x16f16::create(e, type, operands)
                        .getResult()
                  : ROCDL::mfma_f32_16x16x16bf16_1k::create(e, type, operands)
                        .getResult();
  }
  return isHalf ? ROCDL::wmma_f32_16x16x16_f16::create(e, type, first, second,
                                                       sums)
                      .getResult()
                : ROCDL::wmma_f32_16x16x16_bf16::create(e, type, first, second,
                                                        sums)
                      .getResult();
}

void Distributor::multiplyOnAMD(tile::ContractOp op) {
  constexpr int64_t kExtent = 16;
  Registers a(tileType(op.getA())), acc(tileType(op.getAcc()));
  SmallVector<Value> sums = get(op.getAcc());
  ArrayRef<Value> left = get(op.getA());
  Value b = op.getB();
  Type element = tileType(op.getA()).getElementType();
  Atom atom = acc.getLayout().getAtom();
  size_t held =
      size_t{1} << AtomShape::get(a.getLayout().getAtom()).registers.size();
  size_t summed = size_t{1} << AtomShape::get(atom).registers.size();
  int64_t columns = tileType(op.getAcc()).getDimSize(1);
  SmallVector<int64_t> rows;
  for (size_t k = 0; k < acc.size(); k += summed) {
    if (acc.getOffset(k)[1] == 0) {
      rows.push_back(acc.getOffset(k)[0]);
    }
  }
  Value ownColumn = arith::RemUIOp::create(e, lane, e.index(kExtent));
  Value ownDepth = base(a.getLayout(), 1);
  auto type = VectorType::get(int64_t(held), element);
  for (int64_t k = 0; k < int64_t(op.getDepth()); k += kExtent) {
    DenseMap<int64_t, Value> lefts;
    for (int64_t row : rows) {
      lefts[row] =
          makeOperand(e, makeVector(e, left.slice(a.find({row, k}), held)));
    }
    Value alongK = e.add(ownDepth, k);
    for (int64_t n = 0; n < columns; n += kExtent) {
      Value alongN = e.add(ownColumn, n), part;
      if (op.getTransposed()) {
        // Rows of shared matrices begin at multiples of 16 bytes.
        auto align = llvm::MaybeAlign(std::min<uint64_t>(16, 2 * held));
        part = vector::LoadOp::create(e, type, b, ValueRange{alongN, alongK},
                                      /*nontemporal=*/false, align);
      } else {
        SmallVector<Value> numbers;
        for (size_t r = 0; r < held; ++r) {
          numbers.push_back(e.load(b, {e.add(alongK, int64_t(r)), alongN}));
        }
        part = makeVector(e, numbers);
      }
      Value right = makeOperand(e, part);
      for (int64_t row : rows) {
        size_t start = acc.find({row, n});
        Value next =
            multiplyAtom(e, atom, right, lefts[row],
                         makeVector(e, ArrayRef(sums).slice(start, summed)),
                         element.isF16());
        for (size_t r = 0; r < summed; ++r) {
          sums[start + r] =
              vector::ExtractOp::create(e, next, ArrayRef<int64_t>{int64_t(r)});
        }
      }
    }
  }
  registers[op.getResult()] = std::move(sums);
}
