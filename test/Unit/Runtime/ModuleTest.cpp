//===- ModuleTest.cpp - loading files, and what is in them ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

using namespace attn::test;

namespace {

attn_status loadBytes(const Bytes &image) {
  attn_module *module = nullptr;
  attn_status status =
      attn_module_load_memory(image.data(), image.size(), "p.so", &module);
  EXPECT_EQ(status == ATTN_OK, module != nullptr);
  attn_module_release(module);
  return status;
}

class ModuleFile : public testing::Test {
protected:
  ModuleFile()
      : path(testing::TempDir() + "attn-module-test-" +
             std::to_string(getpid()) + ".so") {}
  ~ModuleFile() override { std::remove(path.c_str()); }

  void write(const Bytes &image) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char *>(image.data()),
               static_cast<std::streamsize>(image.size()));
  }
  attn_status loadFile() {
    attn_module *loaded = nullptr;
    attn_status status = attn_module_load_file(path.c_str(), &loaded);
    module.reset(loaded);
    return status;
  }
  std::string quote(const std::string &text) { return "'" + path + "'" + text; }

  std::string path;
  Module module;
};

TEST_F(ModuleFile, Loads) {
  ModuleSpec spec = getKernels();
  write(makeImage(writeMetadata(spec)));
  ASSERT_OK(loadFile());
  EXPECT_STREQ(attn_module_get_compiler(module.get()), "hand");
  EXPECT_STREQ(attn_module_get_target(module.get()), spec.target.c_str());
  ASSERT_EQ(attn_module_get_num_functions(module.get()), 8u);
  EXPECT_STREQ(
      attn_function_get_name(attn_module_get_function(module.get(), 1)),
      "gather");
  EXPECT_EQ(attn_module_get_function(module.get(), 8), nullptr);
}

TEST_F(ModuleFile, MayBeOverwrittenWhileLoaded) {
  write(makeImage(writeMetadata(getKernels())));
  ASSERT_OK(loadFile());
  {
    std::ofstream file(path, std::ios::trunc);
  }
  auto number = makeScalar(int64_t(0));
  auto x = makeMatrix(3, 4);
  ASSERT_OK(call(find(module, "count"), {x.get()}, {number.get()}));
  EXPECT_EQ(*number->get<int64_t>(), 12);
}

/// Two programs, one path: each is itself.
TEST_F(ModuleFile, IsReadAnewEachTime) {
  ModuleSpec spec = getKernels();
  write(makeImage(writeMetadata(spec)));
  ASSERT_OK(loadFile());
  Module first = std::move(module);
  spec.compiler = "another";
  write(makeImage(writeMetadata(spec)));
  ASSERT_OK(loadFile());
  EXPECT_STREQ(attn_module_get_compiler(first.get()), "hand");
  EXPECT_STREQ(attn_module_get_compiler(module.get()), "another");
  first.reset();
  spec.compiler = "third";
  write(makeImage(writeMetadata(spec)));
  Module second = std::move(module);
  ASSERT_OK(loadFile());
  EXPECT_STREQ(attn_module_get_compiler(second.get()), "another");
  EXPECT_STREQ(attn_module_get_compiler(module.get()), "third");
}

TEST_F(ModuleFile, SaysWhatIsWrongWithFiles) {
  EXPECT_FAILS(ATTN_NOT_FOUND,
               quote(" cannot be opened: No such file or directory").c_str(),
               loadFile());
  write({});
  EXPECT_FAILS(ATTN_DAMAGED, quote(" is empty").c_str(), loadFile());
  write(Bytes(1000, 'x'));
  EXPECT_FAILS(ATTN_DAMAGED, quote(" is no compiled program").c_str(),
               loadFile());
  path = testing::TempDir();
  EXPECT_FAILS(ATTN_DAMAGED, quote(" is no file").c_str(), loadFile());
  attn_module *loaded = nullptr;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the path is null",
               attn_module_load_file(nullptr, &loaded));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the place for the module is null",
               attn_module_load_file("x", nullptr));
}

