//===- Program.cpp - the kernels of a compiled program --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loading takes milliseconds, or seconds where the driver compiles text, so it
// is done once per device: the first call does it under the program's lock, and
// later ones read a pointer.
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include "../Status.h"
#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace attn;
using namespace attn::gpu;

/// Machine code of CUDA runs on its major number, from its minor one on; text
/// on anything that is not older; a code object of AMD on its chip alone.
static bool fits(const DeviceImage &image, const Device &device) {
  uint32_t its = image.architecture, wanted = device.architecture;
  bool isCuda = device.place.device_type == kDLCUDA;
  switch (image.kind) {
  case ATTN_IMAGE_CUBIN:
    return isCuda && its <= wanted && its / 10 == wanted / 10;
  case ATTN_IMAGE_PTX:
    return isCuda && its <= wanted;
  case ATTN_IMAGE_HSACO:
    return !isCuda && its == wanted;
  }
  return false;
}

static bool isText(const DeviceImage &image) {
  return image.kind == ATTN_IMAGE_PTX;
}

/// Whether it suits better than another that fits: machine code does, then what
/// is newer.
static bool isBetter(const DeviceImage &image, const DeviceImage *other) {
  return !other || (isText(image) == isText(*other)
                        ? image.architecture > other->architecture
                        : !isText(image));
}

/// The image of a program that suits a device best, or null.
static const DeviceImage *findImage(const DeviceProgram &program,
                                    const Device &device, bool textOnly) {
  const DeviceImage *best = nullptr;
  for (const DeviceImage &image : program.images) {
    bool isMeant = isText(image) || !textOnly;
    if (isMeant && fits(image, device) && isBetter(image, best)) {
      best = &image;
    }
  }
  return best;
}

attn_status gpu::choose(DLDevice place, const attn_function *&function) {
  const DeviceProgram *first = function->program;
  // Which of several it is depends on the device, which has to be there then.
  if (!first->next || !isGPU(place)) {
    return ATTN_OK;
  }
  Device *device = nullptr;
  if (attn_status status = getDevice(place, device)) {
    return status;
  }
  const DeviceImage *best = nullptr;
  for (const attn_function *it = function; it; it = it->other) {
    const DeviceImage *image =
        it->program && it->program->deviceType == first->deviceType
            ? findImage(*it->program, *device, false)
            : nullptr;
    if (image && isBetter(*image, best)) {
      best = image;
      function = it;
    }
  }
  return ATTN_OK;
}

/// "PTX for sm_80", "a code object for gfx942".
static void print(const DeviceImage &image, char (&text)[64]) {
  static constexpr const char *formats[] = {
      "a cubin for sm_%u", "PTX for sm_%u", "a code object for gfx%x"};
  std::snprintf(text, sizeof(text), formats[image.kind], image.architecture);
}

static attn_status failUnsuitable(const DeviceProgram &program,
                                  const Device &device) {
  char list[512] = "nothing";
  size_t length = 0;
  for (const DeviceProgram *it = &program; it; it = it->next) {
    for (const DeviceImage &image : it->images) {
      char text[64];
      print(image, text);
      int more = std::snprintf(list + length, sizeof(list) - length, "%s%s",
                               length ? ", " : "", text);
      length = std::min(length + static_cast<size_t>(more), sizeof(list) - 1);
    }
  }
  const Driver &driver = *device.driver;
  return fail(ATTN_UNSUPPORTED,
              "the program cannot run on %s device %d (%s, %s): it has %s; "
              "compile it with --target=%s: for this device",
              driver.name, device.place.device_id, device.name, device.chip,
              list, driver.target);
}

static attn_status loadImage(const DeviceImage &image, Device &device,
                             Image *&loaded) {
  char log[700] = "";
  Outcome outcome =
      device.driver->loadImage(&loaded, image.data, log, sizeof(log) - 1);
  attn_status status = device.check(outcome);
  if (status && *log) {
    char text[256];
    return fail(status, "%s on %s device %d: %s: %s", outcome.call,
                device.driver->name, device.place.device_id,
                describe(*device.driver, outcome.result, text), log);
  }
  return status;
}

static attn_status findKernels(const DeviceProgram &program, Device &device,
                               Loaded &loaded) {
  for (uint32_t i = 0; i < program.kernels.count; ++i) {
    const DeviceKernel &kernel = program.kernels[i];
    if (attn_status status =
            device.check(device.driver->findKernel(&loaded.kernels[i],
                                                   loaded.image, kernel.name),
                         kernel.name)) {
      return status;
    }
    Outcome outcome = device.driver->allowShared(device, loaded.kernels[i],
                                                 kernel.sharedBytes);
    if (outcome.result == kInvalidValue) {
      return fail(ATTN_UNSUPPORTED,
                  "kernel '%s' takes %u bytes of shared memory, more than a "
                  "block has on %s device %d (%s)",
                  kernel.name, kernel.sharedBytes, device.driver->name,
                  device.place.device_id, device.name);
    }
    if (attn_status status = device.check(outcome, kernel.name)) {
      return status;
    }
  }
  return ATTN_OK;
}

