//===- Isolation.cpp - a trial in a process of its own --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Smith/Isolation.h"

#include <csignal>
#include <cstring>
#include <ctime>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::attn;

static double getSeconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) +
         1e-9 * static_cast<double>(time.tv_nsec);
}

/// Of all threads of a process.
static double getOwnSeconds(int pid) {
  clockid_t clock{};
  return clock_getcpuclockid(pid, &clock) ? 0.0 : getSeconds(clock);
}

TimeLimit::TimeLimit(int pid, int64_t seconds)
    : pid(pid), seconds(static_cast<double>(seconds)),
      ownStart(getOwnSeconds(pid)), wallStart(getSeconds(CLOCK_MONOTONIC)) {}

bool TimeLimit::isOver() const {
  return getOwnSeconds(pid) - ownStart > seconds ||
         getSeconds(CLOCK_MONOTONIC) - wallStart > 10.0 * seconds;
}

std::string attn::describeExit(int status) {
  if (WIFSIGNALED(status)) {
    return std::string("the process ended by ") + strsignal(WTERMSIG(status));
  }
  return "the process ended with code " +
         std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/// In the child: the verdict and the checks as one byte each, then the reason.
[[noreturn]] static void tryAndReport(ModuleOp module,
                                      const TrialOptions &options, int fd) {
  Outcome outcome = tryProgram(module, options);
  std::string text{static_cast<char>(outcome.verdict),
                   static_cast<char>(outcome.passed)};
  text += outcome.reason;
  for (size_t done = 0; done < text.size();) {
    ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written <= 0 && errno != EINTR) {
      break;
    }
    done += static_cast<size_t>(std::max<ssize_t>(written, 0));
  }
  _exit(0);
}

Outcome attn::tryProgramIsolated(ModuleOp module, const TrialOptions &options,
                                 int64_t timeoutSeconds) {
  int ends[2];
  pid_t pid = pipe(ends) ? -1 : fork();
  if (pid < 0) {
    return {Verdict::Rejected, "cannot start a process"};
  }
  if (pid == 0) {
    close(ends[0]);
    tryAndReport(module, options, ends[1]);
  }
  close(ends[1]);
  TimeLimit limit(pid, timeoutSeconds);
  std::string text;
  bool late = false;
  while (true) {
    pollfd polled{ends[0], POLLIN, 0};
    if (poll(&polled, 1, /*milliseconds=*/500) <= 0) {
      late = limit.isOver();
      if (!late) {
        continue;
      }
      kill(pid, SIGKILL);
      break;
    }
    char buffer[4096];
    ssize_t count = read(ends[0], buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      break;
    }
    text.append(buffer, static_cast<size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (late) {
    return {Verdict::TimedOut, "it took longer than " +
                                   std::to_string(timeoutSeconds) + " seconds"};
  }
  if (text.size() < 2) {
    return {Verdict::Crashed, describeExit(status)};
  }
  return {static_cast<Verdict>(text[0]), text.substr(2),
          static_cast<unsigned char>(text[1])};
}
