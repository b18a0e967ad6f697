//===- SafeRun.cpp - fatal errors as errors -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM ends the process where a back end meets something it cannot do. A tool
// that was asked to compile one program must say so in a sentence instead.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Jit.h"

#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/ErrorHandling.h"
#include <csignal>
#include <cstring>
#include <mutex>

using namespace mlir;

namespace {
/// What the handler below was told, on the thread that compiles.
thread_local std::string *fatalMessage = nullptr;

void handleFatalError(void *, const char *reason, bool) {
  llvm::CrashRecoveryContext *context =
      llvm::CrashRecoveryContext::GetCurrent();
  if (!context) {
    return;
  }
  if (fatalMessage) {
    *fatalMessage = reason;
  }
  context->HandleExit(70);
}

void installHandlerOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::CrashRecoveryContext::Enable();
    llvm::install_fatal_error_handler(handleFatalError);
  });
}

/// Deep expression trees recurse deeply in instruction selection.
constexpr unsigned kStackBytes = 64u << 20;
} // namespace

llvm::Error attn::runSafely(llvm::Twine doing, llvm::function_ref<void()> fn) {
  installHandlerOnce();
  std::string message;
  llvm::CrashRecoveryContext context;
  bool finished = context.RunSafelyOnThread(
      [&] {
        fatalMessage = &message;
        fn();
        fatalMessage = nullptr;
      },
      kStackBytes);
  if (finished) {
    return llvm::Error::success();
  }
  if (message.empty()) {
    message = "the compiler crashed";
  }
  return llvm::createStringError(doing + " failed: " + message);
}

llvm::Error attn::runProgramSafely(llvm::function_ref<void()> fn) {
  installHandlerOnce();
  llvm::CrashRecoveryContext context;
  if (context.RunSafely(fn)) {
    return llvm::Error::success();
  }
  // A signal is reported as shells do.
  int signal = context.RetCode - 128;
  bool isMemory = signal == SIGSEGV || signal == SIGBUS;
  return llvm::createStringError(
      isMemory ? "it touched memory that is not its own" : strsignal(signal));
}
