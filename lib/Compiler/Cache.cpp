//===- Cache.cpp - compiled programs on disk ------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An entry `<key in hex>.bin` is one file:
//
//   | magic, version | key | payload length | checksum of all else | payload |
//
// It is written under another name, flushed, and renamed, and then the
// directory is flushed. A writer holds a lock on its unfinished file, so that
// one without a lock is known to be left by a process that was killed. All
// paths are relative to the open directory, whose owner and mode were checked.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Cache.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/xxhash.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::attn;
using llvm::StringRef;
using llvm::support::endian::read64le;
using llvm::support::endian::write64le;

namespace {

/// Magic and version of the format; a reader of another one finds nothing.
constexpr char kMagic[] = "ATTNCACHE0000001";
constexpr size_t kMagicBytes = sizeof(kMagic) - 1;
constexpr size_t kLengthAt = kMagicBytes + sizeof(CacheKey);
constexpr size_t kChecksumAt = kLengthAt + 8;
constexpr size_t kHeaderBytes = kChecksumAt + 16;

constexpr StringRef kEntrySuffix = ".bin";
constexpr StringRef kUnfinishedPrefix = "unfinished-";
constexpr const char *kLockName = "lock";

/// A file descriptor that is closed, and its lock released, at the end.
class File {
public:
  explicit File(int descriptor) : descriptor(descriptor) {}
  File(const File &) = delete;
  ~File() {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
  explicit operator bool() const { return descriptor >= 0; }
  int get() const { return descriptor; }

private:
  int descriptor;
};

File openIn(int directory, const std::string &name, int flags) {
  return File(
      ::openat(directory, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
}

llvm::Error makeError(const llvm::Twine &what) {
  return llvm::createStringError(what + ": " + std::strerror(errno));
}

std::string getEntryName(const CacheKey &key) {
  return llvm::toHex(key, /*LowerCase=*/true) + kEntrySuffix.str();
}

/// Of the header before the checksum, and the payload.
llvm::XXH128_hash_t getChecksum(StringRef header, StringRef payload) {
  auto bytes = [](StringRef text) {
    return llvm::ArrayRef(text.bytes_begin(), text.size());
  };
  llvm::XXH128_hash_t outer =
      llvm::xxh3_128bits(bytes(header.take_front(kChecksumAt)));
  llvm::XXH128_hash_t inner = llvm::xxh3_128bits(bytes(payload));
  uint64_t both[] = {outer.low64, outer.high64, inner.low64, inner.high64};
  return llvm::xxh3_128bits(
      llvm::ArrayRef(reinterpret_cast<const uint8_t *>(both), sizeof(both)));
}

std::string makeHeader(const CacheKey &key, StringRef payload) {
  std::string header(kHeaderBytes, '\0');
  std::memcpy(header.data(), kMagic, kMagicBytes);
  std::memcpy(header.data() + kMagicBytes, key.data(), key.size());
  write64le(header.data() + kLengthAt, payload.size());
  llvm::XXH128_hash_t checksum = getChecksum(header, payload);
  write64le(header.data() + kChecksumAt, checksum.low64);
  write64le(header.data() + kChecksumAt + 8, checksum.high64);
  return header;
}

bool isIntact(const CacheKey &key, StringRef header, StringRef payload) {
  if (!header.starts_with(StringRef(kMagic, kMagicBytes)) ||
      std::memcmp(header.data() + kMagicBytes, key.data(), key.size()) != 0 ||
      read64le(header.data() + kLengthAt) != payload.size()) {
    return false;
  }
  llvm::XXH128_hash_t checksum = getChecksum(header, payload);
  return read64le(header.data() + kChecksumAt) == checksum.low64 &&
         read64le(header.data() + kChecksumAt + 8) == checksum.high64;
}

bool readAll(int file, char *to, size_t bytes) {
  while (bytes > 0) {
    ssize_t done = ::read(file, to, bytes);
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done <= 0) {
      return false;
    }
    to += done;
    bytes -= done;
  }
  return true;
}

bool writeAll(int file, StringRef bytes) {
  while (!bytes.empty()) {
    ssize_t done = ::write(file, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done < 0) {
      return false;
    }
    bytes = bytes.drop_front(done);
  }
  return true;
}

struct Entry {
  std::string name;
  uint64_t bytes;
  timespec used;
};

/// Entries, oldest first; and removes unfinished files that no one holds.
std::vector<Entry> listEntries(int directory) {
  std::vector<Entry> entries;
  int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy >= 0 ? ::fdopendir(copy) : nullptr;
  if (!stream) {
    if (copy >= 0) {
      ::close(copy);
    }
    return entries;
  }
  while (dirent *item = ::readdir(stream)) {
    std::string name = item->d_name;
    if (StringRef(name).starts_with(kUnfinishedPrefix)) {
      File file = openIn(directory, name, O_RDWR);
      if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
        ::unlinkat(directory, name.c_str(), 0);
      }
      continue;
    }
    struct stat status;
    if (StringRef(name).ends_with(kEntrySuffix) &&
        ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      entries.push_back(
          {name, static_cast<uint64_t>(status.st_size), status.st_mtim});
    }
  }
  ::closedir(stream);
  llvm::sort(entries, [](const Entry &a, const Entry &b) {
    return std::tie(a.used.tv_sec, a.used.tv_nsec, a.name) <
           std::tie(b.used.tv_sec, b.used.tv_nsec, b.name);
  });
  return entries;
}

/// Waits while another process trims, but not for one that has been stopped.
void lockShared(int file) {
  constexpr int attempts = 200;
  for (int i = 0; i < attempts; ++i) {
    if (::flock(file, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
      return;
    }
    ::usleep(1000);
  }
}

/// A name that no other thread or process uses, also not one of another
/// machine or container with the same process number.
std::string makeUnfinishedName() {
  static std::atomic<uint64_t> counter{0};
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return (kUnfinishedPrefix + llvm::Twine(::getpid()) + "-" +
          llvm::Twine(counter.fetch_add(1)) + "-" +
          llvm::Twine::utohexstr(now.tv_sec * 1000000000ull + now.tv_nsec))
      .str();
}

} // namespace

CacheKey attn::makeCacheKey(llvm::ArrayRef<StringRef> parts) {
  llvm::SHA256 hash;
  for (StringRef part : parts) {
    uint8_t length[8];
    write64le(length, part.size());
    hash.update(length);
    hash.update(part);
  }
  return hash.final();
}

llvm::Expected<CacheOptions> CacheOptions::fromEnvironment() {
  auto get = [](const char *name) {
    const char *value = std::getenv(name);
    return StringRef(value ? value : "");
  };
  CacheOptions options;
  if (StringRef state = get("ATTN_CACHE"); state == "off") {
    return options;
  } else if (!state.empty() && state != "on") {
    return llvm::createStringError("ATTN_CACHE is on or off, not '" + state +
                                   "'");
  }
  if (StringRef limit = get("ATTN_CACHE_MAX_MIB"); !limit.empty()) {
    uint64_t mebibytes = 0;
    if (limit.getAsInteger(10, mebibytes) || mebibytes == 0 ||
        mebibytes > (uint64_t(1) << 40)) {
      return llvm::createStringError(
          "ATTN_CACHE_MAX_MIB is a number of mebibytes, not '" + limit + "'");
    }
    options.maxBytes = mebibytes << 20;
  }
  llvm::SmallString<128> path(get("ATTN_CACHE_DIR"));
  if (path.empty()) {
    // Relative paths in XDG_CACHE_HOME are invalid, and ignored.
    path = get("XDG_CACHE_HOME");
    if (!llvm::sys::path::is_absolute(path)) {
      path.clear();
      if (!llvm::sys::path::home_directory(path)) {
        return llvm::createStringError(
            "there is no home directory for the cache: set ATTN_CACHE_DIR, or "
            "ATTN_CACHE=off");
      }
      llvm::sys::path::append(path, ".cache");
    }
    llvm::sys::path::append(path, "attn-mlir");
  }
  options.directory = path.str().str();
  return options;
}

llvm::Expected<std::unique_ptr<Cache>> Cache::open(CacheOptions options) {
  const std::string &path = options.directory;
  std::string named = "cache directory '" + path + "'";
  if (std::error_code code = llvm::sys::fs::create_directories(
          path, /*IgnoreExisting=*/true, llvm::sys::fs::owner_all)) {
    return llvm::createStringError(named +
                                   " cannot be made: " + code.message());
  }
  int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) {
    return makeError(named + " cannot be opened");
  }
  std::unique_ptr<Cache> cache(new Cache(std::move(options), descriptor));
  struct stat status;
  if (::fstat(descriptor, &status) != 0) {
    return makeError(named + " cannot be read");
  }
  if (status.st_uid != ::geteuid()) {
    return llvm::createStringError(
        named + " belongs to another user, who could put code there: set "
                "ATTN_CACHE_DIR to a directory of your own");
  }
  if (status.st_mode & 077) {
    return llvm::createStringError(
        named + " is open to other users, who could put code there: run "
                "chmod 700 on it");
  }
  return cache;
}

llvm::Expected<std::unique_ptr<Cache>> Cache::openDefault() {
  auto options = CacheOptions::fromEnvironment();
  if (!options) {
    return options.takeError();
  }
  if (options->directory.empty()) {
    return nullptr;
  }
  return open(std::move(*options));
}

Cache::~Cache() { ::close(descriptor); }

std::unique_ptr<llvm::MemoryBuffer> Cache::find(const CacheKey &key) const {
  File file = openIn(descriptor, getEntryName(key), O_RDONLY | O_NONBLOCK);
  struct stat status;
  char header[kHeaderBytes];
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<uint64_t>(status.st_size) < kHeaderBytes ||
      static_cast<uint64_t>(status.st_size) > options.maxBytes ||
      !readAll(file.get(), header, kHeaderBytes) ||
      read64le(header + kLengthAt) != status.st_size - kHeaderBytes) {
    return nullptr;
  }
  // Read, and not mapped: what has been checked must stay as it is.
  auto payload = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(
      status.st_size - kHeaderBytes, "cached");
  if (!payload ||
      !readAll(file.get(), payload->getBufferStart(),
               payload->getBufferSize()) ||
      !isIntact(key, StringRef(header, kHeaderBytes),
                payload->MemoryBuffer::getBuffer())) {
    return nullptr;
  }
  ::futimens(file.get(), nullptr); // used now; may fail
  return payload;
}

