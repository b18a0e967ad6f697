//===- Npz.cpp - NumPy's archives of arrays -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A .npz file is a zip archive of .npy files, stored or deflated. Only what
// such archives use of the format is read: the end record, the central
// directory (with 64-bit sizes where they are needed), and the local headers.
//
//   member | member | ... | central directory | [zip64 end] | end record
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Npy.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Endian.h"
#include <limits>
#include <zlib.h>

using namespace mlir;
using namespace mlir::attn;
using llvm::support::endian::read16le;
using llvm::support::endian::read32le;
using llvm::support::endian::read64le;

namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kEntrySignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kEntryBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kEnd64Bytes = 56;
constexpr size_t kLocator64Bytes = 20;
/// Deflate cannot do better than this.
constexpr uint64_t kMaxExpansion = 1040;

llvm::Error damaged(const llvm::Twine &what) {
  return llvm::createStringError("not a readable .npz file: " + what);
}

struct Directory {
  uint64_t offset = 0, bytes = 0, entries = 0;
};

struct Entry {
  StringRef name;
  unsigned flags = 0, method = 0;
  uint32_t checksum = 0;
  uint64_t packedBytes = 0, bytes = 0, localOffset = 0;
};

/// `length` bytes at `offset`, or nothing if the file is shorter.
std::optional<StringRef> slice(StringRef bytes, uint64_t offset,
                               uint64_t length) {
  if (offset > bytes.size() || length > bytes.size() - offset) {
    return std::nullopt;
  }
  return bytes.substr(offset, length);
}

llvm::Expected<Directory> findDirectory(StringRef bytes) {
  // The end record is followed by a comment of at most 65535 bytes.
  size_t lowest =
      bytes.size() > kEndBytes + 65535 ? bytes.size() - kEndBytes - 65535 : 0;
  for (size_t at = bytes.size() >= kEndBytes ? bytes.size() - kEndBytes + 1 : 0;
       at-- > lowest;) {
    const char *end = bytes.data() + at;
    if (read32le(end) != kEndSignature) {
      continue;
    }
    Directory directory{read32le(end + 16), read32le(end + 12),
                        read16le(end + 10)};
    std::optional<StringRef> locator =
        at >= kLocator64Bytes
            ? slice(bytes, at - kLocator64Bytes, kLocator64Bytes)
            : std::nullopt;
    if (locator && read32le(locator->data()) == kLocator64Signature) {
      std::optional<StringRef> end64 =
          slice(bytes, read64le(locator->data() + 8), kEnd64Bytes);
      if (!end64 || read32le(end64->data()) != kEnd64Signature) {
        return damaged("the 64-bit end record is missing");
      }
      directory = {read64le(end64->data() + 48), read64le(end64->data() + 40),
                   read64le(end64->data() + 32)};
    }
    return directory;
  }
  return damaged("it has no end record (is it cut off?)");
}

/// Replaces the sizes that are given as "see the extra field".
bool readExtraField(StringRef extra, Entry &entry) {
  bool needed = entry.bytes == 0xffffffffu ||
                entry.packedBytes == 0xffffffffu ||
                entry.localOffset == 0xffffffffu;
  while (needed && extra.size() >= 4) {
    unsigned tag = read16le(extra.data());
    size_t length = read16le(extra.data() + 2);
    extra = extra.drop_front(4);
    if (length > extra.size()) {
      return false;
    }
    if (tag == 1) {
      StringRef field = extra.take_front(length);
      for (uint64_t *value :
           {&entry.bytes, &entry.packedBytes, &entry.localOffset}) {
        if (*value != 0xffffffffu) {
          continue;
        }
        if (field.size() < 8) {
          return false;
        }
        *value = read64le(field.data());
        field = field.drop_front(8);
      }
      return true;
    }
    extra = extra.drop_front(length);
  }
  return !needed;
}

/// Reads the entry at the start of `directory` and drops it.
llvm::Expected<Entry> takeEntry(StringRef &directory) {
  if (directory.size() < kEntryBytes ||
      read32le(directory.data()) != kEntrySignature) {
    return damaged("the central directory is cut off or malformed");
  }
  const char *at = directory.data();
  Entry entry;
  entry.flags = read16le(at + 8);
  entry.method = read16le(at + 10);
  entry.checksum = read32le(at + 16);
  entry.packedBytes = read32le(at + 20);
  entry.bytes = read32le(at + 24);
  entry.localOffset = read32le(at + 42);
  size_t nameBytes = read16le(at + 28), extraBytes = read16le(at + 30),
         commentBytes = read16le(at + 32);
  directory = directory.drop_front(kEntryBytes);
  if (directory.size() < nameBytes + extraBytes + commentBytes) {
    return damaged("the central directory ends inside an entry");
  }
  entry.name = directory.take_front(nameBytes);
  if (!readExtraField(directory.substr(nameBytes, extraBytes), entry)) {
    return damaged("member '" + entry.name + "' has malformed 64-bit sizes");
  }
  directory = directory.drop_front(nameBytes + extraBytes + commentBytes);
  return entry;
}

