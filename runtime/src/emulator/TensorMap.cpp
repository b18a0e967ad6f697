//===- TensorMap.cpp - boxes of tensors -----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A box lies densely in shared memory, dimension 0 first, but for the swizzle:
// the 16-byte chunks of a row change places with the number of the row. With
// one of 128 bytes and rows of 128 bytes, chunk c of row r is at c ^ (r % 8):
//
//   row 0   0 1 2 3 4 5 6 7
//   row 1   1 0 3 2 5 4 7 6
//   row 2   2 3 0 1 6 7 4 5   ...
//
// What is outside of the tensor is filled in when it is loaded, and dropped
// when it is stored (PTX ISA, section "Tensors").
//
//===----------------------------------------------------------------------===//

#include "Bulk.h"
#include "Formats.h"

#include <bit>
#include <cstring>
#include <initializer_list>

using namespace attn::emulator;

static constexpr uint32_t kMaxRank = ATTN_EMULATOR_MAX_RANK;
static constexpr uint32_t kChunkBytes = 16;
/// Boxes begin at multiples of this in shared memory.
static constexpr int32_t kBoxAlignment = 128;
static constexpr uint64_t kMagic = 0x70614d726f736e54;

/// What the bytes of a tensor map are.
struct attn::emulator::TensorMap {
  uint64_t magic;
  unsigned char *data;
  int64_t sizes[kMaxRank];
  uint64_t strides[kMaxRank - 1];
  uint16_t box[kMaxRank];
  uint8_t elementStrides[kMaxRank];
  uint8_t type, rank, fillsWithNan;
  /// The bits of a chunk's number that change.
  uint8_t swizzleMask;
};
static_assert(sizeof(TensorMap) <= sizeof(attn_emulator_tensor_map));

static uint32_t getElementBytes(int32_t type) {
  switch (type) {
  case ATTN_EMULATOR_S8:
  case ATTN_EMULATOR_U8:
    return 1;
  case ATTN_EMULATOR_F16:
  case ATTN_EMULATOR_BF16:
    return 2;
  case ATTN_EMULATOR_S64:
  case ATTN_EMULATOR_U64:
  case ATTN_EMULATOR_F64:
    return 8;
  default:
    return 4;
  }
}

/// Elements of a box along a dimension.
static uint32_t getExtent(const TensorMap &map, uint32_t dimension) {
  uint32_t stride = map.elementStrides[dimension];
  return (map.box[dimension] + stride - 1) / stride;
}

static uint32_t getBoxBytes(const TensorMap &map) {
  uint32_t bytes = getElementBytes(map.type);
  for (uint32_t d = 0; d < map.rank; ++d) {
    bytes *= getExtent(map, d);
  }
  return bytes;
}

//===----------------------------------------------------------------------===//
// Encoding
//===----------------------------------------------------------------------===//

/// What is wrong with dimension `d`, or null.
static const char *checkDimension(const attn_emulator_tensor &tensor, int d) {
  constexpr int64_t kMaxSize = int64_t{1} << 32, kMaxStride = int64_t{1} << 40;
  constexpr int32_t kMaxBox = 256, kMaxElementStride = 8;
  if (tensor.sizes[d] < 1 || tensor.sizes[d] > kMaxSize) {
    return "sizes of a tensor map are 1 to 2^32";
  }
  if (d > 0 && (tensor.strides[d] < 0 || tensor.strides[d] >= kMaxStride ||
                tensor.strides[d] % kChunkBytes != 0)) {
    return "strides of a tensor map are multiples of 16 bytes, less than 2^40";
  }
  if (tensor.box[d] < 1 || tensor.box[d] > kMaxBox) {
    return "a box of a tensor map has 1 to 256 elements in each dimension";
  }
  if (tensor.element_strides[d] < 1 ||
      tensor.element_strides[d] > kMaxElementStride) {
    return "element strides of a tensor map are 1 to 8";
  }
  return nullptr;
}

