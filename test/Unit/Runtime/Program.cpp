//===- Program.cpp - programs for the tests of the runtime ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

using namespace attn::test;

// How sanitizers are to run: requests that cannot be met return null, and a
// child may start threads.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1:die_after_fork=0";
}
// OpenMP keeps what it has for threads that called it.
extern "C" const char *__lsan_default_suppressions() { return "leak:libomp"; }

Expr attn::test::binary(attn_op op, Expr left, const Expr &right) {
  left.insert(left.end(), right.begin(), right.end());
  left.push_back({op});
  return left;
}

ModuleSpec attn::test::getKernels() {
  ModuleSpec spec;
  Expr n = symbol(0), d = symbol(1), four = constant(4);
  ParameterSpec x = {"x", kF32, {n, four}};
  ParameterSpec alpha = {"alpha", kF32, {}, ATTN_PARAMETER_SCALAR};
  Expr bytes = binary(ATTN_OP_MUL, constant(64), n);
  spec.functions.push_back(
      {"scale", {"N"}, {x, alpha}, {{"y", kF32, {n, four}}}, {}, {}, bytes});

  ParameterSpec pool = {"pool", kF32, {symbol(0), d}};
  pool.flags = ATTN_PARAMETER_UNIT_STRIDE;
  ParameterSpec table = {"table", kI32, {symbol(2)}};
  ParameterSpec gathered = {"o", kF32, {symbol(2), d}};
  gathered.mode = ATTN_RESULT_PASSED;
  Expr lastPage = binary(ATTN_OP_SUB, symbol(0), constant(1));
  spec.functions.push_back(
      {"gather",
       {"pages", "D", "B"},
       {pool, table},
       {gathered},
       {},
       {{1, ATTN_RULE_PAGE_TABLE, 0, constant(-1), lastPage}},
       {}});

  ParameterSpec cache = {"cache", kF32, {n, d}, ATTN_PARAMETER_WRITABLE};
  ParameterSpec row = {"row", kF32, {constant(1), d}};
  ParameterSpec place = {"place", kI64, {}, ATTN_PARAMETER_SCALAR};
  ParameterSpec after = {"after", kF32, {n, d}};
  after.mode = ATTN_RESULT_ALIAS;
  Expr lastRow = binary(ATTN_OP_SUB, n, constant(1));
  spec.functions.push_back({"append",
                            {"N", "D"},
                            {cache, row, place},
                            {after},
                            {},
                            {{2, ATTN_RULE_INDEX, 0, constant(0), lastRow}},
                            {}});

  ParameterSpec number = {"number", kI64, {}, ATTN_PARAMETER_SCALAR};
  spec.functions.push_back({"count", {"N"}, {x}, {number}, {}, {}, {}});

  ParameterSpec sum = {"sum", kF32, {}, ATTN_PARAMETER_SCALAR};
  ParameterSpec rows = {"rows", kF32, {{}, four}};
  ParameterSpec one = {"one", kI8, {}, ATTN_PARAMETER_SCALAR};
  spec.functions.push_back({"split", {"N"}, {x}, {sum, rows, one}, {}, {}, {}});

  ParameterSpec wanted = {"bytes", kI64, {}, ATTN_PARAMETER_SCALAR};
  ParameterSpec where = {"where", kI64, {}, ATTN_PARAMETER_SCALAR};
  spec.functions.push_back(
      {"greedy", {"N"}, {x, wanted, where}, {}, {}, {}, {}});
  spec.functions.back().unbounded = "it takes what it is told to";

  std::vector<Expr> shape = {symbol(0), symbol(1), symbol(2), constant(64)};
  ParameterSpec o = {"o", kF32, shape};
  o.mode = ATTN_RESULT_PASSED;
  spec.functions.push_back(
      {"nothing",
       {"B", "H", "L"},
       {{"q", kF32, shape}, {"k", kF32, shape}, {"v", kF32, shape}},
       {o},
       {},
       {},
       {}});

  spec.functions.push_back({"imports", {}, {}, {sum}, {}, {}, {}});
  return spec;
}