llvm::Expected<std::string> inflateMember(const Entry &entry,
                                          StringRef packed) {
  if (entry.bytes / kMaxExpansion > packed.size() ||
      entry.bytes > std::numeric_limits<uInt>::max() ||
      packed.size() > std::numeric_limits<uInt>::max()) {
    return damaged("member '" + entry.name + "' has an impossible size");
  }
  std::string result(entry.bytes, '\0');
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return damaged("no memory to decompress member '" + entry.name + "'");
  }
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef *>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  int status = inflate(&stream, Z_FINISH);
  bool complete = status == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!complete) {
    return damaged("member '" + entry.name + "' does not decompress");
  }
  return result;
}

llvm::Expected<std::string> readMember(StringRef bytes, const Entry &entry) {
  if (entry.flags & 1) {
    return damaged("member '" + entry.name + "' is encrypted");
  }
  std::optional<StringRef> local = slice(bytes, entry.localOffset, kLocalBytes);
  if (!local || read32le(local->data()) != kLocalSignature) {
    return damaged("member '" + entry.name + "' has no local header");
  }
  uint64_t start = entry.localOffset + kLocalBytes +
                   read16le(local->data() + 26) + read16le(local->data() + 28);
  std::optional<StringRef> packed = slice(bytes, start, entry.packedBytes);
  if (!packed) {
    return damaged("member '" + entry.name + "' is cut off");
  }
  llvm::Expected<std::string> contents =
      entry.method == 8   ? inflateMember(entry, *packed)
      : entry.method == 0 ? llvm::Expected<std::string>(packed->str())
                          : damaged("member '" + entry.name +
                                    "' is compressed by a method other than "
                                    "stored and deflated");
  if (!contents) {
    return contents.takeError();
  }
  if (contents->size() != entry.bytes ||
      crc32_z(0, reinterpret_cast<const Bytef *>(contents->data()),
              contents->size()) != entry.checksum) {
    return damaged("member '" + entry.name + "' fails its checksum");
  }
  return contents;
}

} // namespace

llvm::Expected<std::vector<std::pair<std::string, std::string>>>
attn::parseNpz(StringRef bytes) {
  llvm::Expected<Directory> found = findDirectory(bytes);
  if (!found) {
    return found.takeError();
  }
  std::optional<StringRef> directory =
      slice(bytes, found->offset, found->bytes);
  if (!directory) {
    return damaged("the central directory lies outside of the file");
  }
  std::vector<std::pair<std::string, std::string>> members;
  llvm::StringSet<> names;
  for (uint64_t i = 0; i < found->entries; ++i) {
    llvm::Expected<Entry> entry = takeEntry(*directory);
    if (!entry) {
      return entry.takeError();
    }
    llvm::Expected<std::string> contents = readMember(bytes, *entry);
    if (!contents) {
      return contents.takeError();
    }
    StringRef name = entry->name;
    name.consume_back(".npy");
    if (!names.insert(name).second) {
      return damaged("member '" + name + "' occurs twice");
    }
    members.emplace_back(name.str(), std::move(*contents));
  }
  return members;
}

namespace {
void append(std::string &out, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) {
    out += static_cast<char>(value >> (8 * i));
  }
}

/// What local headers and directory entries have in common.
void appendCommon(std::string &out, StringRef name, StringRef contents) {
  auto checksum = crc32_z(0, reinterpret_cast<const Bytef *>(contents.data()),
                          contents.size());
  append(out, 20, 2);   // version needed
  append(out, 0, 2);    // flags
  append(out, 0, 2);    // stored
  append(out, 0, 2);    // time
  append(out, 0x21, 2); // date: the first of January 1980
  append(out, checksum, 4);
  append(out, contents.size(), 4);
  append(out, contents.size(), 4);
  append(out, name.size(), 2);
  append(out, 0, 2); // extra field
}
} // namespace

llvm::Expected<std::string> attn::formatNpz(ArrayRef<NamedArray> arrays) {
  std::string out, directory;
  for (const auto &[name, array] : arrays) {
    std::string member = name + ".npy";
    std::string contents = formatNpy(array);
    uint64_t offset = out.size();
    if (contents.size() + offset > std::numeric_limits<uint32_t>::max() ||
        member.size() > std::numeric_limits<uint16_t>::max()) {
      return llvm::createStringError(
          "a .npz file is limited to 4 GiB here: write .npy files instead");
    }
    append(out, kLocalSignature, 4);
    appendCommon(out, member, contents);
    out += member;
    out += contents;
    append(directory, kEntrySignature, 4);
    append(directory, 20, 2); // version made by
    appendCommon(directory, member, contents);
    append(directory, 0, 2); // comment
    append(directory, 0, 2); // disk
    append(directory, 0, 2); // internal attributes
    append(directory, 0, 4); // external attributes
    append(directory, offset, 4);
    directory += member;
  }
  uint64_t start = out.size();
  out += directory;
  append(out, kEndSignature, 4);
  append(out, 0, 4); // disks
  append(out, arrays.size(), 2);
  append(out, arrays.size(), 2);
  append(out, directory.size(), 4);
  append(out, start, 4);
  append(out, 0, 2); // comment
  return out;
}
