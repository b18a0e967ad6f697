//===- attn-compile.cpp - compiles an attn program to files ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything is made first and written last, to temporary files that take their
// names when all are complete: a build never finds a part of an output.
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "Program.h"
#include "Report.h"
#include "attn/Compiler/Registration.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

/// A file under a temporary name.
class PendingFile {
public:
  static llvm::Expected<PendingFile> create(StringRef path, StringRef bytes) {
    PendingFile result;
    result.path = path.str();
    // Standard output, devices and pipes are written directly, and at the end.
    llvm::sys::fs::file_status status;
    bool exists = !llvm::sys::fs::status(path, status);
    if (exists && llvm::sys::fs::is_directory(status)) {
      return result.makeError(llvm::errorCodeToError(
          std::make_error_code(std::errc::is_a_directory)));
    }
    if (path == "-" || (exists && !llvm::sys::fs::is_regular_file(status))) {
      result.bytes = bytes;
      return result;
    }
    auto file = llvm::sys::fs::TempFile::create(path + ".%%%%%%.tmp");
    if (!file) {
      return result.makeError(file.takeError());
    }
    llvm::raw_fd_ostream stream(file->FD, /*shouldClose=*/false);
    stream << bytes;
    stream.flush();
    if (std::error_code code = stream.error()) {
      stream.clear_error();
      llvm::consumeError(file->discard());
      return result.makeError(llvm::errorCodeToError(code));
    }
    result.file.emplace(std::move(*file));
    return result;
  }

  llvm::Error keep() {
    if (file) {
      llvm::Error error = file->keep(path);
      file.reset();
      return error ? makeError(std::move(error)) : llvm::Error::success();
    }
    std::error_code code;
    llvm::raw_fd_ostream stream(path, code);
    if (!code) {
      stream << bytes;
      stream.flush();
      code = stream.error();
      stream.clear_error();
    }
    return code ? makeError(llvm::errorCodeToError(code))
                : llvm::Error::success();
  }

  void discard() {
    if (file) {
      llvm::consumeError(file->discard());
      file.reset();
    }
  }

private:
  llvm::Error makeError(llvm::Error error) const {
    return llvm::createStringError("cannot write '" + path +
                                   "': " + llvm::toString(std::move(error)));
  }

  std::string path;
  StringRef bytes;
  std::optional<llvm::sys::fs::TempFile> file;
};

} // namespace

/// All of the files, or none.
static int writeOutputs(ArrayRef<Output> outputs,
                        ArrayRef<std::string> contents) {
  SmallVector<PendingFile, 4> files;
  llvm::Error error = llvm::Error::success();
  for (auto [output, bytes] : llvm::zip_equal(outputs, contents)) {
    auto file = PendingFile::create(output.path, bytes);
    if (!file) {
      error = llvm::joinErrors(std::move(error), file.takeError());
      break;
    }
    files.push_back(std::move(*file));
  }
  for (PendingFile &file : files) {
    if (error) {
      file.discard();
    } else if (llvm::Error failure = file.keep()) {
      error = llvm::joinErrors(std::move(error), std::move(failure));
    }
  }
  return error ? fail(kBadFile, std::move(error)) : kSuccess;
}

/// Names the kinds in keys of the cache.
static StringRef getForm(std::optional<ArtifactKind> kind) {
  if (!kind) {
    return "report";
  }
  switch (*kind) {
  case ArtifactKind::LLVMIR:
    return "llvm";
  case ArtifactKind::Assembly:
    return "asm";
  case ArtifactKind::Object:
    return "obj";
  case ArtifactKind::SharedObject:
    return "shared";
  case ArtifactKind::Header:
    return "header";
  }
  llvm_unreachable("all kinds are handled");
}

/// Kernels of a GPU alone, all that is asked for of them.
class DeviceFiles {
public:
  DeviceFiles(ModuleOp module, const CompileToolOptions &options)
      : module(module), options(options) {}

  llvm::Expected<std::string> make(StringRef kind) {
    if (!code) {
      bool assemble = llvm::any_of(options.outputs, [](const Output &output) {
        return !output.deviceKind.empty() && output.deviceKind != "ptx";
      });
      auto compiled = compileForDevice(module, options.compile, assemble);
      if (!compiled) {
        return compiled.takeError();
      }
      code = std::move(*compiled);
    }
    if (kind == "report") {
      return makeDeviceReport(module, options.compile, *code);
    }
    return kind == "ptx"     ? code->ptx
           : kind == "hsaco" ? code->hsaco
                             : code->cubin;
  }

private:
  ModuleOp module;
  const CompileToolOptions &options;
  std::optional<DeviceCode> code;
};

/// The bytes of all outputs. The program is compiled once, and not at all if
/// the cache has every one of them.
static llvm::Expected<std::vector<std::string>>
makeContents(ModuleOp module, const CompileToolOptions &options) {
  CompileOptions compile = options.compile;
  compile.cache = options.cache ? openCache() : nullptr;
  StringRef name = options.program == "-"
                       ? "program"
                       : llvm::sys::path::stem(options.program);
  std::unique_ptr<AheadOfTimeProgram> program;
  WarningRecorder warnings(module);
  DeviceFiles device(module, options);
  // What a package holds depends on whether there is ptxas.
  std::string form = name.str();
  for (StringRef chip : compile.chips) {
    form += (" " + chip + " " + findDeviceAssembler()).str();
  }
  std::vector<std::string> contents;
  for (const Output &output : options.outputs) {
    if (!output.deviceKind.empty()) {
      auto bytes = device.make(output.deviceKind);
      if (!bytes) {
        return bytes.takeError();
      }
      contents.push_back(std::move(*bytes));
      continue;
    }
    auto make = [&]() -> llvm::Expected<std::string> {
      if (!program) {
        auto compiled = AheadOfTimeProgram::compile(module, compile);
        if (!compiled) {
          return compiled.takeError();
        }
        program = std::move(*compiled);
      }
      return output.kind ? program->emit(*output.kind, name)
                         : makeReport(module, compile, *program);
    };
    auto bytes = findOrMake(module, compile,
                            ("file " + getForm(output.kind) + " " + form).str(),
                            warnings, make);
    if (!bytes) {
      return bytes.takeError();
    }
    contents.push_back(std::move(*bytes));
  }
  return contents;
}

static int run(MLIRContext &context, const CompileToolOptions &options) {
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler printer(sources, &context, llvm::errs());
  // Remarks explain plans; the report has them in other words.
  ScopedDiagnosticHandler filter(&context, [](Diagnostic &diagnostic) {
    return success(diagnostic.getSeverity() == DiagnosticSeverity::Remark);
  });
  OwningOpRef<ModuleOp> module;
  if (int code = parseProgram(options.program, context, sources, module)) {
    return code;
  }
  auto contents = makeContents(*module, options);
  if (!contents) {
    return fail(kBadProgram, contents.takeError());
  }
  return writeOutputs(options.outputs, *contents);
}

int main(int argc, char **argv) {
  CompileToolOptions options;
  if (std::optional<int> code = attn::parseCommandLine(argc, argv, options)) {
    return *code;
  }
  DialectRegistry registry;
  attn::registerDialects(registry);
  // One program is too little work for a pool of threads.
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  return run(context, options);
}
