//===- Cache.h - compiled programs on disk ----------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A directory of files that are named by a hash of everything they were made
// from. What is found there is checked before it is used: a damaged file is as
// good as none. Many processes may share a directory, and any of them may be
// killed at any time.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_CACHE_H
#define ATTN_COMPILER_CACHE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <array>
#include <atomic>
#include <memory>
#include <string>

namespace mlir::attn {

/// SHA-256 of what an entry was made from.
using CacheKey = std::array<uint8_t, 32>;

/// The key of a list of texts; where one ends and the next begins counts.
CacheKey makeCacheKey(llvm::ArrayRef<llvm::StringRef> parts);

/// What tells this build of the compiler from every other: the build ids of
/// the loaded files that hold it, MLIR and LLVM.
llvm::StringRef getCompilerBuildId();

struct CacheOptions {
  std::string directory;
  /// Entries that were used least recently go first.
  uint64_t maxBytes = uint64_t(1) << 30;

  /// $ATTN_CACHE_DIR, or attn-mlir in $XDG_CACHE_HOME or ~/.cache, of at most
  /// $ATTN_CACHE_MAX_MIB mebibytes. Without a directory if ATTN_CACHE=off.
  static llvm::Expected<CacheOptions> fromEnvironment();
};

class Cache {
public:
  /// Opens a directory, and makes it where there is none. It must be private:
  /// owned by this user, and closed to all others.
  static llvm::Expected<std::unique_ptr<Cache>> open(CacheOptions options);
  /// The cache that the environment names; null if it is off.
  static llvm::Expected<std::unique_ptr<Cache>> openDefault();
  ~Cache();
  Cache(const Cache &) = delete;
  Cache &operator=(const Cache &) = delete;

  /// The payload stored under `key`; null if there is none, or a damaged one.
  std::unique_ptr<llvm::MemoryBuffer> find(const CacheKey &key) const;

  /// Stores a payload, in place of an earlier one. Readers see the old file or
  /// the new one, never a part. An error leaves the cache as it was.
  llvm::Error store(const CacheKey &key, llvm::StringRef payload) const;

  /// Removes what killed processes left behind, and entries beyond the size
  /// limit; `store` does so too.
  void trim() const;

  llvm::StringRef getDirectory() const { return options.directory; }

  /// True once: of many failures to store, one is worth a warning.
  bool shouldWarn() const { return !warned.exchange(true); }

private:
  Cache(CacheOptions options, int descriptor)
      : options(std::move(options)), descriptor(descriptor) {}

  CacheOptions options;
  int descriptor;
  mutable std::atomic<bool> warned{false};
};

} // namespace mlir::attn

#endif // ATTN_COMPILER_CACHE_H
