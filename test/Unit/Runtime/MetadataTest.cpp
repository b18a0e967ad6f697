//===- MetadataTest.cpp - damaged and foreign programs --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

using namespace attn::test;

namespace {

void entry(void **) {}

/// Loads a record for functions that nobody calls.
attn_status create(const Bytes &metadata, size_t numEntries) {
  std::vector<attn_entry_fn> entries(numEntries, entry);
  attn_module *module = nullptr;
  attn_status status = attn_module_create(metadata.data(), metadata.size(),
                                          entries.data(), numEntries, &module);
  EXPECT_EQ(status == ATTN_OK, module != nullptr);
  attn_module_release(module);
  return status;
}

attn_status create(const ModuleSpec &spec) {
  size_t numEntries = spec.functions.size();
  for (const ProgramSpec &program : spec.programs) {
    numEntries += program.functions.size();
  }
  return create(writeMetadata(spec), numEntries);
}

ModuleSpec oneFunction() {
  ModuleSpec all = getKernels(), spec;
  spec.functions = {find(all, "scale")};
  return spec;
}

TEST(Metadata, EveryFlippedBitIsFound) {
  Bytes metadata = writeMetadata(getKernels());
  for (size_t i = 0; i < metadata.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      metadata[i] ^= 1 << bit;
      EXPECT_NE(create(metadata, 8), ATTN_OK) << "byte " << i;
      metadata[i] ^= 1 << bit;
    }
  }
  EXPECT_EQ(create(metadata, 8), ATTN_OK);
}

TEST(Metadata, EveryTruncationIsFound) {
  Bytes metadata = writeMetadata(getKernels());
  while (!metadata.empty()) {
    metadata.pop_back();
    // A copy of the exact size: sanitizers see what is read beyond it.
    EXPECT_EQ(create(Bytes(metadata), 8), ATTN_DAMAGED);
    if (metadata.size() >= ATTN_MODULE_HEADER_BYTES) {
      Bytes resealed(metadata);
      sealMetadata(resealed);
      EXPECT_EQ(create(resealed, 8), ATTN_DAMAGED) << metadata.size();
    }
  }
}

/// With a checksum that matches, a wrong byte may mean something; nothing must
/// go wrong all the same, also when the function is then described and bound.
void damage(const ModuleSpec &spec, size_t numEntries) {
  Bytes good = writeMetadata(spec);
  auto x = makeMatrix(2, 4);
  int64_t shape[ATTN_MAX_RANK];
  size_t accepted = 0;
  for (size_t i = ATTN_MODULE_HEADER_BYTES; i < good.size(); ++i) {
    for (unsigned char value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      Bytes metadata = good;
      metadata[i] = value;
      sealMetadata(metadata);
      std::vector<attn_entry_fn> entries(numEntries, entry);
      attn_module *module = nullptr;
      attn_module_create(metadata.data(), metadata.size(), entries.data(),
                         numEntries, &module);
      size_t count = module ? attn_module_get_num_functions(module) : 0;
      for (size_t k = 0; k < count; ++k) {
        ++accepted;
        const attn_function *function = attn_module_get_function(module, k);
        Tensors arguments(attn_function_get_num_arguments(function), x.get());
        attn_function_get_result_shape(function, arguments.data(),
                                       arguments.size(), 0, shape);
        size_t bytes = 0;
        attn_function_get_workspace(function, arguments.data(),
                                    arguments.size(), &bytes);
      }
      attn_module_release(module);
    }
  }
  EXPECT_GT(accepted, 0u);
}

TEST(Metadata, ResealedDamageDoesNoHarm) {
  damage(getKernels(), 8);
  damage(getDeviceKernels(), 6);
}

TEST(Metadata, SaysWhatItIsNot) {
  EXPECT_FAILS(ATTN_DAMAGED, "this is no metadata of a compiled program",
               create(Bytes(100, 'x'), 0));
  EXPECT_FAILS(ATTN_DAMAGED, "this is no metadata of a compiled program",
               attn_module_create(nullptr, 100, nullptr, 0,
                                  std::make_unique<attn_module *>().get()));
  Bytes metadata = writeMetadata(getKernels());
  Bytes changed = metadata;
  changed[16] = 9;
  sealMetadata(changed);
  EXPECT_FAILS(ATTN_VERSION_MISMATCH,
               "the program is for version 9 of the runtime's interface, this "
               "runtime has version 4: compile it again",
               create(changed, 8));
  changed = metadata;
  changed.push_back(0);
  EXPECT_EQ(create(changed, 8), ATTN_DAMAGED);
  EXPECT_STREQ(attn_get_message(),
               ("the metadata of the program is damaged: it has " +
                std::to_string(changed.size()) + " bytes and says " +
                std::to_string(metadata.size()))
                   .c_str());
  changed = metadata;
  changed[40] ^= 1;
  EXPECT_FAILS(ATTN_DAMAGED,
               "the metadata of the program is damaged: its checksum does not "
               "match",
               create(changed, 8));
}