/// What there is for a type of device, in the place of what is for the host.
/// The code for all devices is the same.
static ProgramSpec makeProgram(DLDeviceType type,
                               std::vector<FunctionSpec> functions) {
  for (FunctionSpec &function : functions) {
    function.entry = "attn_cuda_packed_" + function.name;
    for (auto *list : {&function.arguments, &function.results}) {
      for (ParameterSpec &parameter : *list) {
        bool isScalar = parameter.flags & ATTN_PARAMETER_SCALAR;
        parameter.device = isScalar ? kDLCPU : type;
      }
    }
  }
  // Two pieces of 16 N bytes, in lines.
  Expr lines =
      binary(ATTN_OP_CEILDIV, binary(ATTN_OP_MUL, constant(16), symbol(0)),
             constant(64));
  functions[0].workspace =
      binary(ATTN_OP_MUL, constant(128),
             binary(ATTN_OP_ADD, std::move(lines), constant(1)));
  return {static_cast<unsigned>(type),
          {{"copy_rows"}, {"scale_rows", 65536}, {"gather_rows"}},
          {},
          std::move(functions)};
}

ModuleSpec attn::test::getDeviceKernels() {
  const std::string kernels = ": copy_rows scale_rows gather_rows";
  ModuleSpec spec = getKernels();
  std::vector<FunctionSpec> both = {find(spec, "scale"), find(spec, "gather")};
  spec.programs = {makeProgram(kDLCUDA, both), makeProgram(kDLROCM, both)};
  spec.functions = std::move(both);
  spec.programs[0].images = {{ATTN_IMAGE_PTX, 80, "PTX 80" + kernels}};
  spec.programs[1].images = {{ATTN_IMAGE_HSACO, 0x942, "gfx942" + kernels},
                             {ATTN_IMAGE_HSACO, 0x90a, "gfx90a" + kernels}};
  return spec;
}

FunctionSpec &attn::test::find(ModuleSpec &spec, const std::string &name) {
  for (FunctionSpec &function : spec.functions) {
    if (function.name == name) {
      return function;
    }
  }
  ADD_FAILURE() << name;
  return spec.functions.front();
}

namespace {

/// Appends as attn_module.h says.
class Writer {
public:
  template <typename T> void number(T value) {
    auto bits = static_cast<uint64_t>(value);
    for (size_t i = 0; i < sizeof(T); ++i) {
      bytes.push_back(static_cast<unsigned char>(bits >> (8 * i)));
    }
  }
  void text(const std::string &value) {
    number(static_cast<uint32_t>(value.size()));
    bytes.insert(bytes.end(), value.begin(), value.end());
  }
  template <typename T> void list(const std::vector<T> &values) {
    number(static_cast<uint32_t>(values.size()));
    for (const T &value : values) {
      write(value);
    }
  }
  void write(const std::string &value) { text(value); }
  void write(const Op &value) {
    number(static_cast<uint8_t>(value.op));
    if (value.op <= ATTN_OP_ARGUMENT || value.op == ATTN_OP_STRIDE) {
      number(value.operand);
    }
  }
  void write(const Expr &value) { list(value); }
  void write(const ParameterSpec &value) {
    text(value.name);
    number(value.type.code);
    number(value.type.bits);
    number(static_cast<uint8_t>(value.flags));
    number(static_cast<uint8_t>(value.mode));
    number(static_cast<uint32_t>(value.alias));
    number(static_cast<uint32_t>(value.device));
    number(static_cast<uint32_t>(value.alignment));
    list(value.extents);
  }
  void write(const RelationSpec &value) {
    number(static_cast<uint8_t>(value.kind));
    number(static_cast<uint32_t>(value.argument));
    write(value.left);
    write(value.right);
    text(value.text);
  }
  void write(const RuleSpec &value) {
    number(static_cast<uint32_t>(value.argument));
    number(static_cast<uint8_t>(value.kind));
    number(static_cast<uint8_t>(value.flags));
    write(value.low);
    write(value.high);
  }
  void write(const FunctionSpec &value) {
    text(value.name);
    text(value.entry);
    list(value.symbols);
    list(value.arguments);
    list(value.results);
    list(value.relations);
    list(value.rules);
    bool isKnown = value.unbounded.empty();
    Expr none;
    write(!isKnown                  ? none
          : value.workspace.empty() ? constant(0)
                                    : value.workspace);
    write(isKnown ? value.threadWorkspace : none);
    text(value.unbounded);
  }

  void write(const KernelSpec &value) {
    text(value.name);
    number(static_cast<uint32_t>(value.sharedBytes));
  }
  void write(const ImageSpec &value) {
    number(static_cast<uint8_t>(value.kind));
    number(static_cast<uint32_t>(value.architecture));
    text(value.text);
  }
  void write(const ProgramSpec &value) {
    number(static_cast<uint32_t>(value.device));
    list(value.kernels);
    list(value.images);
    list(value.functions);
  }

