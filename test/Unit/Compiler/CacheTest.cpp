//===- CacheTest.cpp - compiled programs on disk --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cache must never give what was not stored, whatever happens to its files,
// its disk and its processes.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Cache.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <random>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace mlir::attn;

namespace {

/// The exit code of a child that could not set up its surroundings.
constexpr int kSkipped = 77;

class CacheTest : public testing::Test {
protected:
  CacheTest() {
    llvm::SmallString<128> path;
    llvm::sys::fs::createUniqueDirectory("attn-cache", path);
    directory = path.str().str();
    ::chmod(directory.c_str(), 0700);
  }
  ~CacheTest() override { llvm::sys::fs::remove_directories(directory); }

  std::unique_ptr<Cache> open(uint64_t maxBytes = 1 << 26) const {
    auto cache = Cache::open({directory, maxBytes});
    if (!cache) {
      llvm::report_fatal_error(cache.takeError());
    }
    return std::move(*cache);
  }

  std::string getError(CacheOptions options) const {
    auto cache = Cache::open(std::move(options));
    EXPECT_FALSE(static_cast<bool>(cache));
    return llvm::toString(cache.takeError());
  }

  /// Files of the directory but for the lock.
  std::vector<std::string> listFiles() const {
    std::vector<std::string> files;
    std::error_code code;
    for (llvm::sys::fs::directory_iterator at(directory, code), end;
         at != end && !code; at.increment(code)) {
      if (llvm::sys::path::filename(at->path()) != "lock") {
        files.push_back(at->path());
      }
    }
    return files;
  }

