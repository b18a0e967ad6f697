//===- BuildId.cpp - which build of the compiler this is ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Linkers write a hash of what they link into a note, which is found in memory.
// Where a file has none, its size and time of change stand in.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Cache.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm-c/Target.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FileSystem.h"
#include <cstring>
#include <elf.h>
#include <link.h>

using namespace mlir;
using namespace mlir::attn;

namespace {

/// The file that holds an address, and its id.
struct Search {
  uintptr_t address;
  std::string id;
};

std::string findNote(const char *at, const char *end) {
  while (end - at >= static_cast<ptrdiff_t>(sizeof(ElfW(Nhdr)))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof(note));
    const char *name = at + sizeof(note);
    const char *value = name + llvm::alignTo(note.n_namesz, 4);
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(name, "GNU", 4) == 0) {
      return llvm::toHex(StringRef(value, note.n_descsz), /*LowerCase=*/true);
    }
    at = value + llvm::alignTo(note.n_descsz, 4);
  }
  return "";
}

std::string describeFile(const char *path) {
  llvm::sys::fs::file_status status;
  StringRef name = *path ? path : "/proc/self/exe";
  if (llvm::sys::fs::status(name, status)) {
    return name.str();
  }
  return (name + ":" + llvm::Twine(status.getSize()) + ":" +
          llvm::Twine(
              status.getLastModificationTime().time_since_epoch().count()))
      .str();
}

int visitFile(dl_phdr_info *info, size_t, void *data) {
  auto &search = *static_cast<Search *>(data);
  bool holdsAddress = false;
  std::string id;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = info->dlpi_phdr[i];
    uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD) {
      holdsAddress |=
          search.address - begin < static_cast<uintptr_t>(segment.p_memsz);
    } else if (segment.p_type == PT_NOTE && id.empty()) {
      const char *notes = reinterpret_cast<const char *>(begin);
      id = findNote(notes, notes + segment.p_memsz);
    }
  }
  if (!holdsAddress) {
    return 0;
  }
  search.id = id.empty() ? describeFile(info->dlpi_name) : id;
  return 1;
}

std::string findId(uintptr_t address) {
  Search search{address, ""};
  ::dl_iterate_phdr(visitFile, &search);
  return search.id;
}

} // namespace

StringRef attn::getCompilerBuildId() {
  static const std::string id = [] {
    std::string ids = LLVM_VERSION_STRING;
    for (uintptr_t address :
         {reinterpret_cast<uintptr_t>(&findNote),
          reinterpret_cast<uintptr_t>(&translateModuleToLLVMIR),
          reinterpret_cast<uintptr_t>(&LLVMInitializeX86Target)}) {
      ids += " " + findId(address);
    }
    return ids;
  }();
  return id;
}
