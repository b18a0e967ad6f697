//===- Module.cpp - loading compiled programs -----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The dynamic linker trusts what it maps: a truncated or damaged file, or one
// that is overwritten while it is in use, takes the process down. So a program
// is first copied into anonymous memory, where nobody else can change it, its
// seal is verified there, and the linker is given that copy.
//
//===----------------------------------------------------------------------===//

#include "Metadata.h"
#include "Status.h"
#include "gpu/Program.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace attn;

struct attn_module {
  Arena arena;
  Metadata metadata;
  void *library = nullptr;
  /// The copy that `library` is mapped from. It stays open, so that no other
  /// module can get its number, which is the linker's name for it.
  int file = -1;
};

namespace {

attn_status failSystem(const char *name, const char *doing, int error) {
  attn_status code = error == ENOENT   ? ATTN_NOT_FOUND
                     : error == ENOMEM ? ATTN_OUT_OF_MEMORY
                                       : ATTN_SYSTEM_ERROR;
  // The GNU form, which is safe to call from several threads.
  char buffer[128];
  return fail(code, "'%s' cannot be %s: %s", name, doing,
              strerror_r(error, buffer, sizeof(buffer)));
}

/// Creates the anonymous file for a program.
attn_status createCopy(attn_module &module, const char *name) {
  const char *slash = std::strrchr(name, '/');
  char label[64];
  std::snprintf(label, sizeof(label), "attn:%s", slash ? slash + 1 : name);
  module.file = memfd_create(label, MFD_CLOEXEC);
  return module.file >= 0 ? ATTN_OK
                          : failSystem(name, "copied into memory", errno);
}

attn_status writeAll(int file, const char *name, const void *data,
                     size_t size) {
  auto *bytes = static_cast<const char *>(data);
  while (size > 0) {
    ssize_t written = write(file, bytes, size);
    if (written < 0 && errno != EINTR) {
      return failSystem(name, "copied into memory", errno);
    }
    if (written > 0) {
      bytes += written;
      size -= static_cast<size_t>(written);
    }
  }
  return ATTN_OK;
}

attn_status copyFile(int from, attn_module &module, const char *path) {
  struct stat status = {};
  if (fstat(from, &status) != 0) {
    return failSystem(path, "read", errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ATTN_DAMAGED, "'%s' is no file", path);
  }
  if (attn_status status = createCopy(module, path)) {
    return status;
  }
  char buffer[16384];
  while (true) {
    ssize_t count = read(from, buffer, sizeof(buffer));
    if (count == 0) {
      return ATTN_OK;
    }
    if (count < 0 && errno != EINTR) {
      return failSystem(path, "read", errno);
    }
    if (count > 0) {
      if (attn_status status =
              writeAll(module.file, path, buffer, static_cast<size_t>(count))) {
        return status;
      }
    }
  }
}

uint64_t readWord(const unsigned char *bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = value << 8 | bytes[i];
  }
  return value;
}

/// The seal, and that the linker would take the file for one of this machine.
attn_status verifyImage(const unsigned char *image, size_t size,
                        const char *name) {
  if (size < sizeof(Elf64_Ehdr) + ATTN_MODULE_SEAL_BYTES ||
      std::memcmp(image, ELFMAG, SELFMAG) != 0) {
    return fail(ATTN_DAMAGED, "'%s' is no compiled program", name);
  }
  size_t sealed = size - ATTN_MODULE_SEAL_BYTES;
  const unsigned char *seal = image + sealed;
  if (std::memcmp(seal, ATTN_MODULE_SEAL_MAGIC, 8) != 0) {
    return fail(ATTN_DAMAGED,
                "'%s' is truncated, or no compiled program: it does not end "
                "with a seal",
                name);
  }
  if (readWord(seal + 8) != sealed ||
      readWord(seal + 16) != attn_module_checksum(image, sealed)) {
    return fail(ATTN_DAMAGED, "'%s' is damaged: its checksum does not match",
                name);
  }
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof(header));
#if defined(__x86_64__)
  constexpr int kMachine = EM_X86_64;
#else
  constexpr int kMachine = EM_AARCH64;
#endif
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_DYN ||
      header.e_machine != kMachine) {
    return fail(ATTN_UNSUPPORTED,
                "'%s' is compiled for another machine (ELF machine %u, this "
                "one is %d)",
                name, header.e_machine, kMachine);
  }
  return ATTN_OK;
}

attn_status verifyCopy(const attn_module &module, const char *name) {
  struct stat status = {};
  if (fstat(module.file, &status) != 0) {
    return failSystem(name, "read", errno);
  }
  auto size = static_cast<size_t>(status.st_size);
  if (size == 0) {
    return fail(ATTN_DAMAGED, "'%s' is empty", name);
  }
  void *image = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, module.file, 0);
  if (image == MAP_FAILED) {
    return failSystem(name, "mapped", errno);
  }
  attn_status result =
      verifyImage(static_cast<const unsigned char *>(image), size, name);
  munmap(image, size);
  return result;
}

/// All functions that have code, in the order of the record.
template <typename Body>
void forEachFunction(const Metadata &metadata, Body body) {
  for (attn_function &function : metadata.functions) {
    body(function);
  }
  for (const DeviceProgram &program : metadata.programs) {
    for (attn_function &function : program.functions) {
      body(function);
    }
  }
}

/// Compiled programs call this library by name, also where it was loaded for
/// the use of one other library alone.
void makeSymbolsGlobal() {
  Dl_info info = {};
  if (dladdr(reinterpret_cast<void *>(&attn_parallel_for), &info)) {
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
  }
}