  std::string directory;
};

CacheKey getKey(unsigned number) {
  return makeCacheKey({"entry", std::to_string(number)});
}

/// What is stored under a key follows from it.
std::string getPayload(unsigned number, size_t bytes = 1000) {
  std::mt19937 random(number);
  std::string payload(bytes + number % 7, '\0');
  for (char &byte : payload) {
    byte = static_cast<char>(random());
  }
  return payload;
}

std::string find(const Cache &cache, const CacheKey &key) {
  auto found = cache.find(key);
  return found ? found->getBuffer().str() : "(none)";
}

void store(const Cache &cache, unsigned number, size_t bytes = 1000) {
  EXPECT_EQ(
      llvm::toString(cache.store(getKey(number), getPayload(number, bytes))),
      "");
}

/// A write that is refused, as an exit code.
int storeAndExpectError(const Cache &cache, unsigned number, size_t bytes,
                        llvm::StringRef text) {
  std::string message =
      llvm::toString(cache.store(getKey(number), getPayload(number, bytes)));
  if (llvm::StringRef(message).contains(text)) {
    return 0;
  }
  llvm::errs() << "expected '" << text << "', got '" << message << "'\n";
  return 1;
}

/// Runs `fn` in a process of its own; its exit status.
template <typename Function> int runChild(Function fn) {
  pid_t child = ::fork();
  if (child == 0) {
    ::_exit(fn());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// In place: some file systems flush a file that was truncated first.
void writeFile(const std::string &path, llvm::StringRef bytes) {
  int file = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  EXPECT_EQ(::write(file, bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(::ftruncate(file, bytes.size()), 0);
  ::close(file);
}

std::string readFile(const std::string &path) {
  auto file = llvm::MemoryBuffer::getFile(path);
  return file ? (*file)->getBuffer().str() : "";
}

TEST_F(CacheTest, FindsWhatWasStored) {
  auto cache = open();
  EXPECT_EQ(find(*cache, getKey(1)), "(none)");
  store(*cache, 1);
  store(*cache, 2, 0);
  EXPECT_EQ(find(*cache, getKey(1)), getPayload(1));
  EXPECT_EQ(find(*open(), getKey(2)), getPayload(2, 0));
  EXPECT_EQ(find(*cache, getKey(3)), "(none)");
  EXPECT_FALSE(cache->store(getKey(1), "another"));
  EXPECT_EQ(find(*cache, getKey(1)), "another");
}

TEST_F(CacheTest, KeysTellPartsApart) {
  EXPECT_NE(makeCacheKey({"ab", "c"}), makeCacheKey({"a", "bc"}));
  EXPECT_NE(makeCacheKey({"ab"}), makeCacheKey({"ab", ""}));
  EXPECT_EQ(makeCacheKey({"ab", "c"}), makeCacheKey({"ab", "c"}));
}

TEST(BuildId, NamesThreeFiles) {
  llvm::SmallVector<llvm::StringRef> parts;
  getCompilerBuildId().split(parts, ' ');
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_TRUE(parts[0].starts_with("22."));
  for (llvm::StringRef id : llvm::ArrayRef(parts).drop_front()) {
    EXPECT_GE(id.size(), 16u) << id.str();
  }
  EXPECT_NE(parts[1], parts[2]);
  EXPECT_NE(parts[2], parts[3]);
}

TEST_F(CacheTest, DamagedEntriesAreMisses) {
  auto cache = open();
  store(*cache, 1);
  std::string path = listFiles().front();
  std::string good = readFile(path);
  ASSERT_GT(good.size(), 1000u);
  std::mt19937_64 random(7);
  auto below = [&](size_t limit) { return random() % limit; };
  for (int round = 0; round < 10000; ++round) {
    std::string bad = good;
    switch (round % 5) {
    case 0: // any bit of the file, one after the other
      bad[round / 5 % bad.size()] ^= static_cast<char>(1 << below(8));
      break;
    case 1:
      bad.resize(below(bad.size()));
      break;
    case 2: // a block that never reached the disk
      std::fill_n(bad.begin() + below(bad.size() - 64), 64, '\0');
      break;
    case 3:
      bad += std::string(1 + below(100), static_cast<char>(below(256)));
      break;
    case 4:
      for (size_t flips = 2 + below(30); flips > 0; --flips) {
        bad[below(bad.size())] ^= static_cast<char>(1 + below(255));
      }
      break;
    }
    if (bad == good) {
      continue;
    }
    writeFile(path, bad);
    ASSERT_EQ(cache->find(getKey(1)), nullptr) << "round " << round;
    if (round % 500 == 0) {
      store(*cache, 1);
      ASSERT_EQ(find(*cache, getKey(1)), getPayload(1));
    }
  }
  store(*cache, 1);
  EXPECT_EQ(find(*cache, getKey(1)), getPayload(1));
}

TEST_F(CacheTest, EntriesOfOtherKeysAreMisses) {
  auto cache = open();
  store(*cache, 1);
  std::string first = listFiles().front();
  std::string bytes = readFile(first);
  store(*cache, 2);
  for (const std::string &path : listFiles()) {
    writeFile(path, bytes);
  }
  EXPECT_EQ(find(*cache, getKey(1)), getPayload(1));
  EXPECT_EQ(find(*cache, getKey(2)), "(none)");
}

TEST_F(CacheTest, OddFilesAreMisses) {
  auto cache = open();
  store(*cache, 1);
  std::string path = listFiles().front();
  std::string elsewhere = directory + "/elsewhere";
  ASSERT_EQ(::rename(path.c_str(), elsewhere.c_str()), 0);
  ASSERT_EQ(::symlink(elsewhere.c_str(), path.c_str()), 0);
  EXPECT_EQ(cache->find(getKey(1)), nullptr);
  ::unlink(path.c_str());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(cache->find(getKey(1)), nullptr);
  store(*cache, 1);
  EXPECT_EQ(find(*cache, getKey(1)), getPayload(1));
}

TEST_F(CacheTest, DropsWhatWasUsedLeastRecently) {
  auto cache = open(/*maxBytes=*/4500);
  for (unsigned number = 0; number < 4; ++number) {
    store(*cache, number);
    ::usleep(20000); // file times have the grain of the kernel's clock
  }
  EXPECT_EQ(find(*cache, getKey(0)), getPayload(0));
  store(*cache, 4);
  EXPECT_EQ(find(*cache, getKey(0)), getPayload(0));
  EXPECT_EQ(find(*cache, getKey(1)), "(none)");
  EXPECT_EQ(find(*cache, getKey(4)), getPayload(4));
  std::string message =
      llvm::toString(cache->store(getKey(5), getPayload(5, 5000)));
  EXPECT_EQ(message, "it is larger than the limit of the cache (4500 bytes)");
  EXPECT_EQ(find(*cache, getKey(4)), getPayload(4));
}

TEST_F(CacheTest, MustBePrivate) {
  ::chmod(directory.c_str(), 0755);
  EXPECT_EQ(getError({directory}),
            "cache directory '" + directory +
                "' is open to other users, who could put code there: run chmod "
                "700 on it");
  ::chmod(directory.c_str(), 0700);
  std::string file = directory + "/file";
  writeFile(file, "");
  EXPECT_EQ(getError({file}),
            "cache directory '" + file + "' cannot be opened: Not a directory");
  std::string below = file + "/below";
  EXPECT_EQ(getError({below}),
            "cache directory '" + below + "' cannot be made: Not a directory");
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(directory.c_str(), 65534, 65534), 0);
    EXPECT_EQ(getError({directory}),
              "cache directory '" + directory +
                  "' belongs to another user, who could put code there: set "
                  "ATTN_CACHE_DIR to a directory of your own");
  }
}

TEST_F(CacheTest, MakesAPrivateDirectory) {
  std::string path = directory + "/some/where";
  ASSERT_TRUE(static_cast<bool>(Cache::open({path})));
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(CacheTest, ReadsTheEnvironment) {
  auto set = [](const char *name, const char *value) {
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  };
  auto read = [](const char *name) {
    const char *value = std::getenv(name);
    return value ? std::string(value) : "";
  };
  auto get = [] {
    auto options = CacheOptions::fromEnvironment();
    return options ? options->directory + ":" +
                         std::to_string(options->maxBytes >> 20)
                   : llvm::toString(options.takeError());
  };
  std::string home = read("HOME"), xdg = read("XDG_CACHE_HOME");
  set("HOME", "/home/me");
  set("XDG_CACHE_HOME", "relative/is/invalid");
  EXPECT_EQ(get(), "/home/me/.cache/attn-mlir:1024");
  set("XDG_CACHE_HOME", "/var/me");
  EXPECT_EQ(get(), "/var/me/attn-mlir:1024");
  set("ATTN_CACHE_DIR", "/here");
  set("ATTN_CACHE_MAX_MIB", "20");
  EXPECT_EQ(get(), "/here:20");
  set("ATTN_CACHE_MAX_MIB", "much");
  EXPECT_EQ(get(), "ATTN_CACHE_MAX_MIB is a number of mebibytes, not 'much'");
  set("ATTN_CACHE", "off");
  EXPECT_EQ(get(), ":1024");
  auto none = Cache::openDefault();
  EXPECT_TRUE(none && !*none);
  set("ATTN_CACHE", "perhaps");
  EXPECT_EQ(get(), "ATTN_CACHE is on or off, not 'perhaps'");
  for (const char *name :
       {"ATTN_CACHE", "ATTN_CACHE_DIR", "ATTN_CACHE_MAX_MIB"}) {
    set(name, nullptr);
  }
  set("HOME", home.empty() ? nullptr : home.c_str());
  set("XDG_CACHE_HOME", xdg.empty() ? nullptr : xdg.c_str());
}

TEST_F(CacheTest, SurvivesKilledWriters) {
  auto cache = open();
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    pid_t child = ::fork();
    if (child == 0) {
      for (unsigned number = 0;; ++number) {
        llvm::consumeError(
            cache->store(getKey(number % 5), getPayload(number % 5, 300000)));
      }
    }
    ::usleep(1000 + random() % 9000);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (unsigned number = 0; number < 5; ++number) {
      if (auto found = cache->find(getKey(number))) {
        ASSERT_EQ(found->getBuffer(), getPayload(number, 300000));
      }
    }
  }
  store(*cache, 9); // which removes what was left behind
  for (const std::string &path : listFiles()) {
    EXPECT_TRUE(llvm::StringRef(path).ends_with(".bin")) << path;
  }
}

TEST_F(CacheTest, UnfinishedFilesOfLivingWritersStay) {
  auto cache = open();
  std::string left = directory + "/unfinished-1-left";
  std::string held = directory + "/unfinished-1-held";
  writeFile(left, "x");
  writeFile(held, "x");
  int file = ::open(held.c_str(), O_RDWR);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  cache->trim();
  EXPECT_EQ(listFiles(), std::vector<std::string>{held});
  ::close(file);
  cache->trim();
  EXPECT_TRUE(listFiles().empty());
}

TEST_F(CacheTest, SixteenProcesses) {
  std::vector<pid_t> children;
  for (unsigned process = 0; process < 16; ++process) {
    pid_t child = ::fork();
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    // Half as much room as the entries need, so that some are dropped.
    auto cache = Cache::open({directory, 40000});
    std::mt19937 random(process);
    for (int round = 0; cache && round < 60; ++round) {
      unsigned number = random() % 8;
      auto found = (*cache)->find(getKey(number));
      std::string payload = getPayload(number, 10000);
      if (found ? found->getBuffer() != payload
                : static_cast<bool>((*cache)->store(getKey(number), payload))) {
        ::_exit(1);
      }
    }
    ::_exit(cache ? 0 : 2);
  }
  for (pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  uint64_t total = 0;
  open(40000)->trim();
  for (const std::string &path : listFiles()) {
    total += readFile(path).size();
    EXPECT_TRUE(llvm::StringRef(path).ends_with(".bin")) << path;
  }
  EXPECT_LE(total, 40000u);
  EXPECT_GT(total, 10000u);
}

TEST_F(CacheTest, ThreadsShareOneCache) {
  auto cache = open();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (unsigned round = 0; round < 20; ++round) {
        unsigned number = (thread + round) % 4;
        llvm::consumeError(cache->store(getKey(number), getPayload(number)));
        wrong += find(*cache, getKey(number)) != getPayload(number);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(CacheTest, LimitsOnFileSizeAreErrors) {
  auto cache = open();
  store(*cache, 1);
  EXPECT_EQ(runChild([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              rlimit limit{4096, 4096};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              return storeAndExpectError(*cache, 2, 10000, "File too large") +
                     storeAndExpectError(*cache, 1, 10000, "File too large");
            }),
            0);
  EXPECT_EQ(find(*cache, getKey(1)), getPayload(1));
  EXPECT_EQ(find(*cache, getKey(2)), "(none)");
  EXPECT_EQ(listFiles().size(), 1u);
}

/// Mounts a small file system over the directory, for this process alone.
bool mountOver(const std::string &directory, unsigned long flags) {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", directory.c_str(), "tmpfs", flags,
                 "size=64k,mode=0700") == 0;
}

TEST_F(CacheTest, FullDisksAreErrors) {
  int code = runChild([&] {
    if (!mountOver(directory, 0)) {
      return kSkipped;
    }
    auto cache = open();
    store(*cache, 1);
    int wrong =
        storeAndExpectError(*cache, 2, 1 << 20, "No space left on device") +
        (find(*cache, getKey(1)) != getPayload(1)) + (listFiles().size() != 1);
    store(*cache, 3); // there is room again
    return wrong + (find(*cache, getKey(3)) != getPayload(3));
  });
  if (code == kSkipped) {
    GTEST_SKIP() << "needs the right to mount";
  }
  EXPECT_EQ(code, 0);
}

TEST_F(CacheTest, ReadOnlyDisksAreRead) {
  int code = runChild([&] {
    if (!mountOver(directory, 0)) {
      return kSkipped;
    }
    store(*open(), 1);
    if (::mount(nullptr, directory.c_str(), nullptr, MS_REMOUNT | MS_RDONLY,
                nullptr) != 0) {
      return kSkipped;
    }
    auto cache = open();
    cache->trim();
    return (find(*cache, getKey(1)) != getPayload(1)) +
           storeAndExpectError(*cache, 2, 1000, "Read-only file system");
  });
  if (code == kSkipped) {
    GTEST_SKIP() << "needs the right to mount";
  }
  EXPECT_EQ(code, 0);
}

TEST_F(CacheTest, ReadOnlyDirectoriesAreRead) {
  store(*open(), 1);
  ASSERT_EQ(::unlink((directory + "/lock").c_str()), 0);
  int code = runChild([&] {
    if (::geteuid() == 0) { // to whom modes mean nothing
      for (const std::string &path : listFiles()) {
        (void)!::chown(path.c_str(), 65534, 65534);
      }
      (void)!::chown(directory.c_str(), 65534, 65534);
      (void)!::seteuid(65534);
    }
    ::chmod(directory.c_str(), 0500);
    auto cache = open();
    int wrong = (find(*cache, getKey(1)) != getPayload(1)) +
                storeAndExpectError(*cache, 2, 1000, "Permission denied");
    ::chmod(directory.c_str(), 0700);
    return wrong;
  });
  EXPECT_EQ(code, 0);
}

TEST_F(CacheTest, WarnsOnce) {
  auto cache = open();
  EXPECT_TRUE(cache->shouldWarn());
  EXPECT_FALSE(cache->shouldWarn());
}

} // namespace