/// Without file descriptors, and a file that cannot be read.
TEST_F(ModuleFile, SaysWhatTheSystemRefused) {
  Bytes image = makeImage(writeMetadata(getKernels()));
  write(image);
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = {0, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  attn_status fromFile = loadFile();
  std::string message = attn_get_message();
  attn_status fromMemory = loadBytes(image);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(fromFile, ATTN_SYSTEM_ERROR);
  EXPECT_EQ(message, quote(" cannot be opened: Too many open files"));
  EXPECT_EQ(fromMemory, ATTN_SYSTEM_ERROR);
  EXPECT_STREQ(attn_get_message(), "'p.so' cannot be copied into memory: Too "
                                   "many open files");
  attn_module *loaded = nullptr;
  EXPECT_FAILS(ATTN_SYSTEM_ERROR,
               "'/proc/self/mem' cannot be read: Input/output error",
               attn_module_load_file("/proc/self/mem", &loaded));
}

TEST(ModuleMemory, SaysWhatIsWrong) {
  Bytes image = makeImage(writeMetadata(getKernels()));
  EXPECT_EQ(loadBytes(image), ATTN_OK) << attn_get_message();
  attn_module *module = nullptr;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the program is null",
               attn_module_load_memory(nullptr, 0, "x", &module));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the name of the program is null",
               attn_module_load_memory("", 0, nullptr, &module));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the place for the module is null",
               attn_module_load_memory("", 0, "x", nullptr));

  Bytes changed(image.begin(), image.end() - ATTN_MODULE_SEAL_BYTES);
  EXPECT_FAILS(ATTN_DAMAGED,
               "'p.so' is truncated, or no compiled program: it does not end "
               "with a seal",
               loadBytes(changed));
  changed = image;
  changed[4000] ^= 1;
  EXPECT_FAILS(ATTN_DAMAGED, "'p.so' is damaged: its checksum does not match",
               loadBytes(changed));
  changed = image;
  changed[offsetof(Elf64_Ehdr, e_machine)] = EM_RISCV;
  sealImage(changed);
  EXPECT_EQ(loadBytes(changed), ATTN_UNSUPPORTED);
  EXPECT_EQ(std::string(attn_get_message())
                .rfind("'p.so' is compiled for another machine (ELF machine "
                       "243, this one is ",
                       0),
            0u);
}

TEST(ModuleMemory, EveryDamageIsFound) {
  Bytes image = makeImage(writeMetadata(getKernels()));
  // Headers and seal byte by byte, the rest in steps.
  size_t tail = image.size() - 100;
  for (size_t i = 0; i < image.size(); i += i < 500 || i >= tail ? 1 : 23) {
    image[i] ^= 0x10;
    EXPECT_NE(loadBytes(image), ATTN_OK) << "byte " << i;
    image[i] ^= 0x10;
  }
  for (size_t size = 0; size < image.size(); size += 97) {
    EXPECT_NE(loadBytes(Bytes(image.begin(), image.begin() + size)), ATTN_OK);
  }
  EXPECT_EQ(loadBytes(image), ATTN_OK) << attn_get_message();
}

