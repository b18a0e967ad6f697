//===- Schedule.cpp - which thread of a block runs next -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread runs until it has to wait, and then any other that can run is drawn.
// Races do not need finer steps: they are found by what threads know of each
// other, not by what happened first.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

using namespace attn::emulator;

thread_local Emulator *attn::emulator::running = nullptr;

uint64_t Random::next() {
  // SplitMix64.
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Draws a thread that can run, and goes on with it.
static void runNext(Emulator &emulator, Fiber &from, bool ends) {
  while (emulator.numReady == 0 &&
         (landOneInBulk(emulator) || landOne(emulator))) {
  }
  if (emulator.numReady == 0) {
    switchTo(from, emulator.origin, ends);
    return;
  }
  uint32_t drawn = emulator.random.below(emulator.numReady);
  uint32_t next = emulator.ready[drawn];
  emulator.ready[drawn] = emulator.ready[--emulator.numReady];
  emulator.current = next;
  Thread &thread = emulator.threads[next];
  if (&thread.fiber == &from) {
    return;
  }
  ++emulator.switches;
  switchTo(from, thread.fiber, ends);
}

static void makeReady(Emulator &emulator, Thread &thread) {
  thread.state = State::Ready;
  thread.wait = {};
  emulator.ready[emulator.numReady++] = thread.index;
}

/// Threads that ask whether something has happened, and have been told so often
/// that it has not, wait in vain: this takes a moment.
static constexpr uint32_t kMaxPolls = 1 << 20;

void attn::emulator::poll(Emulator &emulator, const Wait &wait) {
  if (++emulator.numPolls > kMaxPolls) {
    Thread &thread = emulator.getCurrent();
    thread.wait = wait;
    thread.state = State::Waiting;
    reportDeadlock(emulator, thread);
    emulator.isBroken = true;
    leave(emulator);
  }
  if (emulator.numReady == 0 && !landOneInBulk(emulator)) {
    landOne(emulator);
  }
  attn_emulator_yield();
}

void attn::emulator::wake(Emulator &emulator, Thread &thread) {
  emulator.numPolls = 0;
  makeReady(emulator, thread);
}

void attn::emulator::leave(Emulator &emulator) {
  emulator.getCurrent().state = State::Exited;
  switchTo(emulator.getCurrent().fiber, emulator.origin, true);
  __builtin_unreachable();
}

void attn::emulator::runOthers(Emulator &emulator) {
  Thread &thread = emulator.getCurrent();
  landSome(emulator, thread);
  landSomeInBulk(emulator);
  landSomeProduct(emulator);
  runNext(emulator, thread.fiber, false);
  if (emulator.isDying) {
    leave(emulator);
  }
}

void attn_emulator_yield(void) {
  Emulator &emulator = *running;
  makeReady(emulator, emulator.getCurrent());
  runOthers(emulator);
}

void attn_emulator_exit(void) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  checkCopies(emulator, thread);
  checkBulk(emulator, thread);
  checkProducts(emulator, thread);
  emulator.numPolls = 0;
  thread.state = State::Exited;
  ++emulator.numExited;
  checkWarp(emulator, thread);
  checkWarpgroup(emulator, thread);
  leaveCluster(emulator, thread);
  runNext(emulator, thread.fiber, true);
  __builtin_unreachable();
}

/// What every fiber begins with.
static void runThread() {
  enter(running->origin);
  if (running->isDying) {
    leave(*running);
  }
  running->kernel.entry(running->arguments);
  attn_emulator_exit();
}

/// Fibers of a launch that was broken off are where they were. Sanitizers want
/// each of them to end.
static void endFibers(Emulator &emulator) {
  emulator.isDying = true;
  for (uint32_t i = 0; i < emulator.numThreads; ++i) {
    Thread &thread = emulator.threads[i];
    if (thread.state != State::Exited) {
      emulator.current = i;
      switchTo(emulator.origin, thread.fiber);
    }
    release(thread.fiber);
  }
  emulator.isDying = false;
}

bool attn::emulator::runBlock(Emulator &emulator) {
  for (uint32_t i = 0; i < emulator.numThreads; ++i) {
    Thread &thread = emulator.threads[i];
    thread.state = State::Ready;
    thread.wait = {};
    thread.committed = thread.completed = thread.numCopies = 0;
    thread.copyTick = 1;
    thread.copyAgent = thread.waitedTick = thread.tracked = 0;
    thread.numArrivals = 0;
    thread.watched = nullptr;
    thread.clusterArrivals = thread.clusterWaits = 0;
    thread.bulkCommitted = thread.bulkRead = thread.bulkAgent = 0;
    thread.isBulkOpen = false;
    emulator.stacks.clear(i);
    prepare(thread.fiber, emulator.stacks.get(i), runThread);
    emulator.ready[i] = i;
  }
  emulator.numReady = emulator.numThreads;
  emulator.numExited = emulator.numPolls = 0;
  runNext(emulator, emulator.origin, false);
  if (!emulator.isBroken && emulator.numExited < emulator.numThreads) {
    const Thread *waiting = emulator.threads;
    while (waiting->state != State::Waiting) {
      ++waiting;
    }
    reportDeadlock(emulator, *waiting);
    emulator.isBroken = true;
  }
  if (!emulator.isBroken &&
      (!finishBulk(emulator) || !checkRegisters(emulator))) {
    emulator.isBroken = true;
  }
  endFibers(emulator);
  return !emulator.isBroken;
}