/// A record that is sealed, and breaks a rule of the format.
void expectRejected(const ModuleSpec &spec, const std::string &why) {
  EXPECT_EQ(create(spec), ATTN_DAMAGED);
  EXPECT_EQ(std::string(attn_get_message()),
            "the metadata of the program is damaged: " + why);
}

TEST(Metadata, StructureIsChecked) {
  ModuleSpec spec = oneFunction();
  spec.functions.push_back(spec.functions[0]);
  expectRejected(spec, "two functions have one name");

  spec = oneFunction();
  spec.compiler = std::string("a\0b", 3);
  expectRejected(spec, "a name has a zero byte in it");

  Bytes metadata = writeMetadata(oneFunction());
  metadata.push_back(0);
  sealMetadata(metadata);
  EXPECT_FAILS(ATTN_DAMAGED,
               "the metadata of the program is damaged: something follows its "
               "end",
               create(metadata, 1));
  metadata.resize(metadata.size() - 2);
  sealMetadata(metadata);
  EXPECT_FAILS(ATTN_DAMAGED,
               "the metadata of the program is damaged: it ends too early",
               create(metadata, 1));
  metadata = writeMetadata(oneFunction());
  metadata[ATTN_MODULE_HEADER_BYTES + 3] = 0xff;
  sealMetadata(metadata);
  EXPECT_FAILS(ATTN_DAMAGED,
               "the metadata of the program is damaged: a name reaches beyond "
               "its end",
               create(metadata, 1));
  metadata = writeMetadata(ModuleSpec());
  metadata[metadata.size() - 1] = 0xff;
  sealMetadata(metadata);
  EXPECT_FAILS(ATTN_DAMAGED,
               "the metadata of the program is damaged: a list reaches beyond "
               "its end",
               create(metadata, 0));
}

TEST(Metadata, DeviceProgramsAreChecked) {
  ModuleSpec spec = getDeviceKernels();
  ProgramSpec &program = spec.programs[0];
  const ProgramSpec good = program;
  EXPECT_EQ(create(spec), ATTN_OK);
  program.images[0].kind = 3;
  expectRejected(spec, "an image of kernels is of an unknown kind");
  program = good;
  program.kernels[1].sharedBytes = 0x80000000;
  expectRejected(spec, "a kernel takes too much shared memory");
  program = good;
  program.device = kDLCPU;
  expectRejected(spec, "the host has kernels");
  program = good;
  spec.programs = {good};
  spec.programs[0].functions.pop_back();
  expectRejected(spec, "devices differ in their functions");
  spec.programs = {good};
  spec.programs[0].functions[1].arguments[0].flags = 0;
  expectRejected(spec, "devices differ in a function");
  // The last thing before the functions.
  spec.programs = {good};
  spec.programs[0].functions.clear();
  Bytes metadata = writeMetadata(spec);
  size_t lengthAt = metadata.size() - 4 - good.images[0].text.size() - 4;
  metadata[lengthAt + 3] = 1;
  sealMetadata(metadata);
  EXPECT_FAILS(ATTN_DAMAGED,
               "the metadata of the program is damaged: an image of kernels "
               "reaches beyond its end",
               create(metadata, 2));
}

TEST(Metadata, ParametersAreChecked) {
  ModuleSpec spec = oneFunction();
  FunctionSpec &function = spec.functions[0];
  const FunctionSpec good = function;
  ParameterSpec &x = function.arguments[0];

  function.arguments[1].name = "x";
  expectRejected(spec, "two parameters have one name");
  function = good;
  for (DLDataType type :
       {DLDataType{kDLFloat, 8, 1}, DLDataType{kDLInt, 4, 1},
        DLDataType{kDLBfloat, 32, 1}, DLDataType{kDLComplex, 64, 1}}) {
    x.type = type;
    expectRejected(spec, "an element type is unknown");
  }
  function = good;
  x.flags = 8;
  expectRejected(spec, "a parameter has an unknown flag or mode");
  function = good;
  x.mode = ATTN_RESULT_PASSED;
  expectRejected(spec, "a parameter has an unknown flag or mode");
  function = good;
  function.results[0].mode = 3;
  expectRejected(spec, "a parameter has an unknown flag or mode");
  function.results[0].mode = ATTN_RESULT_ALIAS;
  expectRejected(spec, "a result is an argument that is not written");
  function = good;
  x.alignment = 24;
  expectRejected(spec, "an alignment is no power of two");
  function = good;
  x.extents = std::vector<Expr>(ATTN_MAX_RANK + 1, constant(1));
  expectRejected(spec, "a parameter has too many axes");
  function = good;
  x.extents[1] = constant(-4);
  expectRejected(spec, "an extent is negative");
  x.extents[1] = symbol(1);
  expectRejected(spec, "an extent is an unknown symbol");
  x.extents[1] = binary(ATTN_OP_ADD, symbol(0), constant(1));
  expectRejected(spec, "an extent of an argument is an expression");
  x.extents[1] = {{ATTN_OP_ADD}};
  expectRejected(spec, "an expression has not one value");
  x.extents[1] = {};
  expectRejected(spec, "an expression has not one value");
  function = good;
  function.results[0].extents[0] = Expr(ATTN_MAX_STACK + 1, Op{});
  expectRejected(spec, "an expression has not one value");
  function.results[0].extents[0] = symbol(7);
  expectRejected(spec, "an extent is an unknown symbol");
  function.results[0].extents[0] = binary(ATTN_OP_ADD, symbol(7), symbol(0));
  expectRejected(spec, "an expression names an unknown symbol");
  function.results[0].extents[0] = argument(1); // which is no integer
  expectRejected(spec, "an expression names an unknown symbol");
  function.results[0].extents[0] = argument(2);
  expectRejected(spec, "an expression names an unknown symbol");
  function = good;
  function.symbols.push_back("M"); // of no argument
  expectRejected(spec, "an expression names an unknown symbol");
  function.symbols = std::vector<std::string>(ATTN_MAX_SYMBOLS + 1);
  expectRejected(spec, "a function has too many symbols");
  function = good;
  function.arguments = std::vector<ParameterSpec>(ATTN_MAX_PARAMETERS + 1, x);
  expectRejected(spec, "a function has too many parameters");
}

