//===- Campaign.cpp - many programs in processes of their own -------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A few worker processes take seeds off a shared counter and report through a
// pipe. One that crashes, or works on one program for too long, costs that
// program alone: its seed is noted and another worker takes its place. The
// parent compiles nothing, so that forking stays cheap and safe.
//
//===----------------------------------------------------------------------===//

#include "Campaign.h"

#include "attn/Smith/Isolation.h"
#include "attn_runtime.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <poll.h>
#include <set>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// One program is too little work for a pool of threads.
static std::unique_ptr<MLIRContext>
makeContext(const DialectRegistry &registry) {
  auto context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->printOpOnDiagnostic(false);
  context->loadAllAvailableDialects();
  return context;
}

std::string attn::printProgram(const DialectRegistry &registry,
                               const CommandLine &options, uint64_t seed) {
  std::unique_ptr<MLIRContext> context = makeContext(registry);
  auto module = drawProgram(*context, seed, options.smith);
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "// attn-smith --seed=" << seed
     << "; attn-run FILE --check --max-recompute-factor="
     << options.trial.compile.maxRecomputeFactor << " --seed=" << seed;
  if (options.trial.compile.mode == ExecutionMode::EmulatedGPU) {
    os << " --schedule=" << seed
       << " --target=" << getTargetName(options.trial.compile.chip)
       << ",emulate";
  }
  os << "\n";
  OpPrintingFlags flags;
  // A program that the verifier rejects is to be seen as well.
  flags.assumeVerified();
  module->print(os, flags);
  os << "\n";
  return text;
}

llvm::Error attn::saveProgram(const CommandLine &options, uint64_t seed,
                              StringRef text) {
  if (std::error_code code =
          llvm::sys::fs::create_directories(options.output)) {
    return llvm::createStringError("cannot make '" + options.output +
                                   "': " + code.message());
  }
  SmallString<128> path(options.output);
  llvm::sys::path::append(path, std::to_string(seed) + ".mlir");
  std::error_code code;
  llvm::raw_fd_ostream os(path, code);
  if (code) {
    return llvm::createStringError("cannot write '" + path.str() +
                                   "': " + code.message());
  }
  os << text;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Workers
//===----------------------------------------------------------------------===//

namespace {

/// What a worker says: which seed it begins, and how that went, followed by
/// `length` bytes of reason.
struct Message {
  uint64_t seed;
  Verdict verdict;
  bool isEnd;
  uint32_t length, passed;
};

void writeAll(int fd, const void *data, size_t size) {
  const char *bytes = static_cast<const char *>(data);
  while (size > 0) {
    ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      _exit(0); // nobody listens
    }
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

void send(int fd, uint64_t seed, bool isEnd, const Outcome &outcome) {
  Message message;
  std::memset(&message, 0, sizeof message);
  message.seed = seed;
  message.verdict = outcome.verdict;
  message.isEnd = isEnd;
  message.length = static_cast<uint32_t>(outcome.reason.size());
  message.passed = outcome.passed;
  writeAll(fd, &message, sizeof message);
  writeAll(fd, outcome.reason.data(), outcome.reason.size());
}

struct Worker {
  pid_t pid = 0;
  int fd = -1;
  std::string received;
  std::optional<uint64_t> seed;
  std::optional<TimeLimit> limit;
};

class Campaign {
public:
  Campaign(const DialectRegistry &registry, const CommandLine &options)
      : registry(registry), options(options),
        start(std::chrono::steady_clock::now()) {}

  int run();

private:
  bool spawn(Worker &worker);
  /// Works on one seed, or on all that are left.
  [[noreturn]] void work(int fd, std::optional<uint64_t> only);
  void tryOne(int fd, uint64_t seed);
  void receive(Worker &worker);
  void end(Worker &worker, Verdict verdict, const std::string &reason);
  void record(uint64_t seed, Outcome outcome);
  void printSummary();
  double getElapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         start)
        .count();
  }

  const DialectRegistry &registry;
  const CommandLine &options;
  std::chrono::steady_clock::time_point start;
  std::atomic<int64_t> *next = nullptr;
  std::map<uint64_t, Outcome> outcomes;
  int64_t refused = 0, unchecked = 0, failures = 0;
  /// Seeds that timed out, and of those the ones to try again: a machine that
  /// stood still for a while fails nobody.
  std::set<uint64_t> late;
  std::vector<uint64_t> retries;
};

} // namespace

