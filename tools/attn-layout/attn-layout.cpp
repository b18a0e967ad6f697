//===- attn-layout.cpp - layouts of GPU kernels as pictures ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CommandLine.h"
#include "Picture.h"
#include "Program.h"
#include "attn/Compiler/Pipelines.h"
#include "attn/Compiler/Registration.h"
#include "attn/Dialect/Tile/IR/Tile.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

static constexpr StringRef kUsage =
    R"(attn-layout: draws who holds what of the tiles of a GPU kernel

usage: attn-layout TYPE [-o FILE.svg]
       attn-layout PROGRAM.mlir [--target=cuda:sm_80] [-o FOLDER]

  TYPE          of a tile: which thread holds an element, in which register:
                  'tensor<64x32xf32, #tile.layout<mma_acc, warps = [4, 1]>>'
                of a matrix in workgroup memory: the banks of its words:
                  'memref<64x72xbf16, #gpu.address_space<workgroup>>'
  PROGRAM.mlir  all types of tiles and of workgroup memory in its kernels for
                the target, numbered. Without a target, in a program that has
                such types: what attn-opt --attn-gpu-pipeline=tiles prints.
                - is standard input

Without -o, tables of text go to standard output.

exit codes
  0 success   2 bad usage, or a type that is no tile   3 a program that does not
  parse or compile, or has no tiles   4 a file cannot be written
)";

static int write(const Picture &picture, StringRef path) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  if (!error) {
    picture.printSVG(stream);
    stream.close();
    error = stream.error();
    stream.clear_error();
  }
  return error ? fail(kBadFile,
                      "'" + path + "' cannot be written: " + error.message())
               : kSuccess;
}

static int drawOne(StringRef text, MLIRContext &context, StringRef output) {
  std::string reason;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    reason = diagnostic.str();
    return success();
  });
  Type type = parseType(text, &context);
  if (!type) {
    return fail(kBadUsage,
                "'" + text + "' is neither a file nor a type: " + reason);
  }
  auto picture = drawType(type);
  if (!picture) {
    return fail(kBadUsage, "'" + text +
                               "' is neither a tile nor a matrix in workgroup "
                               "memory");
  }
  if (output.empty()) {
    picture->printText(llvm::outs());
    return kSuccess;
  }
  return write(*picture, output);
}

/// The types of a program that can be drawn; of tiles that differ in their
/// elements alone, the first.
static SmallVector<Type> findTypes(ModuleOp module) {
  SmallVector<Type> types;
  llvm::DenseSet<Type> seen;
  module.walk([&](Operation *op) {
    for (Type type : op->getResultTypes()) {
      if (!tile::isTile(type) && !tile::isShared(type) && !tile::isRing(type)) {
        continue;
      }
      auto tensor = dyn_cast<RankedTensorType>(type);
      Type drawn =
          tensor ? tensor.clone(IndexType::get(type.getContext())) : type;
      if (seen.insert(drawn).second) {
        types.push_back(type);
      }
    }
  });
  return types;
}

/// Lowers a program to kernels over tiles; 0, or an exit code.
static int lowerToTiles(ModuleOp module, StringRef target) {
  CompileOptions compile;
  if (llvm::Error error = setTarget(compile, target)) {
    return fail(kBadUsage, std::move(error));
  }
  if (compile.chip.empty()) {
    return fail(kBadUsage, "'" + target + "' has no kernels over tiles");
  }
  GPUPipelineOptions options;
  options.chip = compile.chip;
  options.tiles = true;
  PassManager manager(module.getContext());
  buildGPUPipeline(manager, options);
  bool succeededAll = false;
  if (llvm::Error error = runSafely("compilation", [&] {
        succeededAll = succeeded(manager.run(module));
      })) {
    return fail(kBadProgram, std::move(error));
  }
  return succeededAll ? kSuccess : fail(kBadProgram, "compilation failed");
}

static int drawAll(StringRef path, StringRef target, MLIRContext &context,
                   StringRef output) {
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler printer(sources, &context);
  ScopedDiagnosticHandler filter(&context, [](Diagnostic &diagnostic) {
    return success(diagnostic.getSeverity() == DiagnosticSeverity::Remark);
  });
  OwningOpRef<ModuleOp> module;
  if (int code = parseProgram(path, context, sources, module)) {
    return code;
  }
  if (int code = target.empty() ? kSuccess : lowerToTiles(*module, target)) {
    return code;
  }
  SmallVector<Type> types = findTypes(*module);
  if (types.empty()) {
    return fail(kBadProgram, "'" + path + "' has no tiles" +
                                 (target.empty() ? "; --target=cuda:sm_80 "
                                                   "makes a program's kernels"
                                                 : " on " + target));
  }
  if (!output.empty()) {
    if (std::error_code error = llvm::sys::fs::create_directories(output)) {
      return fail(kBadFile,
                  "'" + output + "' cannot be made: " + error.message());
    }
  }
  for (auto [number, type] : llvm::enumerate(types)) {
    std::optional<Picture> picture = drawType(type);
    if (output.empty()) {
      llvm::outs() << (number ? "\n" : "");
      picture->printText(llvm::outs());
      continue;
    }
    SmallString<128> file(output);
    llvm::sys::path::append(file, std::to_string(number) + ".svg");
    if (int code = write(*picture, file)) {
      return code;
    }
    llvm::outs() << file << ": " << picture->title << "\n";
  }
  return kSuccess;
}

int main(int argc, char **argv) {
  StringRef input, output, target;
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (argument == "--help") {
      llvm::outs() << kUsage;
      return kSuccess;
    }
    if (argument == "-o") {
      if (i + 1 == argc) {
        return fail(kBadUsage, "-o takes a path");
      }
      output = argv[++i];
    } else if (argument.consume_front("--target=")) {
      target = argument;
    } else if (argument.starts_with("-") && argument != "-") {
      return fail(kBadUsage, "unknown option '" + argument + "'; see --help");
    } else if (!input.empty()) {
      return fail(kBadUsage, "more than one input: '" + input + "' and '" +
                                 argument + "'");
    } else {
      input = argument;
    }
  }
  if (input.empty()) {
    return fail(kBadUsage, "no type and no program; see --help");
  }
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  bool isFile = input == "-" || llvm::sys::fs::exists(input);
  return isFile ? drawAll(input, target, context, output)
                : drawOne(input, context, output);
}
