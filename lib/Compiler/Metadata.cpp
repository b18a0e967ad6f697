//===- Metadata.cpp - what a compiled program says of itself --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes what attn_module.h of the runtime describes. Axes of one name share a
// symbol; what a program asks of its arguments beyond that is written as
// relations between extents and as rules for values.
//
//===----------------------------------------------------------------------===//

#include "Metadata.h"

#include "CodeGen.h"
#include "attn/Target/GPU/Device.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

/// Appends numbers and texts as the record has them.
class Writer {
public:
  void writeBytes(StringRef text) { bytes += text.str(); }
  void writeU8(uint8_t value) { bytes += static_cast<char>(value); }
  void writeU32(uint32_t value) { writeNumber(value); }
  void writeU64(uint64_t value) { writeNumber(value); }
  void writeString(StringRef text) {
    writeU32(text.size());
    writeBytes(text);
  }
  void writeStrings(ArrayRef<std::string> texts) {
    writeU32(texts.size());
    for (StringRef text : texts) {
      writeString(text);
    }
  }
  void writeExpression(const ExtentExpression &expression) {
    writeU32(expression.size());
    for (const ExtentTerm &term : expression) {
      writeU8(term.op);
      if (hasOperand(term.op)) {
        writeU64(static_cast<uint64_t>(term.operand));
      }
    }
  }

  std::string bytes;

private:
  template <typename Number> void writeNumber(Number value) {
    char text[sizeof(value)];
    llvm::support::endian::write(text, value, llvm::endianness::little);
    bytes.append(text, sizeof(value));
  }
};

std::pair<uint8_t, uint8_t> getDLPackType(ElementType type) {
  constexpr uint8_t integer = 0, real = 2, brain = 4;
  uint8_t bits = static_cast<uint8_t>(8 * getByteWidth(type));
  switch (type) {
  case ElementType::F64:
  case ElementType::F32:
  case ElementType::F16:
    return {real, bits};
  case ElementType::BF16:
    return {brain, bits};
  case ElementType::F8E4M3:
    return {ATTN_DL_FLOAT8_E4M3FN, bits};
  case ElementType::F8E5M2:
    return {ATTN_DL_FLOAT8_E5M2, bits};
  case ElementType::I64:
  case ElementType::I32:
  case ElementType::I8:
  case ElementType::Index:
    return {integer, bits};
  case ElementType::I1:
    return {ATTN_DL_BOOL, bits};
  }
  llvm_unreachable("all element types are handled");
}

/// DLPack's types of devices.
constexpr uint32_t kHost = 1, kCUDA = 2, kROCM = 10;

uint8_t getImageKind(ImageKind kind) {
  switch (kind) {
  case ImageKind::Cubin:
    return ATTN_IMAGE_CUBIN;
  case ImageKind::PTX:
    return ATTN_IMAGE_PTX;
  case ImageKind::CodeObject:
    return ATTN_IMAGE_HSACO;
  }
  llvm_unreachable("all kinds of images are handled");
}

/// Writes one function.
class FunctionWriter {
public:
  FunctionWriter(const Signature &signature, const FunctionRecord &record,
                 uint32_t deviceType, StringRef prefix, Writer &writer)
      : signature(signature), record(record), deviceType(deviceType),
        prefix(prefix), symbols(signature), writer(writer) {}

  void write() {
    writer.writeString(signature.function);
    writer.writeString((prefix + signature.function).str());
    writer.writeU32(symbols.numbers.size());
    for (auto &[name, number] : symbols.numbers) {
      writer.writeString(name);
    }
    writer.writeU32(signature.arguments.size());
    for (const Parameter &argument : signature.arguments) {
      writeParameter(argument, ATTN_RESULT_RETURNED);
      for (unsigned axis = 0; axis < argument.shape.size(); ++axis) {
        writer.writeExpression(symbols.getExtent(argument, axis));
      }
    }
    writer.writeU32(signature.results.size());
    for (auto [result, axes, isPassed] :
         llvm::zip_equal(signature.results, record.extents, record.isPassed)) {
      writeParameter(result, result.alias ? ATTN_RESULT_ALIAS
                             : isPassed   ? ATTN_RESULT_PASSED
                                          : ATTN_RESULT_RETURNED);
      for (const ExtentExpression &extent : axes) {
        writer.writeExpression(extent);
      }
    }
    writeRelations();
    writeRules();
    writer.writeExpression(record.workspace);
    writer.writeExpression(record.threadWorkspace);
    writer.writeString(record.unbounded);
  }

private:
  /// All but the extents.
  void writeParameter(const Parameter &parameter, attn_result_mode mode) {
    writer.writeString(parameter.name);
    auto [code, bits] = getDLPackType(parameter.type);
    writer.writeU8(code);
    writer.writeU8(bits);
    writer.writeU8((parameter.isScalar ? ATTN_PARAMETER_SCALAR : 0) |
                   (parameter.isWritable ? ATTN_PARAMETER_WRITABLE : 0));
    writer.writeU8(mode);
    writer.writeU32(parameter.alias.value_or(0));
    writer.writeU32(parameter.isScalar ? kHost : deviceType);
    writer.writeU32(0); // aligned as an element is
    writer.writeU32(parameter.shape.size());
  }

