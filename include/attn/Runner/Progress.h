//===- Progress.h - a line for what takes long ------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_PROGRESS_H
#define ATTN_RUNNER_PROGRESS_H

#include "llvm/ADT/Twine.h"
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace mlir::attn {

/// Says on standard error what is going on, once it has taken two seconds, and
/// every ten seconds from then on.
class Progress {
public:
  explicit Progress(const llvm::Twine &what);
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

private:
  void watch();

  std::string what;
  std::mutex mutex;
  std::condition_variable condition;
  bool finished = false;
  std::thread watcher;
};

} // namespace mlir::attn

#endif // ATTN_RUNNER_PROGRESS_H