const char *
attn_emulator_encode_tensor_map(attn_emulator_tensor_map *map,
                                const attn_emulator_tensor *tensor) {
  if (tensor->rank < 1 || tensor->rank > ATTN_EMULATOR_MAX_RANK) {
    return "a tensor map has 1 to 5 dimensions";
  }
  if (reinterpret_cast<uintptr_t>(tensor->data) % kChunkBytes != 0) {
    return "the data of a tensor map begin at a multiple of 16 bytes";
  }
  for (int d = 0; d < tensor->rank; ++d) {
    if (const char *problem = checkDimension(*tensor, d)) {
      return problem;
    }
  }
  uint32_t row =
      static_cast<uint32_t>(tensor->box[0]) * getElementBytes(tensor->type);
  if (row % kChunkBytes != 0) {
    return "rows of a tensor map's box are multiples of 16 bytes";
  }
  int32_t swizzle = tensor->swizzle;
  if (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128) {
    return "a tensor map has a swizzle of 0, 32, 64 or 128 bytes";
  }
  if (swizzle && static_cast<uint32_t>(swizzle) != row) {
    return "rows of a tensor map's box have as many bytes as its swizzle";
  }
  TensorMap encoded = {};
  encoded.magic = kMagic;
  encoded.data = static_cast<unsigned char *>(tensor->data);
  encoded.type = static_cast<uint8_t>(tensor->type);
  encoded.rank = static_cast<uint8_t>(tensor->rank);
  encoded.fillsWithNan = tensor->fills_with_nan != 0;
  encoded.swizzleMask = static_cast<uint8_t>(swizzle ? swizzle / 16 - 1 : 0);
  for (int d = 0; d < tensor->rank; ++d) {
    encoded.sizes[d] = tensor->sizes[d];
    encoded.box[d] = static_cast<uint16_t>(tensor->box[d]);
    encoded.elementStrides[d] =
        static_cast<uint8_t>(d ? tensor->element_strides[d] : 1);
    if (d > 0) {
      encoded.strides[d - 1] = static_cast<uint64_t>(tensor->strides[d]);
    }
  }
  std::memset(map, 0, sizeof(*map));
  std::memcpy(map, &encoded, sizeof(encoded));
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

/// Calls `fn(offset, global, low, high)` for every chunk: where it is behind
/// the beginning of the box, and in global memory, and which of its bytes are
/// in the tensor.
template <typename Fn>
static void forEachChunk(const TensorMap &map, const int32_t *coordinates,
                         uint32_t place, Fn fn) {
  const auto size = static_cast<int64_t>(getElementBytes(map.type));
  const auto chunks =
      static_cast<uint32_t>(getExtent(map, 0) * size / kChunkBytes);
  uint32_t index[kMaxRank] = {}, offset = 0;
  for (bool isMore = true; isMore;) {
    bool isInside = true;
    int64_t row = coordinates[0] * size;
    for (uint32_t d = 1; d < map.rank; ++d) {
      int64_t at = coordinates[d] + int64_t{index[d]} * map.elementStrides[d];
      isInside &= at >= 0 && at < map.sizes[d];
      row += at * static_cast<int64_t>(map.strides[d - 1]);
    }
    for (uint32_t c = 0; c < chunks; ++c) {
      int64_t first = coordinates[0] * size + int64_t{c} * kChunkBytes;
      auto clamp = [](int64_t byte) {
        return byte < 0 ? 0 : byte > kChunkBytes ? kChunkBytes : byte;
      };
      int64_t low = clamp(-first), high = clamp(map.sizes[0] * size - first);
      uint32_t at = place + offset;
      uint32_t swizzled = at ^ (at >> 7 & map.swizzleMask) * kChunkBytes;
      // Addresses outside are not made.
      bool isEmpty = !isInside || low >= high;
      fn(swizzled - place,
         isEmpty ? nullptr : map.data + row + int64_t{c} * kChunkBytes + low,
         isEmpty ? 0u : static_cast<uint32_t>(low),
         isEmpty ? 0u : static_cast<uint32_t>(high));
      offset += kChunkBytes;
    }
    isMore = false;
    for (uint32_t d = 1; d < map.rank && !isMore; ++d) {
      isMore = ++index[d] < getExtent(map, d);
      index[d] = isMore ? index[d] : 0;
    }
  }
}

/// A NaN of floats that all formats have: all bits but the sign.
static void fill(const TensorMap &map, unsigned char *chunk) {
  std::memset(chunk, map.fillsWithNan ? 0xff : 0, kChunkBytes);
  uint32_t size = getElementBytes(map.type);
  for (uint32_t i = size - 1; map.fillsWithNan && i < kChunkBytes; i += size) {
    chunk[i] = 0x7f;
  }
}

void attn::emulator::loadBox(const Transfer &transfer, unsigned char *shared) {
  const TensorMap &map = *transfer.map;
  forEachChunk(map, transfer.coordinates, transfer.place,
               [&](uint32_t offset, const unsigned char *global, uint32_t low,
                   uint32_t high) {
                 if (high - low < kChunkBytes) {
                   fill(map, shared + offset);
                 }
                 if (global) {
                   std::memcpy(shared + offset + low, global, high - low);
                 }
               });
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static bool isOneOf(int32_t type, std::initializer_list<int32_t> types) {
  for (int32_t other : types) {
    if (type == other) {
      return true;
    }
  }
  return false;
}

/// Whether the elements of a type can be reduced so.
static bool canReduce(int32_t type, int32_t reduction) {
  bool isHalf = isOneOf(type, {ATTN_EMULATOR_F16, ATTN_EMULATOR_BF16});
  bool isWord = isOneOf(type, {ATTN_EMULATOR_U32, ATTN_EMULATOR_S32});
  bool isWide = isOneOf(type, {ATTN_EMULATOR_U64, ATTN_EMULATOR_S64});
  switch (reduction) {
  case ATTN_EMULATOR_TENSOR_STORE:
    return true;
  case ATTN_EMULATOR_TENSOR_ADD:
    return isHalf || isWord || type == ATTN_EMULATOR_U64 ||
           isOneOf(type, {ATTN_EMULATOR_F32, ATTN_EMULATOR_F64});
  case ATTN_EMULATOR_TENSOR_MIN:
  case ATTN_EMULATOR_TENSOR_MAX:
    return isHalf || isWord || isWide;
  case ATTN_EMULATOR_TENSOR_INC:
  case ATTN_EMULATOR_TENSOR_DEC:
    return type == ATTN_EMULATOR_U32;
  default:
    return isWord || isWide;
  }
}

template <typename T> static T reduceInteger(int32_t reduction, T a, T b) {
  switch (reduction) {
  case ATTN_EMULATOR_TENSOR_ADD:
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  case ATTN_EMULATOR_TENSOR_MIN:
    return a < b ? a : b;
  case ATTN_EMULATOR_TENSOR_MAX:
    return a < b ? b : a;
  case ATTN_EMULATOR_TENSOR_INC:
    return a >= b ? 0 : a + 1;
  case ATTN_EMULATOR_TENSOR_DEC:
    return a == 0 || a > b ? b : a - 1;
  case ATTN_EMULATOR_TENSOR_AND:
    return a & b;
  case ATTN_EMULATOR_TENSOR_OR:
    return a | b;
  default:
    return a ^ b;
  }
}

template <typename T> static T reduceFloat(int32_t reduction, T a, T b) {
  return reduction == ATTN_EMULATOR_TENSOR_ADD   ? a + b
         : reduction == ATTN_EMULATOR_TENSOR_MIN ? (a < b || b != b ? a : b)
                                                 : (a > b || b != b ? a : b);
}

/// bf16 of a float, to nearest even.
static uint16_t floatToBFloat(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) {
    return 0x7fff;
  }
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <typename T, typename Fn>
static void update(unsigned char *target, const unsigned char *source, Fn fn) {
  T a, b;
  std::memcpy(&a, target, sizeof(T));
  std::memcpy(&b, source, sizeof(T));
  T result = fn(a, b);
  std::memcpy(target, &result, sizeof(T));
}

static void reduceElement(int32_t type, int32_t reduction,
                          unsigned char *target, const unsigned char *source) {
  auto integer = [&](auto a, auto b) { return reduceInteger(reduction, a, b); };
  auto number = [&](auto a, auto b) { return reduceFloat(reduction, a, b); };
  switch (type) {
  case ATTN_EMULATOR_F16:
    return update<uint16_t>(target, source, [&](uint16_t a, uint16_t b) {
      return floatToHalf(number(halfToFloat(a), halfToFloat(b)));
    });
  case ATTN_EMULATOR_BF16:
    return update<uint16_t>(target, source, [&](uint16_t a, uint16_t b) {
      return floatToBFloat(number(std::bit_cast<float>(uint32_t{a} << 16),
                                  std::bit_cast<float>(uint32_t{b} << 16)));
    });
  case ATTN_EMULATOR_F32:
    return update<float>(target, source, number);
  case ATTN_EMULATOR_F64:
    return update<double>(target, source, number);
  case ATTN_EMULATOR_S32:
    return update<int32_t>(target, source, integer);
  case ATTN_EMULATOR_U32:
    return update<uint32_t>(target, source, integer);
  case ATTN_EMULATOR_S64:
    return update<int64_t>(target, source, integer);
  default:
    return update<uint64_t>(target, source, integer);
  }
}

void attn::emulator::storeBox(const Transfer &transfer,
                              const unsigned char *data) {
  const TensorMap &map = *transfer.map;
  uint32_t size = getElementBytes(map.type);
  forEachChunk(
      map, transfer.coordinates, transfer.place,
      [&](uint32_t offset, unsigned char *global, uint32_t low, uint32_t high) {
        const unsigned char *source = data + offset + low;
        if (transfer.reduction == ATTN_EMULATOR_TENSOR_STORE) {
          std::memcpy(global, source, high - low);
          return;
        }
        for (uint32_t i = 0; i < high - low; i += size) {
          reduceElement(map.type, transfer.reduction, global + i, source + i);
        }
      });
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// A copy of a box, after all checks but those of what is known of its bytes.
static Transfer makeBox(Emulator &emulator, const void *shared,
                        const void *address, const int32_t *coordinates,
                        int32_t rank, int32_t reduction, int32_t kind,
                        uint32_t site) {
  constexpr int32_t kMapAlignment = 64;
  Thread &thread = emulator.getCurrent();
  checkGlobal(emulator, thread, address, sizeof(attn_emulator_tensor_map),
              ATTN_EMULATOR_READ, kMapAlignment, site);
  const auto &map = *static_cast<const TensorMap *>(address);
  if (map.magic != kMagic) {
    report(emulator, thread, "uses what is no tensor map as one (%s)",
           getPlace(emulator, site));
  }
  if (map.rank != rank) {
    report(emulator, thread,
           "copies a box at %d coordinates (%s) by a tensor map of %u "
           "dimensions",
           rank, getPlace(emulator, site), map.rank);
  }
  if (!canReduce(map.type, reduction)) {
    report(emulator, thread,
           "reduces a box (%s) in a way that elements of its tensor map "
           "cannot be",
           getPlace(emulator, site));
  }
  Transfer transfer;
  transfer.site = site;
  transfer.map = &map;
  transfer.reduction = reduction;
  std::memcpy(transfer.coordinates, coordinates,
              sizeof(int32_t) * static_cast<size_t>(rank));
  transfer.bytes = getBoxBytes(map);
  transfer.place = findShared(emulator, thread, shared, transfer.bytes, kind,
                              kBoxAlignment, site);
  bool isLoad = kind == ATTN_EMULATOR_WRITE;
  forEachChunk(
      map, coordinates, transfer.place,
      [&](uint32_t, const unsigned char *global, uint32_t low, uint32_t high) {
        if (global) {
          checkGlobal(emulator, thread, global, high - low,
                      isLoad ? ATTN_EMULATOR_READ : ATTN_EMULATOR_WRITE, 1,
                      site);
        }
      });
  return transfer;
}

void attn_emulator_tensor_load(void *shared, const void *map,
                               const void *mbarrier, const int32_t *coordinates,
                               int32_t rank, int32_t blocks, int32_t site) {
  Emulator &emulator = *running;
  Transfer transfer = makeBox(emulator, shared, map, coordinates, rank,
                              ATTN_EMULATOR_TENSOR_STORE, ATTN_EMULATOR_WRITE,
                              static_cast<uint32_t>(site));
  beginLoad(emulator, transfer, mbarrier, static_cast<uint32_t>(blocks));
}

void attn_emulator_tensor_store(const void *map, const void *shared,
                                const int32_t *coordinates, int32_t rank,
                                int32_t reduction, int32_t site) {
  Emulator &emulator = *running;
  Transfer transfer =
      makeBox(emulator, shared, map, coordinates, rank, reduction,
              ATTN_EMULATOR_READ, static_cast<uint32_t>(site));
  beginStore(emulator, transfer,
             reduction == ATTN_EMULATOR_TENSOR_STORE ? "copies" : "reduces");
}