  ExtentExpression getSource(const ExtentSource &source) const {
    return source.argument ? combine(symbols.getExtent(
                                         signature.arguments[*source.argument],
                                         source.axis),
                                     getConstant(source.factor), ATTN_OP_MUL)
                           : getConstant(source.factor);
  }

  void writeRelations() {
    uint32_t count = 0;
    Writer relations;
    auto add = [&](attn_relation_kind kind, unsigned argument,
                   const ExtentExpression &lhs, const ExtentExpression &rhs,
                   const llvm::Twine &text) {
      ++count;
      relations.writeU8(kind);
      relations.writeU32(argument);
      relations.writeExpression(lhs);
      relations.writeExpression(rhs);
      relations.writeString(text.str());
    };
    for (const ExtentRelation &relation : signature.relations) {
      ExtentExpression extent = symbols.getExtent(
          signature.arguments[relation.argument], relation.axis);
      ExtentExpression source = getSource(relation.source);
      add(ATTN_RELATION_EQUAL, relation.argument, extent, source,
          describe(relation, signature));
    }
    for (auto [number, argument] : llvm::enumerate(signature.arguments)) {
      // A name that stands for a number here and is open elsewhere.
      for (auto [extent, dim] : llvm::zip(argument.shape, argument.dims)) {
        auto symbol = symbols.find(dim);
        if (!ShapedType::isDynamic(extent) && symbol) {
          add(ATTN_RELATION_EQUAL, number, {{ATTN_OP_SYMBOL, *symbol}},
              getConstant(extent),
              "needs " + dim + " = " + llvm::Twine(extent));
        }
      }
      if (argument.list) {
        auto [query, block] = *argument.list;
        add(ATTN_RELATION_LESS_EQUAL, number,
            combine(symbols.getExtent(signature.arguments[query], 2),
                    getConstant(block), ATTN_OP_CEILDIV),
            symbols.getExtent(argument, 2),
            "needs a row for every " + llvm::Twine(block) + " queries of '" +
                signature.arguments[query].name + "'");
      }
    }
    writer.writeU32(count);
    writer.writeBytes(relations.bytes);
  }

  void writeRules() {
    uint32_t count = 0;
    Writer rules;
    // Elements of `argument` are from `least` on and less than `extent`.
    auto add = [&](unsigned argument, attn_rule_kind kind, int64_t least,
                   const ExtentExpression &extent) {
      ++count;
      rules.writeU32(argument);
      rules.writeU8(kind);
      rules.writeU8(0);
      rules.writeExpression(getConstant(least));
      rules.writeExpression(combine(extent, getConstant(1), ATTN_OP_SUB));
    };
    for (auto [number, argument] : llvm::enumerate(signature.arguments)) {
      if (argument.pool) {
        add(number, ATTN_RULE_PAGE_TABLE, -1,
            symbols.getExtent(signature.arguments[*argument.pool], 0));
      }
      for (const ExtentSource &most : argument.lengths) {
        add(number, ATTN_RULE_LENGTHS, 0,
            combine(getSource(most), getConstant(1), ATTN_OP_ADD));
      }
      for (const MapTarget &target : argument.maps) {
        attn_rule_kind kind =
            target.what == "head" ? ATTN_RULE_HEAD_MAP : ATTN_RULE_INDEX;
        if (target.argument) {
          add(number, kind, 0,
              symbols.getExtent(signature.arguments[*target.argument],
                                target.axis));
        } else if (!ShapedType::isDynamic(target.extent)) {
          add(number, kind, 0, getConstant(target.extent));
        }
      }
    }
    writer.writeU32(count);
    writer.writeBytes(rules.bytes);
  }

