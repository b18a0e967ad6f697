//===- Progress.cpp - a line for what takes long --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Progress.h"

#include "llvm/Support/raw_ostream.h"
#include <chrono>

using namespace mlir;
using namespace mlir::attn;

Progress::Progress(const llvm::Twine &what)
    : what(what.str()), watcher([this] { watch(); }) {}

Progress::~Progress() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    finished = true;
  }
  condition.notify_one();
  watcher.join();
}

void Progress::watch() {
  using std::chrono::seconds;
  auto start = std::chrono::steady_clock::now();
  std::unique_lock<std::mutex> lock(mutex);
  seconds pause(2);
  while (!condition.wait_for(lock, pause, [this] { return finished; })) {
    auto elapsed = std::chrono::duration_cast<seconds>(
        std::chrono::steady_clock::now() - start);
    llvm::errs() << what << " ... " << elapsed.count() << " s\n";
    pause = seconds(10);
  }
}
