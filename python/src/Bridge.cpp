//===- Bridge.cpp - the compiler as the Python module sees it -------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bridge.h"

#include "attn/Compiler/Compiler.h"
#include "attn/Compiler/Registration.h"
#include "attn/Dialect/Attn/Transforms/PrintPlan.h"
#include "attn/Runner/Check.h"
#include "attn/Runner/Work.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

using namespace attn_python;
using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Programs and what is said about them
//===----------------------------------------------------------------------===//

static StringRef getName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Note:
    return "note";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Remark:
    return "remark";
  }
  llvm_unreachable("all severities are handled");
}

/// The first place in a file that a location has.
static FileLineColLoc findPlace(Location loc) {
  FileLineColLoc place;
  loc->walk([&](Location inner) {
    place = dyn_cast<FileLineColLoc>(inner);
    return place ? WalkResult::interrupt() : WalkResult::advance();
  });
  return place;
}

static void append(std::vector<Message> &messages, Diagnostic &diagnostic) {
  Message message;
  message.severity = getName(diagnostic.getSeverity()).str();
  message.text = diagnostic.str();
  if (FileLineColLoc place = findPlace(diagnostic.getLocation())) {
    message.file = place.getFilename().str();
    message.line = static_cast<int>(place.getLine());
    message.column = static_cast<int>(place.getColumn());
  }
  messages.push_back(std::move(message));
  for (Diagnostic &note : diagnostic.getNotes()) {
    append(messages, note);
  }
}

static const DialectRegistry &getRegistry() {
  static const DialectRegistry *registry = [] {
    auto *result = new DialectRegistry();
    registerDialects(*result);
    return result;
  }();
  return *registry;
}

/// A user's cache is a help and not a need: without one, programs are compiled.
static std::shared_ptr<const Cache> getCache() {
  static const std::shared_ptr<const Cache> cache = [] {
    auto opened = Cache::openDefault();
    if (!opened) {
      llvm::consumeError(opened.takeError());
      return std::shared_ptr<const Cache>();
    }
    return std::shared_ptr<const Cache>(std::move(*opened));
  }();
  return cache;
}

namespace {

/// A program in a context of its own, so that several may be worked on at a
/// time.
class Session {
public:
  Session(const std::string &text, const Options &options, Failure &failure)
      : failure(failure),
        context(getRegistry(), MLIRContext::Threading::DISABLED),
        handler(&context, [&](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != DiagnosticSeverity::Remark) {
            append(failure.messages, diagnostic);
          }
          return success();
        }) {
    context.printOpOnDiagnostic(false);
    compile.maxRecomputeFactor = options.maxRecomputeFactor;
    compile.splits = options.splits;
    // Calls with one row are programs of their own.
    compile.oneRowForms = false;
    if (options.useCache) {
      compile.cache = getCache();
    }
    if (llvm::Error error = setTarget(compile, options.target)) {
      fail(std::move(error));
      return;
    }
    if (llvm::Error error = runSafely("parsing", [&] {
          module = parseSourceString<ModuleOp>(text, ParserConfig(&context),
                                               "program");
        })) {
      fail(std::move(error));
      module = nullptr;
    } else if (!module) {
      failure.reason = "the program is not well formed";
    }
  }

  explicit operator bool() const { return static_cast<bool>(module); }
  ModuleOp get() const { return *module; }
  void fail(llvm::Error error) {
    failure.reason = llvm::toString(std::move(error));
  }

  CompileOptions compile;

private:
  Failure &failure;
  MLIRContext context;
  ScopedDiagnosticHandler handler;
  OwningOpRef<ModuleOp> module;
};

} // namespace

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

struct attn_python::Program::Impl {
  std::unique_ptr<mlir::attn::Program> program;
};

attn_python::Program::~Program() = default;

std::shared_ptr<attn_python::Program>
attn_python::Program::compile(const std::string &text, const Options &options,
                              Failure &failure) {
  Session session(text, options, failure);
  if (!session) {
    return nullptr;
  }
  auto compiled = Compiler(session.compile).compile(session.get());
  if (!compiled) {
    session.fail(compiled.takeError());
    return nullptr;
  }
  std::shared_ptr<Program> result(new Program());
  result->fromCache = (*compiled)->isFromCache();
  result->emulated = session.compile.mode == ExecutionMode::EmulatedGPU;
  result->messages = std::move(failure.messages);
  result->function = attn_module_get_function((*compiled)->getModule(), 0);
  result->impl = std::make_unique<Impl>(Impl{std::move(*compiled)});
  return result;
}

std::string attn_python::print(const std::string &text, const Options &options,
                               bool plan, Failure &failure) {
  Session session(text, options, failure);
  if (!session) {
    return {};
  }
  std::string printed;
  llvm::raw_string_ostream stream(printed);
  if (!plan) {
    session.get().print(stream);
    return printed;
  }
  auto planned = planProgram(session.get(), session.compile);
  if (!planned) {
    session.fail(planned.takeError());
    return {};
  }
  printPlan(**planned, stream);
  return printed;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// An array over memory that outlives it.
static Array wrap(const DLTensor &tensor, const Parameter &parameter) {
  SmallVector<int64_t> shape(tensor.shape, tensor.shape + tensor.ndim);
  SmallVector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = tensor.strides ? tensor.strides[axis] : stride;
    stride *= shape[axis];
  }
  return Array::wrap(parameter.type, shape, strides, nullptr,
                     static_cast<char *>(tensor.data) + tensor.byte_offset);
}

