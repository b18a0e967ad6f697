//===- DistributeTiles.cpp - attn-distribute-tiles ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %e = math.exp2 %x : tensor<64x64xf32, #tile.layout<mma_acc, [4, 1]>>
//   ->
//   %e0 = math.exp2 %x0 : f32
//   ...
//   %e31 = math.exp2 %x31 : f32
//
// The region of a sweep is small, and ptxas takes straight code; a loop over
// registers would put them in memory.
//
//===----------------------------------------------------------------------===//

#include "Distribute.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::attn {
#define GEN_PASS_DEF_DISTRIBUTETILESPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;
using tile::AtomShape;
using tile::Registers;

Distributor::Distributor(gpu::GPUFuncOp function, const Device &device)
    : function(function), device(device),
      e(function.getLoc(), function.getContext()),
      threads((*function.getKnownBlockSize())[0]) {
  e.setInsertionPointToStart(&function.getBody().front());
  thread = gpu::ThreadIdOp::create(e, gpu::Dimension::x);
  lane = arith::RemUIOp::create(e, thread, e.index(device.warpSize));
  warp = e.div(thread, device.warpSize);
  memory = gpu::DynamicSharedMemoryOp::create(
      e, MemRefType::get({ShapedType::kDynamic}, e.getI8Type(),
                         MemRefLayoutAttrInterface(),
                         gpu::AddressSpaceAttr::get(
                             e.getContext(), gpu::AddressSpace::Workgroup)));
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

Value Distributor::base(tile::LayoutAttr layout, unsigned axis) {
  Value &known = bases[{layout, axis}];
  if (known) {
    return known;
  }
  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPointAfter(memory.getDefiningOp());
  const AtomShape &atom = AtomShape::get(layout.getAtom());
  // Neighbouring bits of the lane that count up along the axis are one field.
  Value sum = e.index(0);
  for (size_t bit = 0; bit < atom.lanes.size();) {
    int64_t step = atom.lanes[bit][axis];
    size_t end = bit + 1;
    while (step && end < atom.lanes.size() &&
           atom.lanes[end][axis] == step << (end - bit)) {
      ++end;
    }
    if (step) {
      Value field = e.div(lane, int64_t{1} << bit);
      field =
          arith::RemUIOp::create(e, field, e.index(int64_t{1} << (end - bit)));
      sum = e.add(sum, e.mul(field, step));
    }
    bit = end;
  }
  ArrayRef<int64_t> warps = layout.getWarps();
  Value own =
      axis == 0 ? arith::RemUIOp::create(e, warp, e.index(warps[0])).getResult()
                : e.div(warp, warps[0]);
  return known = e.add(sum, e.mul(own, atom.extents[axis]));
}

Value Distributor::position(const Registers &tile, size_t number,
                            unsigned dim) {
  return e.add(base(tile.getLayout(), tile.getAxes()[dim]),
               tile.getOffset(number)[dim]);
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

SmallVector<Value> Distributor::flatten(ValueRange values) {
  SmallVector<Value> all;
  for (Value value : values) {
    if (tile::isTile(value.getType())) {
      llvm::append_range(all, get(value));
    } else {
      all.push_back(value);
    }
  }
  return all;
}

SmallVector<Type> Distributor::flatten(TypeRange types) {
  SmallVector<Type> all;
  for (Type type : types) {
    if (tile::isTile(type)) {
      auto tile = cast<RankedTensorType>(type);
      all.append(Registers(tile).size(), tile.getElementType());
    } else {
      all.push_back(type);
    }
  }
  return all;
}

void Distributor::bind(ValueRange from, ValueRange to) {
  for (Value value : from) {
    if (tile::isTile(value.getType())) {
      size_t count = Registers(tileType(value)).size();
      registers[value].assign(to.begin(), to.begin() + count);
      to = to.drop_front(count);
    } else {
      value.replaceAllUsesWith(to.front());
      to = to.drop_front();
    }
  }
}

/// Moves the ops of a block, whose arguments stay behind, to an empty one.
static void moveBody(Block *from, Block *to) {
  to->getOperations().splice(to->end(), from->getOperations());
}

void Distributor::distributeLoop(scf::ForOp loop) {
  auto next = scf::ForOp::create(e, loop.getLowerBound(), loop.getUpperBound(),
                                 loop.getStep(), flatten(loop.getInitArgs()));
  if (!next.getBody()->empty()) {
    next.getBody()->back().erase();
  }
  bind(loop.getBody()->getArguments(), next.getBody()->getArguments());
  moveBody(loop.getBody(), next.getBody());
  bind(loop.getResults(), next.getResults());
}

void Distributor::distributeIf(scf::IfOp op) {
  auto next =
      scf::IfOp::create(e, flatten(op.getResultTypes()), op.getCondition(),
                        /*addThenBlock=*/true, /*addElseBlock=*/true);
  for (auto [from, to] : {std::pair(op.thenBlock(), next.thenBlock()),
                          std::pair(op.elseBlock(), next.elseBlock())}) {
    if (!to->empty()) {
      to->back().erase();
    }
    moveBody(from, to);
  }
  bind(op.getResults(), next.getResults());
}

LogicalResult Distributor::distributeElementwise(Operation &op) {
  size_t count = Registers(tileType(op.getResult(0))).size();
  SmallVector<SmallVector<Value>> results(op.getNumResults());
  for (size_t k = 0; k < count; ++k) {
    OperationState state(op.getLoc(), op.getName());
    for (Value operand : op.getOperands()) {
      bool tile = tile::isTile(operand.getType());
      state.operands.push_back(tile ? get(operand)[k] : operand);
    }
    for (Type type : op.getResultTypes()) {
      state.types.push_back(getElementTypeOrSelf(type));
    }
    state.addAttributes(op.getAttrs());
    Operation *scalar = e.create(state);
    for (auto [all, result] : llvm::zip(results, scalar->getResults())) {
      all.push_back(result);
    }
  }
  for (auto [result, all] : llvm::zip(op.getResults(), results)) {
    registers[result] = std::move(all);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

void Distributor::lower(tile::IotaOp op) {
  Registers tile(tileType(op.getResult()));
  SmallVector<Value> &all = registers[op.getResult()];
  for (size_t k = 0; k < tile.size(); ++k) {
    all.push_back(position(tile, k, op.getDim()));
  }
}

void Distributor::lower(tile::SpreadOp op) {
  Registers from(tileType(op.getValue())), to(tileType(op.getResult()));
  unsigned axis = from.getAxes()[0];
  SmallVector<Value> all;
  for (size_t k = 0; k < to.size(); ++k) {
    all.push_back(get(op.getValue())[from.find(to.getOffset(k)[axis])]);
  }
  registers[op.getResult()] = std::move(all);
}

void Distributor::lower(tile::ConvertOp op) {
  Registers from(tileType(op.getValue())), to(tileType(op.getResult()));
  SmallVector<Value> all;
  if (to.getLayout().getAtom() == tile::Atom::WmmaA) {
    // Even columns are in the first 16 lanes, odd ones in the others.
    constexpr int64_t kHalf = 16;
    Value odd = arith::CmpIOp::create(e, arith::CmpIPredicate::uge, lane,
                                      e.index(kHalf));
    SmallVector<Value> &own = get(op.getValue());
    SmallVector<Value> other =
        llvm::map_to_vector(own, [&](Value x) { return shuffle(x, kHalf); });
    for (size_t k = 0; k < to.size(); ++k) {
      SmallVector<int64_t> at(to.getOffset(k));
      bool isOdd = at[1] % 2;
      at[1] -= isOdd;
      size_t pair = from.find(at);
      all.push_back(isOdd ? e.select(odd, own[pair], other[pair])
                          : e.select(odd, other[pair], own[pair]));
    }
    registers[op.getResult()] = std::move(all);
    return;
  }
  for (size_t k = 0; k < to.size(); ++k) {
    all.push_back(get(op.getValue())[from.find(to.getOffset(k))]);
  }
  registers[op.getResult()] = std::move(all);
}

Value Distributor::combine(tile::ReduceKind kind, Value a, Value b) {
  bool isFloat = isa<FloatType>(a.getType());
  switch (kind) {
  case tile::ReduceKind::Add:
    return isFloat ? arith::AddFOp::create(e, a, b).getResult() : e.add(a, b);
  case tile::ReduceKind::Max:
    return isFloat ? arith::MaximumFOp::create(e, a, b).getResult()
                   : e.max(a, b);
  case tile::ReduceKind::Min:
    return isFloat ? arith::MinimumFOp::create(e, a, b).getResult()
                   : e.min(a, b);
  case tile::ReduceKind::Or:
    return e.either(a, b);
  }
  llvm_unreachable("kinds are listed");
}

/// `word`, which all lanes of a wave have the same of. AMD's code generator
/// takes what depends on lanes, or was loaded from shared memory, for different
/// in each: behind a branch on such a value, the results of both sides would
/// keep registers at once.
Value Distributor::sameInWave(Value word) {
  return device.vendor == Vendor::AMD
             ? ROCDL::ReadfirstlaneOp::create(e, word.getType(), word)
                   .getResult()
             : word;
}

/// The bits of the lane whose number differs in `mask`, within a row of 16, by
/// data-parallel primitives: short waves have one for each mask, and long ones
/// permutations of four lanes, rotations and mirrors.
static Value shuffleInRow(Emit &e, Value bits, int64_t mask, bool isShort) {
  constexpr int kXmask = 0x160, kHalfMirror = 0x141, kRotateBy8 = 0x128;
  constexpr int kFlip1 = 0xb1, kFlip2 = 0x4e, kFlip3 = 0x1b; // of four lanes
  auto move = [&](Value x, int control) -> Value {
    // No lane is left out, nor reads outside of its row.
    return ROCDL::DPPUpdateOp::create(e, x.getType(), x, x, control,
                                      /*rowMask=*/0xf, /*bankMask=*/0xf,
                                      /*boundCtrl=*/true);
  };
  if (isShort) {
    return move(bits, kXmask + static_cast<int>(mask));
  }
  switch (mask) {
  case 1:
    return move(bits, kFlip1);
  case 2:
    return move(bits, kFlip2);
  case 4: // 7, the mirror of eight lanes, and 3
    return move(move(bits, kHalfMirror), kFlip3);
  default:
    assert(mask == 8);
    return move(bits, kRotateBy8);
  }
}

/// The 32 bits of the lane whose number differs in `mask`. Between the halves
/// of a long wave, AMD's lanes read by the address of a register of 4 bytes.
Value Distributor::shuffleWord(Value word, int64_t mask) {
  Type i32 = e.getI32Type(), type = word.getType();
  if (device.vendor == Vendor::NVIDIA) {
    return gpu::ShuffleOp::create(e, word, mask, device.warpSize,
                                  gpu::ShuffleMode::XOR)
        .getShuffleResult();
  }
  constexpr int64_t kRow = 16;
  bool isShort = device.warpSize == 32;
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(e, value, 32);
  };
  Value bits =
      type == i32 ? word : arith::BitcastOp::create(e, i32, word).getResult();
  Value moved;
  if (mask < kRow) {
    moved = shuffleInRow(e, bits, mask, isShort);
  } else if (isShort) {
    // Each lane of a row reads its own number in the other one.
    moved = ROCDL::PermlaneX16Op::create(
        e, i32, bits, bits, constant(0x76543210), constant(int64_t(0xfedcba98)),
        /*fi=*/false, /*boundControl=*/true);
  } else if (mask == kRow) {
    // All five bits of a lane's number among 32, and an exclusive or of 16.
    moved = ROCDL::DsSwizzleOp::create(e, i32, bits, constant(0x401f));
  } else {
    Value other = arith::XOrIOp::create(e, lane, e.index(mask));
    Value address = arith::IndexCastOp::create(e, i32, e.mul(other, 4));
    moved = ROCDL::DsBpermuteOp::create(e, i32, address, bits);
  }
  return type == i32 ? moved
                     : arith::BitcastOp::create(e, type, moved).getResult();
}

/// The value of the lane whose number differs in `mask`. Shuffles move 32 bits.
Value Distributor::shuffle(Value value, int64_t mask) {
  Type type = value.getType(), i32 = e.getI32Type();
  auto move = [&](Value word) { return shuffleWord(word, mask); };
  if (type.isIndex()) {
    value = arith::IndexCastOp::create(e, e.getI64Type(), value);
    return arith::IndexCastOp::create(e, type, shuffle(value, mask));
  }
  unsigned bits = type.getIntOrFloatBitWidth();
  if (isa<FloatType>(type)) {
    if (bits == 32) {
      return move(value);
    }
    Value word = arith::BitcastOp::create(e, e.getIntegerType(bits), value);
    return arith::BitcastOp::create(e, type, shuffle(word, mask));
  }
  if (bits == 32) {
    return move(value);
  }
  if (bits < 32) {
    Value word = arith::ExtUIOp::create(e, i32, value);
    return arith::TruncIOp::create(e, type, move(word));
  }
  Value shift = e.constant64(32);
  Value low = arith::TruncIOp::create(e, i32, value);
  Value high =
      arith::TruncIOp::create(e, i32, arith::ShRUIOp::create(e, value, shift));
  low = arith::ExtUIOp::create(e, type, move(low));
  high = arith::ExtUIOp::create(e, type, move(high));
  return e.either(low, arith::ShLIOp::create(e, high, shift));
}

void Distributor::lower(tile::ReduceOp op) {
  Registers from(tileType(op.getValue())), to(tileType(op.getResult()));
  int64_t dim = op.getDim();
  const AtomShape &atom = AtomShape::get(from.getLayout().getAtom());
  SmallVector<Value> all(to.size());
  for (size_t k = 0; k < from.size(); ++k) {
    Value &sum = all[to.find(from.getOffset(k)[1 - dim])];
    Value x = get(op.getValue())[k];
    sum = sum ? combine(op.getKind(), sum, x) : x;
  }
  for (Value &sum : all) {
    for (size_t bit = 0; bit < atom.lanes.size(); ++bit) {
      if (atom.lanes[bit][dim]) {
        Value other = shuffle(sum, int64_t{1} << bit);
        sum = combine(op.getKind(), sum, other);
      }
    }
  }
  int64_t warps = from.getLayout().getWarps()[dim];
  if (op.getExchange() && warps > 1) {
    Value first = base(from.getLayout(), dim);
    Value part = e.div(first, atom.extents[dim]);
    Value owner = e.equal(first, e.mul(part, atom.extents[dim]));
    e.ifThen(owner, [&] {
      for (size_t k = 0; k < to.size(); ++k) {
        e.store(all[k], op.getExchange(), {part, position(to, k, 0)});
      }
    });
    meet();
    for (size_t k = 0; k < to.size(); ++k) {
      auto load = [&](int64_t number) {
        return e.load(op.getExchange(), {e.index(number), position(to, k, 0)});
      };
      all[k] = load(0);
      for (int64_t number = 1; number < warps; ++number) {
        all[k] = combine(op.getKind(), all[k], load(number));
      }
    }
    // The next one may write it.
    meet();
  }
  registers[op.getResult()] = std::move(all);
}

LogicalResult Distributor::distribute(Operation &op) {
  e.setInsertionPoint(&op);
  e.setLoc(op.getLoc());
  bool tiles = llvm::any_of(op.getOperandTypes(), tile::isTile) ||
               llvm::any_of(op.getResultTypes(), tile::isTile);
  if (auto yield = dyn_cast<scf::YieldOp>(op)) {
    yield->setOperands(flatten(yield.getOperands()));
    return success();
  }
  if (isa<scf::ForOp, scf::IfOp>(op)) {
    Operation *next = &op;
    if (tiles) {
      auto loop = dyn_cast<scf::ForOp>(op);
      loop ? distributeLoop(loop) : distributeIf(cast<scf::IfOp>(op));
      next = op.getPrevNode();
      dead.push_back(&op);
    }
    for (Region &region : next->getRegions()) {
      for (Block &block : region) {
        if (failed(distribute(block))) {
          return failure();
        }
      }
    }
    return success();
  }
  if (auto roles = dyn_cast<tile::RolesOp>(op)) {
    return distributeRoles(roles);
  }
  if (isa<gpu::BarrierOp>(op) && role != Role::None) {
    meet();
    dead.push_back(&op);
    return success();
  }
  if (op.getDialect() == op.getContext()->getLoadedDialect("tile")) {
    if (auto splat = dyn_cast<tile::SplatOp>(op)) {
      size_t count = Registers(tileType(splat.getResult())).size();
      registers[splat.getResult()].assign(count, splat.getValue());
    } else {
      llvm::TypeSwitch<Operation *>(&op)
          .Case<tile::IotaOp, tile::SpreadOp, tile::ReduceOp, tile::ConvertOp,
                tile::LoadOp, tile::StoreOp, tile::ScatterOp, tile::SharedOp,
                tile::StageOp, tile::CopyOp, tile::FillOp, tile::ArriveOp,
                tile::ChannelOp, tile::AcquireOp, tile::CommitOp, tile::WaitOp,
                tile::ReleaseOp, tile::StashOp, tile::FetchOp, tile::FiniteOp,
                tile::ContractOp, tile::CombineOp>(
              [&](auto concrete) { lower(concrete); });
    }
    dead.push_back(&op);
    return success();
  }
  if (!tiles) {
    return success();
  }
  if (!OpTrait::hasElementwiseMappableTraits(&op)) {
    return op.emitOpError() << "on tiles has no form for threads";
  }
  dead.push_back(&op);
  return distributeElementwise(op);
}

LogicalResult Distributor::distribute(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (failed(distribute(op))) {
      return failure();
    }
  }
  return success();
}

LogicalResult Distributor::run() {
  shared = placeBuffers(function, countBufferBytes);
  for (Operation *op : shared.handovers) {
    OpBuilder builder(op);
    gpu::BarrierOp::create(builder, op->getLoc());
  }
  replacePositions();
  if (failed(distribute(function.getBody().front()))) {
    return failure();
  }
  for (Operation *op : llvm::reverse(dead)) {
    op->dropAllUses();
    op->erase();
  }
  function->setAttr(kSharedBytes, e.getI32IntegerAttr(shared.bytes));
  return success();
}

namespace {
struct DistributeTilesPass
    : attn::impl::DistributeTilesPassBase<DistributeTilesPass> {
  using Base::Base;
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<const Device *> device = getDevice(module, chip);
    if (failed(device)) {
      return signalPassFailure();
    }
    for (auto kernels : module.getOps<gpu::GPUModuleOp>()) {
      for (auto function : kernels.getOps<gpu::GPUFuncOp>()) {
        if (!function.getKnownBlockSize()) {
          function.emitOpError() << "says no number of threads";
          return signalPassFailure();
        }
        if (failed(Distributor(function, **device).run())) {
          return signalPassFailure();
        }
      }
    }
    module.walk([&](gpu::LaunchFuncOp launch) {
      auto kernel = SymbolTable::lookupNearestSymbolFrom<gpu::GPUFuncOp>(
          launch, launch.getKernel());
      if (auto bytes = kernel ? kernel->getAttrOfType<IntegerAttr>(kSharedBytes)
                              : IntegerAttr()) {
        OpBuilder builder(launch);
        launch.getDynamicSharedMemorySizeMutable().assign(
            arith::ConstantOp::create(builder, launch.getLoc(), bytes)
                .getResult());
      }
    });
  }
};
} // namespace