TEST(Metadata, RelationsAndRulesAreChecked) {
  ModuleSpec spec = oneFunction();
  FunctionSpec &function = spec.functions[0];
  function.relations = {{2, 0, constant(1), constant(1), ""}};
  expectRejected(spec, "a relation is of an unknown kind");
  function.relations = {{0, 2, constant(1), constant(1), ""}};
  expectRejected(spec, "a relation is of an unknown kind");
  function.relations = {{0, 0, symbol(1), constant(1), ""}};
  expectRejected(spec, "an expression names an unknown symbol");
  function.relations.clear();
  function.rules = {{0, 0, 0, constant(1), constant(1)}};
  expectRejected(spec, "a rule is about numbers that are not integers");
  function.arguments[0].type = kI32;
  function.rules = {{0, 6, 0, constant(1), constant(1)}};
  expectRejected(spec, "a rule is of an unknown kind");
  function.rules = {{0, 0, 2, constant(1), constant(1)}};
  expectRejected(spec, "a rule is of an unknown kind");
  function.rules = {{0, 0, 0, constant(1), symbol(1)}};
  expectRejected(spec, "an expression names an unknown symbol");
}

TEST(Target, IsChecked) {
  ModuleSpec spec = oneFunction();
  spec.target = "riscv64-unknown-linux";
  EXPECT_EQ(create(spec), ATTN_UNSUPPORTED);
  EXPECT_EQ(std::string(attn_get_message())
                .rfind("the program is for target 'riscv64-unknown-linux', "
                       "this machine is ",
                       0),
            0u);
  spec = oneFunction();
  spec.features = {"flux-capacitor"};
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "the program needs the CPU feature 'flux-capacitor', which this "
               "runtime does not know",
               create(spec));
  spec = oneFunction();
  spec.functions[0].arguments[0].device = kDLCUDA;
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "'x' of 'scale' is for devices of type 2, the code of the "
               "function is for type 1",
               create(spec));
  spec = getDeviceKernels();
  spec.programs[0].functions[0].arguments[1].device = kDLCUDA;
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "'alpha' of 'scale' is a scalar for devices of type 2, the "
               "runtime reads scalars on the host",
               create(spec));
}

#if defined(__x86_64__)
TEST(Target, FeaturesAreThoseOfTheMachine) {
  ModuleSpec spec = oneFunction();
  // As the compiler sees the machine that it runs on.
  __builtin_cpu_init();
  struct {
    const char *name;
    bool here;
  } features[] = {
      {"sse4.2", __builtin_cpu_supports("sse4.2") != 0},
      {"avx", __builtin_cpu_supports("avx") != 0},
      {"fma", __builtin_cpu_supports("fma") != 0},
      {"avx2", __builtin_cpu_supports("avx2") != 0},
      {"fma4", __builtin_cpu_supports("fma4") != 0},
      {"avx512f", __builtin_cpu_supports("avx512f") != 0},
      {"avx512bw", __builtin_cpu_supports("avx512bw") != 0},
      {"avx512bf16", __builtin_cpu_supports("avx512bf16") != 0},
      {"avx512vp2intersect", __builtin_cpu_supports("avx512vp2intersect") != 0},
  };
  for (auto [name, here] : features) {
    spec.features = {"popcnt", name};
    EXPECT_EQ(create(spec), here ? ATTN_OK : ATTN_UNSUPPORTED) << name;
    if (!here) {
      EXPECT_EQ(std::string(attn_get_message()),
                std::string("the program needs the CPU feature '") + name +
                    "', which this machine lacks: compile it for this machine");
    }
  }
}
#endif

} // namespace