  const Signature &signature;
  const FunctionRecord &record;
  uint32_t deviceType;
  StringRef prefix;
  ExtentSymbols symbols;
  Writer &writer;
};

} // namespace

ExtentSymbols::ExtentSymbols(const Signature &signature)
    : signature(signature) {
  for (const Parameter &argument : signature.arguments) {
    for (auto [extent, dim] : llvm::zip(argument.shape, argument.dims)) {
      if (ShapedType::isDynamic(extent)) {
        numbers.insert({dim, static_cast<int64_t>(numbers.size())});
      }
    }
  }
}

ExtentExpression ExtentSymbols::getExtent(const Parameter &argument,
                                          unsigned axis) const {
  if (!ShapedType::isDynamic(argument.shape[axis])) {
    return getConstant(argument.shape[axis]);
  }
  return {{ATTN_OP_SYMBOL, numbers.lookup(argument.dims[axis])}};
}

std::optional<int64_t> ExtentSymbols::find(StringRef name) const {
  auto found = numbers.find(name);
  return found == numbers.end() ? std::nullopt : std::optional(found->second);
}

ExtentExpression ExtentSymbols::resolve(ExtentExpression extent) const {
  for (ExtentTerm &term : extent) {
    if (term.op == ATTN_OP_SYMBOL) {
      term = getExtent(signature.arguments[term.operand / ATTN_MAX_RANK],
                       term.operand % ATTN_MAX_RANK)
                 .front();
    }
  }
  return extent;
}

std::string ExtentSymbols::format(const ExtentExpression &extent) const {
  static const llvm::DenseMap<int, StringRef> operators = {
      {ATTN_OP_ADD, " + "},           {ATTN_OP_SUB, " - "},
      {ATTN_OP_MUL, " * "},           {ATTN_OP_FLOORDIV, " floordiv "},
      {ATTN_OP_CEILDIV, " ceildiv "}, {ATTN_OP_MOD, " mod "},
      {ATTN_OP_MIN, " min "},         {ATTN_OP_MAX, " max "}};
  SmallVector<std::string> stack;
  for (const ExtentTerm &term : extent) {
    if (term.op == ATTN_OP_CONSTANT) {
      stack.push_back(std::to_string(term.operand));
    } else if (term.op == ATTN_OP_SYMBOL) {
      stack.push_back((numbers.begin() + term.operand)->first.str());
    } else if (term.op == ATTN_OP_ARGUMENT) {
      stack.push_back(signature.arguments[term.operand].name);
    } else {
      std::string right = stack.pop_back_val();
      bool isLast = &term == &extent.back();
      stack.back() = (isLast ? "" : "(") + stack.back() +
                     operators.lookup(term.op).str() + right +
                     (isLast ? "" : ")");
    }
  }
  return stack.empty() ? "?" : stack.back();
}

FunctionRecord attn::makeRecord(const Signature &signature,
                                Operation *lowered) {
  ExtentSymbols symbols(signature);
  CallFacts facts = getCallFacts(lowered);
  FunctionRecord record;
  const auto *next = facts.results.begin();
  for (const Parameter &result : signature.results) {
    auto &axes = record.extents.emplace_back(result.shape.size());
    bool isPassed = false;
    if (!result.alias && next != facts.results.end()) {
      isPassed = next->has_value();
      if (isPassed) {
        llvm::transform(**next, axes.begin(), [&](const auto &extent) {
          return symbols.resolve(extent);
        });
      }
      ++next;
    }
    record.isPassed.push_back(isPassed);
    for (auto [axis, extent] : llvm::enumerate(axes)) {
      if (result.alias) {
        extent = symbols.getExtent(signature.arguments[*result.alias], axis);
      } else if (!ShapedType::isDynamic(result.shape[axis])) {
        extent = getConstant(result.shape[axis]);
      }
    }
  }
  record.unbounded = facts.unbounded;
  if (facts.unbounded.empty()) {
    record.workspace = symbols.resolve(facts.workspace);
    record.threadWorkspace = symbols.resolve(facts.threadWorkspace);
  }
  return record;
}

std::string attn::getHostCodeName(StringRef chip) {
  return Device::get(chip)->vendor == Vendor::AMD ? ("hip_" + chip).str()
                                                  : "cuda";
}

std::string attn::getDeviceEntryPrefix(StringRef chip) {
  return "attn_" + getHostCodeName(chip) + "_packed_";
}

std::string attn::getCompilerName() {
  return "attn-mlir " ATTN_VERSION " (LLVM " LLVM_VERSION_STRING ")";
}