attn_status link(attn_module &module, const char *name) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, makeSymbolsGlobal);
  char path[48];
  std::snprintf(path, sizeof(path), "/proc/self/fd/%d", module.file);
  module.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!module.library) {
    const char *reason = dlerror();
    return fail(ATTN_UNSUPPORTED, "'%s' cannot be linked: %s", name,
                reason ? reason : "for no reason given");
  }
  void *metadata = dlsym(module.library, ATTN_MODULE_METADATA_SYMBOL);
  void *size = dlsym(module.library, ATTN_MODULE_SIZE_SYMBOL);
  if (!metadata || !size) {
    return fail(ATTN_DAMAGED, "'%s' is no compiled program: it has no metadata",
                name);
  }
  uint64_t bytes = 0;
  std::memcpy(&bytes, size, sizeof(bytes));
  if (attn_status status =
          parseMetadata(metadata, bytes, module.arena, module.metadata)) {
    return status;
  }
  if (attn_status status = checkTarget(module.metadata)) {
    return status;
  }
  attn_status status = ATTN_OK;
  forEachFunction(module.metadata, [&](attn_function &function) {
    void *entry = dlsym(module.library, function.entryName);
    if (!entry && !status) {
      status = fail(ATTN_DAMAGED, "'%s' lacks the code of '%s' (symbol %s)",
                    name, function.name, function.entryName);
    }
    function.entry = reinterpret_cast<attn_packed_fn>(entry);
  });
  return status;
}

/// Hands the module over, or gives it back.
attn_status finish(attn_module *created, attn_status status,
                   attn_module **module) {
  if (status) {
    attn_module_release(created);
  } else {
    *module = created;
  }
  return status;
}

} // namespace

attn_status attn_module_load_file(const char *path, attn_module **module) {
  if (!path || !module) {
    return fail(ATTN_INVALID_ARGUMENT, "the %s is null",
                path ? "place for the module" : "path");
  }
  *module = nullptr;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return failSystem(path, "opened", errno);
  }
  attn_module *created = create<attn_module>();
  attn_status status = created ? copyFile(file, *created, path)
                               : failOutOfMemory(sizeof(attn_module));
  close(file);
  if (!status) {
    status = verifyCopy(*created, path);
  }
  if (!status) {
    status = link(*created, path);
  }
  return finish(created, status, module);
}

attn_status attn_module_load_memory(const void *data, size_t size,
                                    const char *name, attn_module **module) {
  if (!data || !name || !module) {
    return fail(ATTN_INVALID_ARGUMENT, "the %s is null",
                !data   ? "program"
                : !name ? "name of the program"
                        : "place for the module");
  }
  *module = nullptr;
  attn_module *created = create<attn_module>();
  attn_status status = created ? createCopy(*created, name)
                               : failOutOfMemory(sizeof(attn_module));
  if (!status) {
    status = writeAll(created->file, name, data, size);
  }
  if (!status) {
    status = verifyCopy(*created, name);
  }
  if (!status) {
    status = link(*created, name);
  }
  return finish(created, status, module);
}

attn_status attn_module_create(const void *metadata, size_t size,
                               const attn_entry_fn *entries, size_t num_entries,
                               attn_module **module) {
  if (!module) {
    return fail(ATTN_INVALID_ARGUMENT, "the place for the module is null");
  }
  *module = nullptr;
  attn_module *created = create<attn_module>();
  if (!created) {
    return failOutOfMemory(sizeof(attn_module));
  }
  attn_status status =
      parseMetadata(metadata, size, created->arena, created->metadata);
  if (!status) {
    status = checkTarget(created->metadata);
  }
  size_t count = 0, next = 0;
  if (!status) {
    forEachFunction(created->metadata, [&](attn_function &) { ++count; });
    if (num_entries != count || (num_entries && !entries)) {
      status = fail(ATTN_INVALID_ARGUMENT,
                    "the module has %zu functions, but %zu entries are given",
                    count, entries ? num_entries : 0);
    }
  }
  if (!status) {
    forEachFunction(created->metadata, [&](attn_function &function) {
      function.entry = entries[next++];
      if (!function.entry && !status) {
        status = fail(ATTN_INVALID_ARGUMENT, "the entry of '%s' is null",
                      function.name);
      }
    });
  }
  return finish(created, status, module);
}

void attn_module_release(attn_module *module) {
  if (!module) {
    return;
  }
  for (DeviceProgram &program : module->metadata.programs) {
    gpu::unload(program);
  }
  if (module->library) {
    dlclose(module->library);
  }
  if (module->file >= 0) {
    close(module->file);
  }
  destroy(module);
}

const char *attn_module_get_compiler(const attn_module *module) {
  return module->metadata.compiler;
}

const char *attn_module_get_target(const attn_module *module) {
  return module->metadata.target;
}

size_t attn_module_get_num_functions(const attn_module *module) {
  return module->metadata.getFunctions().count;
}

const attn_function *attn_module_get_function(const attn_module *module,
                                              size_t index) {
  const auto &functions = module->metadata.getFunctions();
  return index < functions.count ? &functions[index] : nullptr;
}

attn_status attn_module_find_function(const attn_module *module,
                                      const char *name,
                                      const attn_function **function) {
  if (!module || !name || !function) {
    return fail(ATTN_INVALID_ARGUMENT, "the %s is null",
                !module ? "module"
                : !name ? "name of the function"
                        : "place for the function");
  }
  *function = nullptr;
  for (const attn_function &candidate : module->metadata.getFunctions()) {
    if (std::strcmp(candidate.name, name) == 0) {
      *function = &candidate;
      return ATTN_OK;
    }
  }
  return fail(ATTN_NOT_FOUND, "the module has no function '%s'", name);
}
