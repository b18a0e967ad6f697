//===- Link.cpp - objects to shared objects -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLD as a library, so that no linker has to be installed where programs are
// compiled. It reads and writes files, which are private and temporary here.
//
//===----------------------------------------------------------------------===//

#include "Metadata.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace mlir::attn;

static llvm::Error makeError(const llvm::Twine &what, std::error_code code) {
  return llvm::createStringError("linking failed: " + what + ": " +
                                 code.message());
}

llvm::Expected<std::string> attn::linkSharedObject(StringRef object) {
  llvm::SmallString<128> directory;
  if (std::error_code code =
          llvm::sys::fs::createUniqueDirectory("attn-link", directory)) {
    return makeError("no temporary directory", code);
  }
  llvm::scope_exit clean([&] { llvm::sys::fs::remove_directories(directory); });
  std::string input = (directory + "/program.o").str();
  std::string output = (directory + "/program.so").str();
  std::error_code code;
  {
    llvm::raw_fd_ostream file(input, code);
    if (!code) {
      file << object;
      file.close();
      code = file.error();
      file.clear_error();
    }
  }
  if (code) {
    return makeError("cannot write '" + input + "'", code);
  }
  // What the object leaves undefined is for the loader to find.
  const char *arguments[] = {
      "ld.lld", "-shared", "--threads=1", "--hash-style=gnu", "--build-id=sha1",
      "-z",     "now",     "-o",          output.c_str(),     input.c_str()};
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  // One link at a time, and none after one that left LLD in disorder.
  static std::mutex mutex;
  static bool isUsable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!isUsable) {
    return llvm::createStringError(
        "linking failed: an earlier link in this process crashed");
  }
  lld::Result result =
      lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  isUsable = result.canRunAgain;
  if (result.retCode != 0) {
    return llvm::createStringError("linking failed: " +
                                   StringRef(messages).trim());
  }
  auto linked = llvm::MemoryBuffer::getFile(output);
  if (!linked) {
    return makeError("cannot read '" + output + "'", linked.getError());
  }
  return (*linked)->getBuffer().str();
}
