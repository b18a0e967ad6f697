//===- Distribute.h - tiles as the scalars of a thread ----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_DISTRIBUTE_H
#define ATTN_LIB_TARGET_GPU_DISTRIBUTE_H

#include "SharedMemory.h"
#include "attn/Dialect/Tile/IR/Tile.h"
#include "attn/Support/Emit.h"
#include "attn/Target/GPU/Device.h"

namespace mlir::attn::gpu_target {

inline RankedTensorType tileType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Rewrites one kernel. Each value of a tile type has the scalars that stand
/// for it, in the order of tile::Registers.
class Distributor {
public:
  Distributor(gpu::GPUFuncOp function, const Device &device);
  LogicalResult run();

private:
  LogicalResult distribute(Block &block);
  LogicalResult distribute(Operation &op);
  void distributeLoop(scf::ForOp loop);
  void distributeIf(scf::IfOp op);
  LogicalResult distributeElementwise(Operation &op);
  SmallVector<Value> flatten(ValueRange values);
  SmallVector<Type> flatten(TypeRange types);
  /// Binds old results or arguments to the new ones that stand for them.
  void bind(ValueRange from, ValueRange to);
  SmallVector<Value> &get(Value tile) { return registers[tile]; }

  /// Where element `register` of a thread is along kept axis `dim`.
  Value position(const tile::Registers &tile, size_t number, unsigned dim);
  /// What the lane and the warp of the thread contribute to that.
  Value base(tile::LayoutAttr layout, unsigned axis);

  void lower(tile::IotaOp op);
  void lower(tile::SpreadOp op);
  void lower(tile::ReduceOp op);
  void lower(tile::ConvertOp op);
  Value combine(tile::ReduceKind kind, Value a, Value b);
  Value shuffle(Value value, int64_t mask);
  Value shuffleWord(Value word, int64_t mask);
  Value sameInWave(Value word);

  // Movement.cpp.
  void lower(tile::LoadOp op);
  void lower(tile::StoreOp op);
  void lower(tile::ScatterOp op);
  /// For each element of a tile that `mask` does not leave out, by one thread.
  void forEachPlace(Value value, ValueRange indices, Value mask,
                    llvm::function_ref<void(Value, ValueRange)> body);
  void lower(tile::SharedOp op);
  void lower(tile::StageOp op);
  void lower(tile::CopyOp op);
  void lower(tile::FillOp op);
  void lower(tile::ArriveOp op);
  void lower(tile::StashOp op);
  void lower(tile::FetchOp op);
  void lower(tile::FiniteOp op);
  Value findInfinite(tile::FiniteOp op, FloatType type);
  Value findInfiniteOneByOne(tile::FiniteOp op, FloatType type);
  /// What lies in the place of the buffer of `op`, or so many bytes further on.
  Value viewBuffer(Operation *op, MemRefType type, Value offset = Value());
  /// Once for each of so many columns of so many rows, by some thread.
  void forEachElement(int64_t rows, int64_t columns,
                      llvm::function_ref<void(Value, Value)> body);
  Value loadMatrices(Value source, Value row, Value column, int64_t count,
                     bool transpose);
  /// Rows to shared memory, 16 bytes at a time, where they allow it.
  void copyVectors(tile::CopyOp op, Value flat, Value start, Value stride);
  void copyByRegisters(tile::CopyOp op, Value flat, Value from, Value present,
                       Value row, Value column);

  // Channels.cpp.
  /// Positions are numbers of stages; between roles, of two rounds of them.
  void replacePositions();
  void lower(tile::ChannelOp op);
  void lower(tile::AcquireOp op);
  void lower(tile::CommitOp op);
  void lower(tile::WaitOp op);
  void lower(tile::ReleaseOp op);
  SmallVector<Value> getMatrices(tile::ChannelOp channel, Value position);
  Value getNext(tile::ChannelOp channel, Value position);
  // MBarriers.cpp: roles, and channels between them.
  LogicalResult distributeRoles(tile::RolesOp op);
  /// A barrier of the threads of the consumer, or of the block.
  void meet();
  void makeBarriers(tile::ChannelOp op);
  void acquireAsProducer(tile::AcquireOp op);
  void commitAsProducer(tile::ChannelOp channel, Value position);
  void waitAsConsumer(tile::ChannelOp channel, Value position);
  void releaseAsConsumer(tile::ChannelOp channel, Value position);
  struct Place {
    Value stage, phase;
  };
  Place getPlace(tile::ChannelOp channel, Value position);
  Value getBarrier(tile::ChannelOp channel, Value stage, bool isFree);
  void waitFor(Value barrier, Value phase);
  void arriveAsWarp(Value barrier);
  Value getAddress(Value offset);
  Value getPointer(Value address, unsigned space);
  /// Rows in bulk, where they are whole vectors and go through a channel.
  bool copiesInBulk(tile::CopyOp op) const;
  void copyInBulk(tile::CopyOp op, Value pointer, Value start, Value stride);
  /// Copies in bulk that come to the same place later come after what the
  /// producer has stored there.
  void fenceStores();

  // Contract.cpp.
  void lower(tile::ContractOp op);
  void multiplyOnTensorCores(tile::ContractOp op);
  void multiplyOnAMD(tile::ContractOp op); // AMDContract.cpp
  void lower(tile::CombineOp op);
  void multiplyAndAdd(tile::ContractOp op);
  /// Pairs of the elements (i, k) of a and (j, k) of b, or (k, j) if not
  /// `transposed`, for k from 0 to depth: each thread joins those of its own
  /// (i, j) with what it has.
  struct Pairs {
    Value a, b, present, finite, acc;
    int64_t depth;
    bool transposed;
  };
  SmallVector<Value>
  accumulate(const Pairs &pairs,
             llvm::function_ref<Value(Value, Value, Value, Value)> join);

  gpu::GPUFuncOp function;
  const Device &device;
  Emit e;
  DenseMap<Value, SmallVector<Value>> registers;
  DenseMap<std::pair<Attribute, unsigned>, Value> bases;
  SmallVector<Operation *> dead;
  Value thread, lane, warp;
  Value memory; // all of the workgroup memory
  SharedMemory shared;
  int64_t threads;
  enum class Role { None, Producer, Consumer } role = Role::None;
  /// Of a matrix that is brought to a consumer: the barrier of its copies.
  DenseMap<Value, Value> arrivals;
};

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_DISTRIBUTE_H
