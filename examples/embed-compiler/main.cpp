// Compiles the text of a program, and calls what came out.
//
//   embed-compiler PROGRAM.mlir

#include "attn/Compiler/Compiler.h"
#include "attn_runtime.h"
#include <cstdio>

using namespace mlir::attn;

static int fail(const std::string &message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return 1;
}

int main(int argc, char **argv) {
  auto text = llvm::MemoryBuffer::getFile(argc > 1 ? argv[1] : "-");
  if (!text) {
    return fail("cannot read the program");
  }
  // Compiled code is kept on disk, where the environment says.
  CompileOptions options;
  auto cache = Cache::openDefault();
  if (cache) {
    options.cache = std::move(*cache);
  } else {
    llvm::consumeError(cache.takeError());
  }
  auto program = Compiler(options).compile((*text)->getBuffer(), argv[1]);
  if (!program) {
    return fail(llvm::toString(program.takeError()));
  }
  auto attention = (*program)->getFunction("attention");
  if (!attention) {
    return fail(llvm::toString(attention.takeError()));
  }

  // One batch element, five positions; keys are zero, so that row i of the
  // result is the mean of the first i + 1 values.
  constexpr int64_t length = 5, width = 64;
  int64_t shapeOfQueries[] = {1, 8, length, width};
  int64_t shapeOfKeys[] = {1, 2, length, width};
  std::vector<float> queries(8 * length * width), keys(2 * length * width),
      values(2 * length * width), output(8 * length * width);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i / width % length);
  }
  auto wrap = [](std::vector<float> &data, int64_t *shape) {
    DLTensor tensor = {};
    tensor.data = data.data();
    tensor.device = {kDLCPU, 0};
    tensor.ndim = 4;
    tensor.dtype = {kDLFloat, 32, 1};
    tensor.shape = shape;
    return tensor;
  };
  DLTensor q = wrap(queries, shapeOfQueries), k = wrap(keys, shapeOfKeys),
           v = wrap(values, shapeOfKeys), o = wrap(output, shapeOfQueries);
  const DLTensor *arguments[] = {&q, &k, &v};
  const DLTensor *results[] = {&o};
  if (attn_function_call(*attention, nullptr, arguments, 3, results, 1,
                         nullptr) != ATTN_OK) {
    return fail(attn_get_message());
  }
  std::printf("%s: means", (*program)->isFromCache() ? "found" : "compiled");
  for (int64_t i = 0; i < length; ++i) {
    std::printf(" %g", output[i * width]);
  }
  std::printf("\n");
  return 0;
}