llvm::Error Cache::store(const CacheKey &key, StringRef payload) const {
  if (payload.size() + kHeaderBytes > options.maxBytes) {
    return llvm::createStringError(
        "it is larger than the limit of the cache (" +
        llvm::Twine(options.maxBytes) + " bytes)");
  }
  std::string named = "cannot write to '" + options.directory + "'";
  std::string unfinished = makeUnfinishedName();
  File lock = openIn(descriptor, kLockName, O_RDWR | O_CREAT);
  if (!lock) {
    return makeError(named);
  }
  // A new file must have its own lock before anyone looks for files without.
  lockShared(lock.get());
  File file = openIn(descriptor, unfinished, O_WRONLY | O_CREAT | O_EXCL);
  if (!file) {
    return makeError(named);
  }
  (void)::flock(file.get(), LOCK_EX | LOCK_NB);
  (void)::flock(lock.get(), LOCK_UN);
  llvm::scope_exit remove(
      [&] { ::unlinkat(descriptor, unfinished.c_str(), 0); });
  if (!writeAll(file.get(), makeHeader(key, payload)) ||
      !writeAll(file.get(), payload) || ::fsync(file.get()) != 0 ||
      ::renameat(descriptor, unfinished.c_str(), descriptor,
                 getEntryName(key).c_str()) != 0) {
    return makeError(named);
  }
  remove.release();
  (void)::fsync(descriptor);
  trim();
  return llvm::Error::success();
}

void Cache::trim() const {
  File lock = openIn(descriptor, kLockName, O_RDWR | O_CREAT);
  // Whoever holds the lock now trims, or will do so soon.
  if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return;
  }
  std::vector<Entry> entries = listEntries(descriptor);
  uint64_t total = 0;
  for (const Entry &entry : entries) {
    total += entry.bytes;
  }
  for (const Entry &entry : entries) {
    if (total <= options.maxBytes) {
      break;
    }
    if (::unlinkat(descriptor, entry.name.c_str(), 0) == 0) {
      total -= entry.bytes;
    }
  }
}