void Campaign::tryOne(int fd, uint64_t seed) {
  send(fd, seed, false, {});
  std::unique_ptr<MLIRContext> context = makeContext(registry);
  auto module = drawProgram(*context, seed, options.smith);
  TrialOptions trial = options.trial;
  trial.seed = seed;
  send(fd, seed, true, tryProgram(*module, trial));
}

void Campaign::work(int fd, std::optional<uint64_t> only) {
  // The parent says when it is over.
  for (int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, SIG_IGN);
  }
  attn_set_num_threads(static_cast<int>(options.threads));
  // There are more threads than cores: one of OpenMP's that spins after a loop,
  // as they do, keeps another program from its core.
  setenv("KMP_BLOCKTIME", "0", /*overwrite=*/0);
  if (only) {
    tryOne(fd, *only);
    _exit(0);
  }
  while (true) {
    int64_t index = next->fetch_add(1);
    if (index >= options.run) {
      _exit(0);
    }
    tryOne(fd, static_cast<uint64_t>(options.seed + index));
  }
}

bool Campaign::spawn(Worker &worker) {
  std::optional<uint64_t> only;
  if (!retries.empty()) {
    only = retries.back();
    retries.pop_back();
  }
  int ends[2];
  if (pipe(ends)) {
    return false;
  }
  pid_t pid = fork();
  if (pid < 0) {
    close(ends[0]);
    close(ends[1]);
    return false;
  }
  if (pid == 0) {
    close(ends[0]);
    work(ends[1], only);
  }
  close(ends[1]);
  worker = Worker();
  worker.pid = pid;
  worker.fd = ends[0];
  return true;
}

void Campaign::end(Worker &worker, Verdict verdict, const std::string &reason) {
  int status = 0;
  if (verdict == Verdict::TimedOut) {
    kill(worker.pid, SIGKILL);
  }
  waitpid(worker.pid, &status, 0);
  close(worker.fd);
  worker.fd = -1;
  if (worker.seed) {
    std::string why = reason.empty() ? describeExit(status) : reason;
    record(*worker.seed, {verdict, why});
    worker.seed.reset();
  }
}

void Campaign::receive(Worker &worker) {
  char buffer[1 << 16];
  ssize_t count = read(worker.fd, buffer, sizeof buffer);
  if (count < 0 && errno == EINTR) {
    return;
  }
  if (count <= 0) {
    end(worker, Verdict::Crashed, "");
    return;
  }
  worker.received.append(buffer, static_cast<size_t>(count));
  while (worker.received.size() >= sizeof(Message)) {
    Message message;
    std::memcpy(&message, worker.received.data(), sizeof message);
    size_t size = sizeof message + message.length;
    if (worker.received.size() < size) {
      return;
    }
    std::string reason = worker.received.substr(sizeof message, message.length);
    worker.received.erase(0, size);
    if (message.isEnd) {
      worker.seed.reset();
      record(message.seed,
             {message.verdict, std::move(reason), message.passed});
    } else {
      worker.seed = message.seed;
      worker.limit.emplace(worker.pid, options.timeout);
    }
  }
}

void Campaign::record(uint64_t seed, Outcome outcome) {
  if (outcome.verdict == Verdict::TimedOut && late.insert(seed).second) {
    retries.push_back(seed);
    return;
  }
  refused += outcome.verdict == Verdict::Refused;
  unchecked += outcome.verdict == Verdict::Unchecked;
  if (isFailure(outcome.verdict)) {
    ++failures;
    llvm::errs() << "seed " << seed << ": " << getName(outcome.verdict) << ": "
                 << StringRef(outcome.reason).rtrim() << "\n";
    if (!options.output.empty()) {
      if (llvm::Error error = saveProgram(
              options, seed, printProgram(registry, options, seed))) {
        llvm::errs() << "error: " << llvm::toString(std::move(error)) << "\n";
      }
    }
  }
  outcomes[seed] = std::move(outcome);
  size_t done = outcomes.size();
  if (done % 50 == 0 || done == static_cast<size_t>(options.run)) {
    llvm::errs() << llvm::format("%zu of %lld programs, %lld refused, %lld "
                                 "failed, %.0f s\n",
                                 done, static_cast<long long>(options.run),
                                 static_cast<long long>(refused),
                                 static_cast<long long>(failures),
                                 getElapsed());
  }
}