static std::vector<Array> wrap(const std::vector<const DLTensor *> &tensors,
                               ArrayRef<Parameter> parameters) {
  std::vector<Array> arrays;
  for (auto [tensor, parameter] : llvm::zip_equal(tensors, parameters)) {
    arrays.push_back(wrap(*tensor, parameter));
  }
  return arrays;
}

/// The arguments of the one function of a module; nothing, after a failure.
static std::optional<Signature>
readArguments(Session &session, const std::vector<const DLTensor *> &tensors,
              std::vector<Array> &arrays) {
  auto func = findEntry(session.get(), "");
  auto signature =
      func ? readSignature(*func) : llvm::Expected<Signature>(func.takeError());
  if (!signature) {
    session.fail(signature.takeError());
    return std::nullopt;
  }
  arrays = wrap(tensors, signature->arguments);
  return std::move(*signature);
}

std::vector<attn_python::TileMap>
attn_python::mapTiles(const std::string &text, const Options &options,
                      const std::vector<const DLTensor *> &arguments,
                      int64_t block, Failure &failure) {
  Session session(text, options, failure);
  std::vector<Array> arrays;
  if (!session || !readArguments(session, arguments, arrays)) {
    return {};
  }
  auto plan = planProgram(session.get(), session.compile);
  if (!plan) {
    session.fail(plan.takeError());
    return {};
  }
  auto func = findEntry(**plan, "");
  if (!func) {
    session.fail(func.takeError());
    return {};
  }
  std::vector<TileMap> result;
  if (auto maps = mlir::attn::mapTiles(*func, arrays, block)) {
    for (mlir::attn::TileMap &map : *maps) {
      result.push_back(
          {map.stream, map.sweep, map.rows, map.keys, std::move(map.tiles)});
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

/// The results of the program compiled in one way.
static llvm::Expected<std::vector<Array>>
runOnce(ModuleOp module, const ExecutableOptions &options,
        const Signature &signature, ArrayRef<Array> arguments) {
  auto executable = Executable::compile(module, "", options);
  if (!executable) {
    return executable.takeError();
  }
  llvm::Expected<std::vector<Array>> own =
      options.promoteToF64
          ? widenInputs(arguments, (*executable)->getSignature())
          : copyWritten(signature, arguments);
  if (!own) {
    return own.takeError();
  }
  bool crashed = false;
  return (*executable)->runSafely(*own, crashed);
}

std::vector<attn_python::Comparison>
attn_python::check(const std::string &text, const Options &options,
                   const std::vector<const DLTensor *> &arguments,
                   const std::vector<const DLTensor *> &results,
                   Failure &failure) {
  Session session(text, options, failure);
  if (!session) {
    return {};
  }
  std::vector<Array> arrays;
  auto signature = readArguments(session, arguments, arrays);
  if (!signature) {
    return {};
  }
  ExecutableOptions subject, plain, exact;
  static_cast<CompileOptions &>(subject) = session.compile;
  plain.mode = exact.mode = ExecutionMode::Reference;
  exact.promoteToF64 = true;
  llvm::Expected<std::vector<Array>> actual =
      results.empty() ? runOnce(session.get(), subject, *signature, arrays)
                      : wrap(results, signature->results);
  auto wanted = actual ? runOnce(session.get(), plain, *signature, arrays)
                       : llvm::Expected<std::vector<Array>>(actual.takeError());
  auto truth = wanted ? runOnce(session.get(), exact, *signature, arrays)
                      : llvm::Expected<std::vector<Array>>(wanted.takeError());
  if (!truth) {
    session.fail(truth.takeError());
    return {};
  }
  std::vector<Comparison> comparisons;
  for (auto [index, parameter] : llvm::enumerate(signature->results)) {
    auto found = compareResults(parameter, (*truth)[index], (*wanted)[index],
                                (*actual)[index]);
    if (!found) {
      session.fail(found.takeError());
      return {};
    }
    comparisons.push_back({found->name, found->error, found->budget,
                           found->magnitude, found->mismatches,
                           found->passes()});
  }
  return comparisons;
}

//===----------------------------------------------------------------------===//
// Targets
//===----------------------------------------------------------------------===//

std::string attn_python::checkTarget(const std::string &target) {
  CompileOptions options;
  return llvm::toString(setTarget(options, target));
}

std::string attn_python::findTarget(DLDevice device, Failure &failure) {
  attn_device_info info = {};
  if (attn_device_get_info(device, &info) != ATTN_OK) {
    failure.reason = attn_get_message();
    return {};
  }
  auto target = mlir::attn::findTarget(info);
  if (!target) {
    failure.reason = llvm::toString(target.takeError());
    return {};
  }
  return *target;
}