/// What is on the device, unless that is dead, and what is known of it.
static void unloadFrom(Device *device, Loaded *loaded) {
  while (Constant *constant = loaded->constants.load()) {
    loaded->constants.store(constant->next);
    if (device) {
      device->driver->release(constant->data);
    }
    destroy(constant);
  }
  if (device && loaded->image) {
    device->driver->unloadImage(loaded->image);
  }
  std::free(loaded->kernels);
  destroy(loaded);
}

static attn_status loadNow(DeviceProgram &program, Device &device,
                           Loaded &loaded) {
  const DeviceImage *image = findImage(program, device, false);
  if (!image) {
    return failUnsuitable(program, device);
  }
  size_t bytes = sizeof(Kernel *) * (program.kernels.count + 1);
  loaded.kernels = static_cast<Kernel **>(std::malloc(bytes));
  if (!loaded.kernels) {
    return failOutOfMemory(bytes);
  }
  attn_status status = loadImage(*image, device, loaded.image);
  // Machine code of a toolkit that is newer than the driver, maybe.
  if (status == ATTN_UNSUPPORTED && image->kind == ATTN_IMAGE_CUBIN) {
    if (const DeviceImage *text = findImage(program, device, true)) {
      status = loadImage(*text, device, loaded.image);
    }
  }
  return status ? status : findKernels(program, device, loaded);
}

attn_status gpu::load(DeviceProgram &program, Device &device, Loaded *&loaded) {
  std::atomic<Loaded *> &place = program.loaded[device.place.device_id];
  loaded = place.load(std::memory_order_acquire);
  if (loaded) {
    return ATTN_OK;
  }
  pthread_mutex_lock(&program.mutex);
  attn_status status = ATTN_OK;
  loaded = place.load(std::memory_order_relaxed);
  if (!loaded) {
    loaded = create<Loaded>();
    status = loaded ? loadNow(program, device, *loaded)
                    : failOutOfMemory(sizeof(Loaded));
    if (loaded && status) {
      unloadFrom(&device, loaded);
      loaded = nullptr;
    }
    place.store(loaded, std::memory_order_release);
  }
  pthread_mutex_unlock(&program.mutex);
  return status;
}

static attn_status copyConstant(Device &device, Constant &constant,
                                size_t bytes) {
  if (attn_status status = device.check(
          device.driver->allocate(&constant.data, bytes ? bytes : 1),
          "a constant")) {
    return status;
  }
  attn_status status = device.check(
      device.driver->copyFromHost(constant.data, constant.source, bytes),
      "a constant");
  if (status) {
    device.driver->release(constant.data);
  }
  return status;
}

static Constant *find(const Loaded &loaded, const void *source) {
  Constant *constant = loaded.constants.load(std::memory_order_acquire);
  while (constant && constant->source != source) {
    constant = constant->next;
  }
  return constant;
}

attn_status gpu::getConstant(DeviceProgram &program, Device &device,
                             Loaded &loaded, const void *source, size_t bytes,
                             void *&data) {
  Constant *found = find(loaded, source);
  attn_status status = ATTN_OK;
  if (!found) {
    pthread_mutex_lock(&program.mutex);
    found = find(loaded, source);
    if (!found) {
      found = create<Constant>();
      status = found ? ATTN_OK : failOutOfMemory(sizeof(Constant));
      if (found) {
        found->source = source;
        status = copyConstant(device, *found, bytes);
      }
      if (status) {
        destroy(found);
      } else {
        found->next = loaded.constants.load(std::memory_order_relaxed);
        loaded.constants.store(found, std::memory_order_release);
      }
    }
    pthread_mutex_unlock(&program.mutex);
  }
  data = status ? nullptr : reinterpret_cast<void *>(found->data);
  return status;
}

void gpu::unload(DeviceProgram &program) {
  for (int id = 0; id < kMaxDevices; ++id) {
    Loaded *loaded = program.loaded[id].load();
    if (!loaded) {
      continue;
    }
    auto type = static_cast<DLDeviceType>(program.deviceType);
    onLiveDevice({type, id}, [&](Device &device) {
      unloadFrom(&device, loaded);
      loaded = nullptr;
    });
    if (loaded) {
      unloadFrom(nullptr, loaded);
    }
    program.loaded[id].store(nullptr);
  }
}