  Bytes bytes;
};

void storeWord(Bytes &bytes, size_t offset, uint64_t value) {
  for (size_t i = 0; i < 8; ++i) {
    bytes[offset + i] = static_cast<unsigned char>(value >> (8 * i));
  }
}

/// Where a pattern occurs, once.
size_t locate(const Bytes &bytes, const void *pattern, size_t size) {
  auto *first = static_cast<const unsigned char *>(pattern);
  auto at = std::search(bytes.begin(), bytes.end(), first, first + size);
  EXPECT_NE(at, bytes.end());
  return static_cast<size_t>(at - bytes.begin());
}

} // namespace

Bytes attn::test::writeMetadata(const ModuleSpec &spec) {
  Writer writer;
  writer.bytes.resize(ATTN_MODULE_HEADER_BYTES);
  std::memcpy(writer.bytes.data(), ATTN_MODULE_MAGIC, 8);
  writer.bytes[16] = ATTN_MODULE_ABI_VERSION;
  writer.text(spec.compiler);
  writer.text(spec.target);
  writer.list(spec.features);
  writer.list(spec.functions);
  writer.list(spec.programs);
  sealMetadata(writer.bytes);
  return writer.bytes;
}

void attn::test::sealMetadata(Bytes &metadata) {
  storeWord(metadata, 24, metadata.size());
  storeWord(metadata, 8,
            attn_module_checksum(metadata.data() + 16, metadata.size() - 16));
}

Bytes attn::test::makeImage(const Bytes &metadata) {
  std::ifstream file(ATTN_TEST_KERNELS, std::ios::binary);
  Bytes image((std::istreambuf_iterator<char>(file)),
              std::istreambuf_iterator<char>());
  size_t place = locate(image, "PLACE OF THE METADATA", 21);
  std::copy(metadata.begin(), metadata.end(), image.begin() + place);
  uint64_t mark = UINT64_C(0x517a0f7e517a0f7e);
  storeWord(image, locate(image, &mark, 8), metadata.size());
  image.resize(image.size() + ATTN_MODULE_SEAL_BYTES);
  sealImage(image);
  return image;
}

void attn::test::sealImage(Bytes &image) {
  size_t sealed = image.size() - ATTN_MODULE_SEAL_BYTES;
  std::memcpy(image.data() + sealed, ATTN_MODULE_SEAL_MAGIC, 8);
  storeWord(image, sealed + 8, sealed);
  storeWord(image, sealed + 16, attn_module_checksum(image.data(), sealed));
}

Module attn::test::load(const ModuleSpec &spec) {
  Bytes image = makeImage(writeMetadata(spec));
  attn_module *module = nullptr;
  EXPECT_EQ(
      attn_module_load_memory(image.data(), image.size(), "kernels", &module),
      ATTN_OK)
      << attn_get_message();
  return Module(module);
}

const attn_function *attn::test::find(const Module &module, const char *name) {
  const attn_function *function = nullptr;
  EXPECT_EQ(attn_module_find_function(module.get(), name, &function), ATTN_OK);
  return function;
}

Tensor::Tensor(DLDataType type, std::vector<int64_t> shape)
    : DLTensor{}, extents(std::move(shape)) {
  int64_t count = 1;
  for (int64_t extent : extents) {
    count *= extent;
  }
  storage.resize(static_cast<size_t>(count * type.bits / 64 + 1));
  data = storage.data();
  device = {kDLCPU, 0};
  ndim = static_cast<int>(extents.size());
  dtype = type;
  DLTensor::shape = extents.data();
}

void Tensor::setStrides(std::vector<int64_t> values) {
  steps = std::move(values);
  strides = steps.data();
}

std::unique_ptr<Tensor> attn::test::makeScalar(int64_t value) {
  auto tensor = std::make_unique<Tensor>(kI64, std::vector<int64_t>());
  *tensor->get<int64_t>() = value;
  return tensor;
}

std::unique_ptr<Tensor> attn::test::makeScalar(float value) {
  auto tensor = std::make_unique<Tensor>(kF32, std::vector<int64_t>());
  *tensor->get<float>() = value;
  return tensor;
}

std::unique_ptr<Tensor> attn::test::makeMatrix(int64_t rows, int64_t columns) {
  auto tensor =
      std::make_unique<Tensor>(kF32, std::vector<int64_t>{rows, columns});
  for (int64_t i = 0; i < rows * columns; ++i) {
    tensor->get<float>()[i] = static_cast<float>(i);
  }
  return tensor;
}
