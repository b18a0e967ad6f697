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
#include <cstdio>
#include <cstring>

using namespace attn;
using namespace attn::cuda;

const DeviceImage *cuda::choose(const DeviceProgram &program, int architecture,
                                bool textOnly) {
  const DeviceImage *best = nullptr;
  for (const DeviceImage &image : program.images) {
    auto its = static_cast<int>(image.architecture);
    bool isText = image.kind == ATTN_IMAGE_PTX;
    bool fits = its <= architecture &&
                (isText || (!textOnly && its / 10 == architecture / 10));
    if (!fits) {
      continue;
    }
    bool isBetter = !best || (isText == (best->kind == ATTN_IMAGE_PTX)
                                  ? image.architecture > best->architecture
                                  : !isText);
    best = isBetter ? &image : best;
  }
  return best;
}

static attn_status failUnsuitable(const DeviceProgram &program,
                                  const Device &device) {
  char list[512] = "nothing";
  int length = 0;
  for (const DeviceImage &image : program.images) {
    auto left = sizeof(list) - static_cast<size_t>(length);
    int more = std::snprintf(
        list + length, left, "%s%s for sm_%u", length ? ", " : "",
        image.kind == ATTN_IMAGE_PTX ? "PTX" : "a cubin", image.architecture);
    if (more < 0 || static_cast<size_t>(more) >= left) {
      break;
    }
    length += more;
  }
  return fail(ATTN_UNSUPPORTED,
              "the program cannot run on CUDA device %d (%s, sm_%d): it has "
              "%s; compile it with --target=cuda: for this device",
              device.id, device.name, device.architecture, list);
}

static attn_status loadImage(const DeviceImage &image, Device &device,
                             Image *&loaded) {
  char log[700] = "";
  LoadOption options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
  Result result = device.driver->cuModuleLoadDataEx(&loaded, image.data, 2,
                                                    options, values);
  attn_status status = device.check(result, "cuModuleLoadDataEx");
  if (status && *log) {
    char text[256];
    return fail(status, "cuModuleLoadDataEx on CUDA device %d: %s: %s",
                device.id, describe(*device.driver, result, text), log);
  }
  return status;
}

static attn_status findKernels(const DeviceProgram &program, Device &device,
                               Loaded &loaded) {
  // Without asking, a block has as much.
  constexpr uint32_t kDefaultSharedBytes = 48 << 10;
  for (uint32_t i = 0; i < program.kernels.count; ++i) {
    const DeviceKernel &kernel = program.kernels[i];
    if (attn_status status =
            device.check(device.driver->cuModuleGetFunction(
                             &loaded.kernels[i], loaded.image, kernel.name),
                         "cuModuleGetFunction", kernel.name)) {
      return status;
    }
    if (kernel.sharedBytes <= kDefaultSharedBytes) {
      continue;
    }
    Result result = device.driver->cuFuncSetAttribute(
        loaded.kernels[i], kMaxDynamicSharedBytes,
        static_cast<int>(kernel.sharedBytes));
    if (result == kInvalidValue) {
      return fail(ATTN_UNSUPPORTED,
                  "kernel '%s' takes %u bytes of shared memory, more than a "
                  "block has on CUDA device %d (%s)",
                  kernel.name, kernel.sharedBytes, device.id, device.name);
    }
    if (attn_status status =
            device.check(result, "cuFuncSetAttribute", kernel.name)) {
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
      device->driver->cuMemFree_v2(constant->data);
    }
    destroy(constant);
  }
  if (device && loaded->image) {
    device->driver->cuModuleUnload(loaded->image);
  }
  std::free(loaded->kernels);
  destroy(loaded);
}

static attn_status loadNow(DeviceProgram &program, Device &device,
                           Loaded &loaded) {
  const DeviceImage *image = choose(program, device.architecture, false);
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
    if (const DeviceImage *text = choose(program, device.architecture, true)) {
      status = loadImage(*text, device, loaded.image);
    }
  }
  return status ? status : findKernels(program, device, loaded);
}

attn_status cuda::load(DeviceProgram &program, Device &device,
                       Loaded *&loaded) {
  std::atomic<Loaded *> &place = program.loaded[device.id];
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
          device.driver->cuMemAlloc_v2(&constant.data, bytes ? bytes : 1),
          "cuMemAlloc", "a constant")) {
    return status;
  }
  attn_status status = device.check(
      device.driver->cuMemcpyHtoD_v2(constant.data, constant.source, bytes),
      "cuMemcpyHtoD", "a constant");
  if (status) {
    device.driver->cuMemFree_v2(constant.data);
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

attn_status cuda::getConstant(DeviceProgram &program, Device &device,
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

void cuda::unload(DeviceProgram &program) {
  for (int id = 0; id < kMaxDevices; ++id) {
    Loaded *loaded = program.loaded[id].load();
    if (!loaded) {
      continue;
    }
    onLiveDevice(id, [&](Device &device) {
      unloadFrom(&device, loaded);
      loaded = nullptr;
    });
    if (loaded) {
      unloadFrom(nullptr, loaded);
    }
    program.loaded[id].store(nullptr);
  }
}
