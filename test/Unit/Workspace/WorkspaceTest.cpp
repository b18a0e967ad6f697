//===- WorkspaceTest.cpp - compiled programs in workspaces ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every example is called with the workspace that it asks for, and nothing is
// allocated meanwhile, but by OpenMP.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Compiler.h"
#include "attn/Compiler/Registration.h"
#include "attn/Compiler/Signature.h"
#include "attn/Runner/Inputs.h"
#include "attn_runtime.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <atomic>
#include <cstring>
#include <dlfcn.h>

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// An allocator that counts
//===----------------------------------------------------------------------===//

namespace {
std::atomic<bool> isCounting{false};
std::atomic<int> numAllocations{0};
/// OpenMP's loops have little buffers of their own.
void count(void *caller) {
  Dl_info info;
  if (isCounting.load(std::memory_order_relaxed) &&
      !(dladdr(caller, &info) && std::strstr(info.dli_fname, "omp"))) {
    ++numAllocations;
  }
}
} // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): names of the C library
extern "C" {
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *data, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_malloc(bytes);
}
void *calloc(size_t number, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_calloc(number, bytes);
}
void *realloc(void *data, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_realloc(data, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
}
// NOLINTEND(bugprone-reserved-identifier)

namespace {

//===----------------------------------------------------------------------===//
// Programs and their operands
//===----------------------------------------------------------------------===//

DLDataType getType(ElementType type) {
  auto bits = static_cast<uint8_t>(8 * getByteWidth(type));
  switch (type) {
  case ElementType::F64:
  case ElementType::F32:
  case ElementType::F16:
    return {kDLFloat, bits, 1};
  case ElementType::BF16:
    return {kDLBfloat, bits, 1};
  case ElementType::F8E4M3:
    return {10, bits, 1};
  case ElementType::F8E5M2:
    return {12, bits, 1};
  case ElementType::I1:
    return {6, bits, 1};
  default:
    return {kDLInt, bits, 1};
  }
}

/// An array as DLPack has it.
struct View : DLTensor {
  explicit View(const Array &array)
      : DLTensor{}, extents(array.getShape()), steps(array.getStrides()) {
    data = array.getOrigin();
    device = {kDLCPU, 0};
    ndim = static_cast<int>(extents.size());
    dtype = getType(array.getType());
    shape = extents.data();
    strides = steps.data();
  }
  View(const View &) = delete;

  SmallVector<int64_t> extents, steps;
};

std::vector<std::unique_ptr<View>> makeViews(ArrayRef<Array> arrays) {
  std::vector<std::unique_ptr<View>> views;
  for (const Array &array : arrays) {
    views.push_back(std::make_unique<View>(array));
  }
  return views;
}

std::vector<const DLTensor *>
getPointers(const std::vector<std::unique_ptr<View>> &views) {
  std::vector<const DLTensor *> pointers;
  for (const auto &view : views) {
    pointers.push_back(view.get());
  }
  return pointers;
}

/// Memory at a multiple of 64 with a guard behind it.
class Space {
public:
  explicit Space(size_t bytes) : bytes(bytes) {
    data = static_cast<unsigned char *>(
        aligned_alloc(64, (bytes + kGuard + 63) / 64 * 64));
    std::memset(data, kPattern, bytes + kGuard);
  }
  Space(const Space &) = delete;
  ~Space() { free(data); }
  bool isGuardIntact() const {
    for (size_t i = 0; i < kGuard; ++i) {
      if (data[bytes + i] != kPattern) {
        return false;
      }
    }
    return true;
  }

  static constexpr size_t kGuard = 256;
  static constexpr unsigned char kPattern = 0xa5;
  unsigned char *data;
  size_t bytes;
};

class Workspaces : public testing::TestWithParam<std::string> {
protected:
  Workspaces() {
    DialectRegistry registry;
    registerDialects(registry);
    context = std::make_unique<MLIRContext>(registry,
                                            MLIRContext::Threading::DISABLED);
    filter = std::make_unique<ScopedDiagnosticHandler>(
        context.get(), [](Diagnostic &diagnostic) {
          return success(diagnostic.getSeverity() ==
                         DiagnosticSeverity::Remark);
        });
  }
  ~Workspaces() override { attn_set_num_threads(0); }

  void compile(StringRef text) {
    module = parseSourceString<ModuleOp>(text, context.get());
    ASSERT_TRUE(module);
    auto func = findEntry(*module, "");
    ASSERT_TRUE(bool(func)) << llvm::toString(func.takeError());
    auto read = readSignature(*func);
    ASSERT_TRUE(bool(read)) << llvm::toString(read.takeError());
    signature = std::move(*read);
    auto compiled = compiler.compile(*module);
    ASSERT_TRUE(bool(compiled)) << llvm::toString(compiled.takeError());
    program = std::move(*compiled);
    function = llvm::cantFail(program->getFunction(signature.function));
  }

  /// Sizes in place of those that are chosen for what nobody says.
  std::vector<Array> makeArguments(int64_t odd, bool areStrided) {
    InputOptions options;
    for (const Parameter &argument : signature.arguments) {
      for (auto [extent, dim] : llvm::zip(argument.shape, argument.dims)) {
        bool isLength = ShapedType::isDynamic(extent) && dim != "B" &&
                        !signature.sizes.contains(dim);
        if (isLength) {
          options.sizes[dim] = odd;
        }
      }
      if (areStrided && !argument.isScalar && !argument.isWritable) {
        options.strided[argument.name] = true;
      }
    }
    SizeMap sizes;
    std::vector<std::string> chosen;
    auto inputs = makeInputs(signature, options, sizes, chosen);
    llvm::Error error =
        inputs ? checkExtents(signature, *inputs) : inputs.takeError();
    if (error) { // sizes that only fit together as they are chosen
      llvm::consumeError(std::move(error));
      options.sizes.clear();
      inputs = makeInputs(signature, options, sizes, chosen);
    }
    return llvm::cantFail(std::move(inputs));
  }

  /// Tensors for the results; none for those that are arguments.
  std::vector<std::unique_ptr<View>>
  makeResults(ArrayRef<const DLTensor *> arguments,
              std::vector<Array> &owners) {
    std::vector<std::unique_ptr<View>> views;
    for (auto [number, result] : llvm::enumerate(signature.results)) {
      SmallVector<int64_t> shape(result.shape.size());
      EXPECT_EQ(attn_function_get_result_shape(function, arguments.data(),
                                               arguments.size(), number,
                                               shape.data()),
                ATTN_OK)
          << attn_get_message();
      EXPECT_FALSE(llvm::is_contained(shape, -1)) << result.name;
      owners.push_back(*Array::create(result.type, shape));
      views.push_back(result.alias ? nullptr
                                   : std::make_unique<View>(owners.back()));
    }
    return views;
  }

  /// Calls the program twice, and compares: as it allocates, and in a workspace
  /// without allocating.
  void check(int64_t odd, bool areStrided, int numThreads) {
    SCOPED_TRACE(testing::Message()
                 << "extents " << odd << ", strided " << areStrided
                 << ", threads " << numThreads);
    attn_set_num_threads(numThreads);
    std::vector<Array> first = makeArguments(odd, areStrided),
                       second = makeArguments(odd, areStrided);
    auto firstViews = makeViews(first), secondViews = makeViews(second);
    auto firstArguments = getPointers(firstViews),
         secondArguments = getPointers(secondViews);
    std::vector<Array> expected, found;
    auto expectedViews = makeResults(firstArguments, expected),
         foundViews = makeResults(secondArguments, found);
    auto expectedResults = getPointers(expectedViews),
         foundResults = getPointers(foundViews);
    size_t bytes = 0;
    ASSERT_EQ(attn_function_get_workspace(function, secondArguments.data(),
                                          secondArguments.size(), &bytes),
              ATTN_OK)
        << attn_get_message();
    auto call = [&](ArrayRef<const DLTensor *> arguments,
                    ArrayRef<const DLTensor *> results,
                    const attn_call_options *options) {
      return attn_function_call(function, nullptr, arguments.data(),
                                arguments.size(), results.data(),
                                results.size(), options);
    };
    ASSERT_EQ(call(firstArguments, expectedResults, nullptr), ATTN_OK)
        << attn_get_message();
    Space space(bytes);
    attn_call_options options = {0, space.data, bytes};
    numAllocations = 0;
    isCounting = true;
    attn_status status = call(secondArguments, foundResults, &options);
    isCounting = false;
    ASSERT_EQ(status, ATTN_OK) << attn_get_message();
    EXPECT_EQ(numAllocations, 0) << "in " << bytes << " bytes";
    EXPECT_TRUE(space.isGuardIntact());
    RecordProperty("bytes", static_cast<int>(bytes));
    for (auto [a, b, view] : llvm::zip(expected, found, foundViews)) {
      for (int64_t i = 0; view && i < a.size(); ++i) {
        double x = a.getNumber(i), y = b.getNumber(i);
        ASSERT_TRUE(x == y || (x != x && y != y))
            << "element " << i << ": " << x << " and " << y;
      }
    }
  }

  static CompileOptions getOptions() {
    CompileOptions options;
    options.maxRecomputeFactor = 0; // one of the examples asks for it
    return options;
  }

  Compiler compiler{getOptions()};
  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<ScopedDiagnosticHandler> filter;
  OwningOpRef<ModuleOp> module;
  Signature signature;
  std::unique_ptr<Program> program;
  const attn_function *function = nullptr;
};

TEST_P(Workspaces, NothingElseIsAllocated) {
  auto text = llvm::MemoryBuffer::getFile(ATTN_EXAMPLES "/" + GetParam());
  ASSERT_TRUE(bool(text));
  ASSERT_NO_FATAL_FAILURE(compile((*text)->getBuffer()));
  ASSERT_NO_FATAL_FAILURE(check(70, false, 2));
  ASSERT_NO_FATAL_FAILURE(check(1, false, 3));
  ASSERT_NO_FATAL_FAILURE(check(133, true, 2));
  ASSERT_NO_FATAL_FAILURE(check(97, false, 1));
}

std::vector<std::string> getExamples() {
  std::vector<std::string> names;
  std::error_code code;
  for (llvm::sys::fs::directory_iterator file(ATTN_EXAMPLES, code), end;
       file != end && !code; file.increment(code)) {
    StringRef name = llvm::sys::path::filename(file->path());
    if (name.ends_with(".mlir")) {
      names.push_back(name.str());
    }
  }
  llvm::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Examples, Workspaces, testing::ValuesIn(getExamples()),
                         [](const testing::TestParamInfo<std::string> &info) {
                           std::string name =
                               StringRef(info.param).drop_back(5).str();
                           llvm::replace(name, '-', '_');
                           return name;
                         });

} // namespace