/// Set by an interrupt: no seed is begun any more.
static volatile std::sig_atomic_t isStopped = 0;

int Campaign::run() {
  void *shared = mmap(nullptr, sizeof *next, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    llvm::errs() << "error: no memory to share with workers\n";
    return kBadUsage;
  }
  next = new (shared) std::atomic<int64_t>(0);
  int64_t jobs = options.jobs
                     ? options.jobs
                     : std::max(1u, std::thread::hardware_concurrency());
  std::vector<Worker> workers(static_cast<size_t>(std::min(jobs, options.run)));
  for (int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) { isStopped = 1; });
  }
  while (true) {
    if (isStopped) {
      next->store(options.run);
      retries.clear();
    }
    std::vector<pollfd> polled;
    for (Worker &worker : workers) {
      bool isNeeded = next->load() < options.run || !retries.empty();
      if (worker.fd < 0 && isNeeded && !spawn(worker)) {
        llvm::errs() << "error: cannot start a process\n";
        return kBadUsage;
      }
      polled.push_back({worker.fd, POLLIN, 0});
    }
    if (llvm::all_of(workers, [](const Worker &w) { return w.fd < 0; })) {
      break;
    }
    poll(polled.data(), polled.size(), 1000);
    for (auto [worker, entry] : llvm::zip_equal(workers, polled)) {
      if (worker.fd >= 0 && entry.revents) {
        receive(worker);
      }
      if (worker.seed && worker.limit->isOver()) {
        end(worker, Verdict::TimedOut,
            "it took longer than " + std::to_string(options.timeout) +
                " seconds");
      }
    }
  }
  printSummary();
  return failures ? kFailures : kSuccess;
}

/// A reason without its numbers, which would make every one unique.
static std::string generalise(StringRef reason) {
  std::string text;
  for (char c : reason.split('\n').first) {
    bool isDigit = llvm::isDigit(c);
    if (!isDigit || !StringRef(text).ends_with("N")) {
      text += isDigit ? 'N' : c;
    }
  }
  return text;
}

void Campaign::printSummary() {
  std::map<std::string, int64_t> reasons;
  SmallVector<int64_t> passed(options.trial.checks.size());
  for (const auto &[seed, outcome] : outcomes) {
    if (!isFailure(outcome.verdict) && !outcome.reason.empty()) {
      StringRef what =
          outcome.verdict == Verdict::Refused ? "refused" : "not checked";
      ++reasons[(what + "|" + generalise(outcome.reason)).str()];
    }
    for (size_t k = 0; k < passed.size(); ++k) {
      passed[k] += outcome.passed >> k & 1;
    }
  }
  auto total = static_cast<int64_t>(outcomes.size());
  llvm::outs() << total
               << " programs: " << total - refused - unchecked - failures
               << " ok, " << refused << " refused, " << failures << " failed";
  if (unchecked) {
    llvm::outs() << ", " << unchecked << " not checked";
  }
  llvm::outs() << llvm::format("; %.1f s\n", getElapsed()) << "passed:";
  for (auto [name, count] : llvm::zip_equal(options.trial.checks, passed)) {
    llvm::outs() << " " << name << " " << count;
  }
  llvm::outs() << "\n";
  for (const auto &[key, count] : reasons) {
    auto [what, reason] = StringRef(key).split('|');
    llvm::outs() << what << " " << count << " times: " << reason << "\n";
  }
  for (const auto &[seed, outcome] : outcomes) {
    if (isFailure(outcome.verdict)) {
      llvm::outs() << "seed " << seed << ": " << getName(outcome.verdict)
                   << ": " << StringRef(outcome.reason).split('\n').first
                   << "\n";
    }
  }
}

int attn::runCampaign(const DialectRegistry &registry,
                      const CommandLine &options) {
  return Campaign(registry, options).run();
}