/// Sealed, and yet not what it should be.
TEST(ModuleMemory, SymbolsAreChecked) {
  ModuleSpec spec = getKernels();
  find(spec, "gather").entry = "attn_packed_missing";
  EXPECT_FAILS(ATTN_DAMAGED,
               "'p.so' lacks the code of 'gather' (symbol "
               "attn_packed_missing)",
               loadBytes(makeImage(writeMetadata(spec))));

  Bytes image = makeImage(writeMetadata(getKernels()));
  auto rename = [](Bytes changed, const std::string &from) {
    auto at =
        std::search(changed.begin(), changed.end(), from.begin(), from.end());
    EXPECT_NE(at, changed.end());
    *at = 'X';
    sealImage(changed);
    return changed;
  };
  EXPECT_EQ(loadBytes(rename(image, "attn_malloc")), ATTN_UNSUPPORTED);
  EXPECT_NE(std::strstr(attn_get_message(), "'p.so' cannot be linked: "),
            nullptr);
  EXPECT_NE(std::strstr(attn_get_message(), "undefined symbol: Xttn_malloc"),
            nullptr);
  EXPECT_FAILS(ATTN_DAMAGED,
               "'p.so' is no compiled program: it has no metadata",
               loadBytes(rename(image, "attn_module_metadata")));
}

TEST(ModuleInProcess, TakesEntries) {
  Bytes metadata = writeMetadata(getKernels());
  std::vector<attn_entry_fn> entries(8, [](void **) {});
  attn_module *module = nullptr;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "the module has 8 functions, but 7 entries are given",
               attn_module_create(metadata.data(), metadata.size(),
                                  entries.data(), 7, &module));
  entries[2] = nullptr;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the entry of 'append' is null",
               attn_module_create(metadata.data(), metadata.size(),
                                  entries.data(), 8, &module));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the place for the module is null",
               attn_module_create(metadata.data(), metadata.size(),
                                  entries.data(), 8, nullptr));
  attn_module_release(nullptr);
}

TEST(ModuleFunctions, AreDescribed) {
  Module module = load(getKernels());
  const attn_function *function = nullptr;
  EXPECT_FAILS(ATTN_NOT_FOUND, "the module has no function 'nine'",
               attn_module_find_function(module.get(), "nine", &function));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the module is null",
               attn_module_find_function(nullptr, "nine", &function));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the name of the function is null",
               attn_module_find_function(module.get(), nullptr, &function));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the place for the function is null",
               attn_module_find_function(module.get(), "nine", nullptr));

  function = find(module, "append");
  ASSERT_EQ(attn_function_get_num_arguments(function), 3u);
  ASSERT_EQ(attn_function_get_num_results(function), 1u);
  attn_parameter parameter;
  ASSERT_OK(attn_function_get_argument(function, 0, &parameter));
  EXPECT_STREQ(parameter.name, "cache");
  EXPECT_EQ(parameter.rank, 2);
  EXPECT_EQ(parameter.shape[0], -1);
  EXPECT_STREQ(parameter.dims[0], "N");
  EXPECT_TRUE(parameter.is_writable);
  EXPECT_EQ(parameter.alias, -1);
  ASSERT_OK(attn_function_get_argument(function, 1, &parameter));
  EXPECT_EQ(parameter.shape[0], 1);
  EXPECT_STREQ(parameter.dims[0], "1");
  EXPECT_FALSE(parameter.is_writable);
  ASSERT_OK(attn_function_get_argument(function, 2, &parameter));
  EXPECT_TRUE(parameter.is_scalar);
  EXPECT_EQ(parameter.type.code, kDLInt);
  EXPECT_EQ(parameter.type.bits, 64);
  ASSERT_OK(attn_function_get_result(function, 0, &parameter));
  EXPECT_STREQ(parameter.name, "after");
  EXPECT_EQ(parameter.alias, 0);
  EXPECT_FAILS(ATTN_NOT_FOUND, "'append' has no argument 3",
               attn_function_get_argument(function, 3, &parameter));
  EXPECT_FAILS(ATTN_NOT_FOUND, "'append' has no result 1",
               attn_function_get_result(function, 1, &parameter));
  ASSERT_OK(attn_function_get_result(find(module, "split"), 1, &parameter));
  EXPECT_EQ(parameter.shape[0], -1);
  EXPECT_STREQ(parameter.dims[0], "?");
}

TEST(Library, HasAVersion) { EXPECT_STREQ(attn_get_version(), "0.1.0"); }

} // namespace