std::vector<std::string>
attn::getCheckedFeatures(const llvm::TargetMachine &machine) {
  // clang-format off
#define ATTN_NAME(name, ...) name,
  static constexpr StringRef x86[] = {ATTN_X86_FEATURES(ATTN_NAME)};
  static constexpr StringRef aarch64[] = {ATTN_AARCH64_FEATURES(ATTN_NAME)};
#undef ATTN_NAME
  // clang-format on
  ArrayRef<StringRef> checked =
      machine.getTargetTriple().isX86() ? ArrayRef(x86) : ArrayRef(aarch64);
  std::vector<std::string> features;
  for (const llvm::SubtargetFeatureKV &feature :
       machine.getMCSubtargetInfo()->getEnabledProcessorFeatures()) {
    if (llvm::is_contained(checked, StringRef(feature.Key))) {
      features.push_back(feature.Key);
    }
  }
  return features;
}

static llvm::Error checkLimits(const Signature &signature) {
  for (const auto *list : {&signature.arguments, &signature.results}) {
    for (const Parameter &parameter : *list) {
      if (parameter.shape.size() > ATTN_MAX_RANK) {
        return llvm::createStringError(
            "'" + parameter.name + "' of '" + signature.function +
            "' has rank " + llvm::Twine(parameter.shape.size()) +
            ", the runtime takes at most " + llvm::Twine(ATTN_MAX_RANK));
      }
    }
    if (list->size() > ATTN_MAX_PARAMETERS) {
      return llvm::createStringError(
          "'" + signature.function + "' has " + llvm::Twine(list->size()) +
          " arguments or results, the runtime takes at most " +
          llvm::Twine(ATTN_MAX_PARAMETERS));
    }
  }
  return llvm::Error::success();
}

llvm::Expected<std::string>
attn::encodeMetadata(ArrayRef<Signature> signatures,
                     ArrayRef<FunctionRecord> records, StringRef triple,
                     ArrayRef<std::string> features,
                     ArrayRef<DeviceRecord> devices) {
  Writer body; // what the checksum covers
  body.writeU32(ATTN_MODULE_ABI_VERSION);
  body.writeU32(0);
  size_t lengthAt = body.bytes.size();
  body.writeU64(0);
  body.writeString(getCompilerName());
  body.writeString(triple);
  body.writeStrings(features);
  for (const Signature &signature : signatures) {
    if (llvm::Error error = checkLimits(signature)) {
      return error;
    }
  }
  auto writeFunctions = [&](ArrayRef<FunctionRecord> records,
                            uint32_t deviceType, StringRef prefix) {
    body.writeU32(records.size());
    for (auto [record, signature] : llvm::zip(records, signatures)) {
      FunctionWriter(signature, record, deviceType, prefix, body).write();
    }
  };
  writeFunctions(records, kHost, kHostEntryPrefix);
  body.writeU32(devices.size());
  for (const DeviceRecord &device : devices) {
    bool isAMD = Device::get(device.chip)->vendor == Vendor::AMD;
    uint32_t type = isAMD ? kROCM : kCUDA;
    body.writeU32(type);
    body.writeU32(device.kernels.size());
    for (const KernelResources &kernel : device.kernels) {
      body.writeString(kernel.name);
      body.writeU32(static_cast<uint32_t>(kernel.sharedBytes));
    }
    body.writeU32(device.images.size());
    for (const DeviceImage &image : device.images) {
      body.writeU8(getImageKind(image.kind));
      body.writeU32(image.architecture);
      body.writeString(image.bytes);
    }
    writeFunctions(device.functions, type, getDeviceEntryPrefix(device.chip));
  }
  Writer all;
  all.writeBytes(ATTN_MODULE_MAGIC);
  constexpr size_t checksumBytes = 8;
  llvm::support::endian::write64le(body.bytes.data() + lengthAt,
                                   all.bytes.size() + checksumBytes +
                                       body.bytes.size());
  all.writeU64(attn_module_checksum(body.bytes.data(), body.bytes.size()));
  all.writeBytes(body.bytes);
  return all.bytes;
}

void attn::addSeal(std::string &sharedObject) {
  Writer seal;
  seal.writeBytes(ATTN_MODULE_SEAL_MAGIC);
  seal.writeU64(sharedObject.size());
  seal.writeU64(attn_module_checksum(sharedObject.data(), sharedObject.size()));
  sharedObject += seal.bytes;
}
