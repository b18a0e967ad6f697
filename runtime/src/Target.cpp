//===- Target.cpp - what this machine can run -----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Metadata.h"
#include "Status.h"
#include <cstring>
#include <initializer_list>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

using namespace attn;

namespace {

enum class Support { Yes, No, Unknown };

#if defined(__x86_64__)
constexpr const char *kArchitecture = "x86_64";

/// Parts of the register file that the system saves, as bits of XCR0.
uint64_t getSavedState() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kOSXSave = 1u << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kOSXSave)) {
    return 0;
  }
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

Support hasFeature(const char *name) {
  struct Feature {
    const char *name;
    unsigned leaf, subleaf, word, bit, state;
  };
#define ATTN_FEATURE(name, leaf, subleaf, word, bit, state)                    \
  {name, leaf, subleaf, word, bit, state},
  static constexpr Feature features[] = {ATTN_X86_FEATURES(ATTN_FEATURE)};
#undef ATTN_FEATURE
  // Bits of XCR0: 1 and 2 for AVX, 5 to 7 for AVX-512, 17 and 18 for AMX.
  static constexpr uint64_t states[] = {0, 0x6, 0xe6, 0x60000};
  for (const Feature &feature : features) {
    if (std::strcmp(feature.name, name) != 0) {
      continue;
    }
    unsigned words[4] = {};
    bool known = __get_cpuid_count(feature.leaf, feature.subleaf, &words[0],
                                   &words[1], &words[2], &words[3]);
    uint64_t needed = states[feature.state];
    return known && (words[feature.word] >> feature.bit & 1) &&
                   (getSavedState() & needed) == needed
               ? Support::Yes
               : Support::No;
  }
  return Support::Unknown;
}

#elif defined(__aarch64__)
constexpr const char *kArchitecture = "aarch64";

Support hasFeature(const char *name) {
  struct Feature {
    const char *name;
    unsigned word, bit;
  };
#define ATTN_FEATURE(name, word, bit) {name, word, bit},
  static constexpr Feature features[] = {ATTN_AARCH64_FEATURES(ATTN_FEATURE)};
#undef ATTN_FEATURE
  for (const Feature &feature : features) {
    if (std::strcmp(feature.name, name) == 0) {
      unsigned long bits = getauxval(feature.word == 1 ? AT_HWCAP : AT_HWCAP2);
      return bits >> feature.bit & 1 ? Support::Yes : Support::No;
    }
  }
  return Support::Unknown;
}

#else
constexpr const char *kArchitecture = "unknown";
Support hasFeature(const char *) { return Support::Unknown; }
#endif

/// Tensors are on the device, scalars are on the host.
attn_status checkDevices(const List<attn_function> &functions,
                         uint32_t deviceType) {
  for (const attn_function &function : functions) {
    for (auto *list : {&function.arguments, &function.results}) {
      for (const Parameter &parameter : *list) {
        if (parameter.isScalar() && parameter.device != kDLCPU) {
          return fail(ATTN_UNSUPPORTED,
                      "'%s' of '%s' is a scalar for devices of type %u, the "
                      "runtime reads scalars on the host",
                      parameter.info.name, function.name, parameter.device);
        }
        if (!parameter.isScalar() && parameter.device != deviceType) {
          return fail(ATTN_UNSUPPORTED,
                      "'%s' of '%s' is for devices of type %u, the code of the "
                      "function is for type %u",
                      parameter.info.name, function.name, parameter.device,
                      deviceType);
        }
      }
    }
  }
  return ATTN_OK;
}

} // namespace

attn_status attn::checkTarget(const Metadata &metadata) {
  size_t length = std::strcspn(metadata.target, "-");
  if (length != std::strlen(kArchitecture) ||
      std::memcmp(metadata.target, kArchitecture, length) != 0) {
    return fail(ATTN_UNSUPPORTED,
                "the program is for target '%s', this machine is %s",
                metadata.target, kArchitecture);
  }
  for (const char *feature : metadata.features) {
    switch (hasFeature(feature)) {
    case Support::Yes:
      break;
    case Support::No:
      return fail(ATTN_UNSUPPORTED,
                  "the program needs the CPU feature '%s', which this machine "
                  "lacks: compile it for this machine",
                  feature);
    case Support::Unknown:
      return fail(ATTN_UNSUPPORTED,
                  "the program needs the CPU feature '%s', which this runtime "
                  "does not know",
                  feature);
    }
  }
  if (attn_status status = checkDevices(metadata.functions, kDLCPU)) {
    return status;
  }
  for (const DeviceProgram &program : metadata.programs) {
    if (attn_status status =
            checkDevices(program.functions, program.deviceType)) {
      return status;
    }
  }
  return ATTN_OK;
}
