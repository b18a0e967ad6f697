//===- Arena.h - memory that is given back at once ------------ -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_ARENA_H
#define ATTN_RUNTIME_ARENA_H

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace attn {

/// `new` and `delete` without the C++ library; null if there is no memory.
template <typename T> T *create() {
  void *memory = std::malloc(sizeof(T));
  return memory ? new (memory) T() : nullptr;
}
template <typename T> void destroy(T *object) {
  if (object) {
    object->~T();
    std::free(object);
  }
}

/// Arrays that live as long as the arena. Nothing throws: null is "no memory".
class Arena {
public:
  Arena() = default;
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;
  ~Arena() {
    while (chunks) {
      Chunk *next = chunks->next;
      std::free(chunks);
      chunks = next;
    }
  }

  /// `count` elements made by their default constructor.
  template <typename T> T *allocate(size_t count) {
    static_assert(std::is_trivially_destructible_v<T> &&
                  alignof(T) <= alignof(Chunk));
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, sizeof(T), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(Chunk), &bytes)) {
      return nullptr;
    }
    auto *chunk = static_cast<Chunk *>(std::malloc(bytes));
    if (!chunk) {
      return nullptr;
    }
    chunk->next = chunks;
    chunks = chunk;
    auto *elements = reinterpret_cast<T *>(chunk + 1);
    for (size_t i = 0; i < count; ++i) {
      new (elements + i) T();
    }
    return elements;
  }

private:
  struct alignas(std::max_align_t) Chunk {
    Chunk *next;
  };
  Chunk *chunks = nullptr;
};

} // namespace attn

#endif // ATTN_RUNTIME_ARENA_H
