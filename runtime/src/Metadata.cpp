//===- Metadata.cpp - reading what a module says of itself ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cursor over bytes that nobody vouches for: it stops at the first thing that
// is out of place, and counts are held against the bytes that are left before
// anything is allocated for them.
//
//===----------------------------------------------------------------------===//

#include "Metadata.h"

#include "Status.h"
#include "Tensor.h"
#include <cstdio>
#include <cstring>

using namespace attn;

namespace {

class Reader {
public:
  Reader(const unsigned char *data, size_t size, Arena &arena)
      : at(data), left(size), arena(arena) {}

  attn_status read(Metadata &metadata);

private:
  template <typename T> bool readNumber(T &value);
  bool readString(const char *&text);
  bool readStrings(List<const char *> &strings);
  bool readExpression(Expression &expression, bool mayBeEmpty);
  /// `minBytes`: what an element takes at least.
  template <typename T> bool readCount(List<T> &list, size_t minBytes);
  bool readType(DLDataType &type);
  bool readParameter(Parameter &parameter, bool isArgument);
  bool readParameters(List<Parameter> &parameters, bool areArguments);
  bool readRelation(Relation &relation);
  bool readRule(Rule &rule);
  bool readWorkspace(attn_function &result);
  bool placeStride(int64_t &operand) const;
  bool readFunction(attn_function &result);
  bool readFunctions(List<attn_function> &functions);
  bool readImage(DeviceImage &image);
  bool readProgram(DeviceProgram &program);
  bool readPrograms(Metadata &metadata);
  bool describeAxes(Parameter &parameter, bool isArgument);
  bool usesKnownNames(const Expression &expression) const;
  bool checkSymbols() const;
  void layOut();

  /// Remembers what is wrong; the innermost finding counts.
  bool reject(const char *what) {
    if (!problem) {
      problem = what;
    }
    return false;
  }
  template <typename T> T *allocate(size_t count) {
    T *result = arena.allocate<T>(count);
    missingBytes = result ? missingBytes : count * sizeof(T);
    return result;
  }

  const unsigned char *at;
  size_t left;
  Arena &arena;
  attn_function *function = nullptr;
  const char *problem = nullptr;
  size_t missingBytes = 0;
};

template <typename T> bool Reader::readNumber(T &value) {
  if (left < sizeof(T)) {
    return reject("it ends too early");
  }
  uint64_t bits = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    bits |= uint64_t(at[i]) << (8 * i);
  }
  value = static_cast<T>(bits);
  at += sizeof(T);
  left -= sizeof(T);
  return true;
}

bool Reader::readString(const char *&text) {
  uint32_t length = 0;
  if (!readNumber(length)) {
    return false;
  }
  if (length > left) {
    return reject("a name reaches beyond its end");
  }
  if (std::memchr(at, 0, length)) {
    return reject("a name has a zero byte in it");
  }
  char *copy = allocate<char>(size_t(length) + 1);
  if (!copy) {
    return false;
  }
  std::memcpy(copy, at, length);
  at += length;
  left -= length;
  text = copy;
  return true;
}

template <typename T> bool Reader::readCount(List<T> &list, size_t minBytes) {
  uint32_t count = 0;
  if (!readNumber(count)) {
    return false;
  }
  if (count > left / minBytes) {
    return reject("a list reaches beyond its end");
  }
  list.data = allocate<T>(count);
  list.count = count;
  return list.data != nullptr;
}

bool Reader::readStrings(List<const char *> &strings) {
  if (!readCount(strings, 4)) {
    return false;
  }
  for (const char *&text : strings) {
    if (!readString(text)) {
      return false;
    }
  }
  return true;
}

bool Reader::readExpression(Expression &expression, bool mayBeEmpty) {
  List<Operation> operations;
  if (!readCount(operations, 1)) {
    return false;
  }
  for (Operation &operation : operations) {
    if (!readNumber(operation.op) ||
        (operation.hasOperand() && !readNumber(operation.operand))) {
      return false;
    }
  }
  expression = {operations.data, operations.count};
  if (!(mayBeEmpty && expression.isEmpty()) && !isWellFormed(expression)) {
    return reject("an expression has not one value");
  }
  return true;
}

bool Reader::readType(DLDataType &type) {
  type.lanes = 1;
  if (!readNumber(type.code) || !readNumber(type.bits)) {
    return false;
  }
  uint8_t bits = type.bits;
  switch (type.code) {
  case kDLInt:
  case kDLUInt:
    if (bits == 8 || bits == 16 || bits == 32 || bits == 64) {
      return true;
    }
    break;
  case kDLFloat:
    if (bits == 16 || bits == 32 || bits == 64) {
      return true;
    }
    break;
  case kDLBfloat:
    if (bits == 16) {
      return true;
    }
    break;
  case ATTN_DL_BOOL:
  case ATTN_DL_FLOAT8_E4M3FN:
  case ATTN_DL_FLOAT8_E5M2:
    if (bits == 8) {
      return true;
    }
    break;
  default:
    break;
  }
  return reject("an element type is unknown");
}

/// The public description of the axes.
bool Reader::describeAxes(Parameter &parameter, bool isArgument) {
  uint32_t rank = static_cast<uint32_t>(parameter.info.rank);
  auto *shape = allocate<int64_t>(rank);
  auto *dims = allocate<const char *>(rank);
  if (!shape || !dims) {
    return false;
  }
  parameter.info.shape = shape;
  parameter.info.dims = dims;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    const Expression &extent = parameter.extents[axis];
    shape[axis] = -1;
    dims[axis] = "?";
    if (extent.count != 1 || extent.operations->op > ATTN_OP_SYMBOL) {
      if (isArgument) {
        return reject("an extent of an argument is an expression");
      }
      continue;
    }
    int64_t operand = extent.operations->operand;
    if (extent.operations->op == ATTN_OP_SYMBOL) {
      if (uint64_t(operand) >= function->symbols.count) {
        return reject("an extent is an unknown symbol");
      }
      dims[axis] = function->symbols[operand];
      continue;
    }
    if (operand < 0) {
      return reject("an extent is negative");
    }
    constexpr size_t kDigits = 24;
    char *digits = allocate<char>(kDigits);
    if (!digits) {
      return false;
    }
    std::snprintf(digits, kDigits, "%lld", static_cast<long long>(operand));
    shape[axis] = operand;
    dims[axis] = digits;
  }
  return true;
}

bool Reader::readParameter(Parameter &parameter, bool isArgument) {
  uint8_t mode = 0;
  uint32_t alias = 0, alignment = 0;
  List<Expression> extents;
  attn_parameter &info = parameter.info;
  if (!readString(info.name) || !readType(info.type) ||
      !readNumber(parameter.flags) || !readNumber(mode) || !readNumber(alias) ||
      !readNumber(parameter.device) || !readNumber(alignment) ||
      !readCount(extents, 4)) {
    return false;
  }
  bool isAlias = mode == ATTN_RESULT_ALIAS;
  if (parameter.flags >= 8 || mode > (isArgument ? 0 : ATTN_RESULT_ALIAS)) {
    return reject("a parameter has an unknown flag or mode");
  }
  if (alias >= (isAlias ? function->arguments.count : 1) ||
      (isAlias && !function->arguments[alias].isWritable())) {
    return reject("a result is an argument that is not written");
  }
  if (alignment & (alignment - 1)) {
    return reject("an alignment is no power of two");
  }
  if (extents.count > ATTN_MAX_RANK ||
      (parameter.isScalar() &&
       (extents.count || mode || parameter.flags != 1))) {
    return reject("a parameter has too many axes");
  }
  parameter.mode = static_cast<attn_result_mode>(mode);
  parameter.alignment =
      alignment ? alignment : static_cast<uint32_t>(parameter.getWidth());
  parameter.extents = extents.data;
  info.rank = static_cast<int>(extents.count);
  info.is_scalar = parameter.isScalar();
  info.is_writable = parameter.isWritable();
  info.alias = isAlias ? static_cast<int>(alias) : -1;
  for (Expression &extent : extents) {
    bool mayBeEmpty = !isArgument && mode == ATTN_RESULT_RETURNED;
    if (!readExpression(extent, mayBeEmpty)) {
      return false;
    }
  }
  return describeAxes(parameter, isArgument);
}

bool Reader::readParameters(List<Parameter> &parameters, bool areArguments) {
  constexpr size_t kMinBytes = 24;
  if (!readCount(parameters, kMinBytes)) {
    return false;
  }
  if (parameters.count > ATTN_MAX_PARAMETERS) {
    return reject("a function has too many parameters");
  }
  for (Parameter &parameter : parameters) {
    if (!readParameter(parameter, areArguments)) {
      return false;
    }
    for (Parameter *other = parameters.data; other != &parameter; ++other) {
      if (std::strcmp(other->info.name, parameter.info.name) == 0) {
        return reject("two parameters have one name");
      }
    }
  }
  return true;
}

bool Reader::readRelation(Relation &relation) {
  uint8_t kind = 0;
  if (!readNumber(kind) || !readNumber(relation.argument) ||
      !readExpression(relation.left, false) ||
      !readExpression(relation.right, false) || !readString(relation.text)) {
    return false;
  }
  relation.kind = static_cast<attn_relation_kind>(kind);
  return (kind <= ATTN_RELATION_LESS_EQUAL &&
          relation.argument < function->arguments.count) ||
         reject("a relation is of an unknown kind");
}

bool Reader::readRule(Rule &rule) {
  uint8_t kind = 0, flags = 0;
  if (!readNumber(rule.argument) || !readNumber(kind) || !readNumber(flags) ||
      !readExpression(rule.low, false) || !readExpression(rule.high, false)) {
    return false;
  }
  rule.kind = static_cast<attn_rule_kind>(kind);
  rule.ascending = flags & ATTN_RULE_ASCENDING;
  if (kind > ATTN_RULE_OFFSETS || flags > ATTN_RULE_ASCENDING ||
      rule.argument >= function->arguments.count) {
    return reject("a rule is of an unknown kind");
  }
  uint8_t code = function->arguments[rule.argument].info.type.code;
  return code == kDLInt || code == kDLUInt ||
         reject("a rule is about numbers that are not integers");
}

/// Symbols must get a value from the shape of an argument, arguments must be
/// integer scalars, and strides are for workspaces.
bool Reader::usesKnownNames(const Expression &expression) const {
  bool isWorkspace = &expression == &function->workspace ||
                     &expression == &function->threadWorkspace;
  for (uint32_t i = 0; i < expression.count; ++i) {
    auto [op, operand] = expression.operations[i];
    if (op == ATTN_OP_STRIDE && !isWorkspace) {
      return false;
    }
    if (op == ATTN_OP_SYMBOL && uint64_t(operand) >= function->symbols.count) {
      return false;
    }
    if (op == ATTN_OP_ARGUMENT) {
      if (uint64_t(operand) >= function->arguments.count) {
        return false;
      }
      const Parameter &argument = function->arguments[operand];
      uint8_t code = argument.info.type.code;
      if (!argument.isScalar() || (code != kDLInt && code != kDLUInt)) {
        return false;
      }
    }
  }
  return true;
}

bool Reader::checkSymbols() const {
  bool bound[ATTN_MAX_SYMBOLS] = {};
  for (const Parameter &argument : function->arguments) {
    for (int axis = 0; axis < argument.info.rank; ++axis) {
      const Operation &extent = *argument.extents[axis].operations;
      if (extent.op == ATTN_OP_SYMBOL) {
        bound[extent.operand] = true;
      }
    }
  }
  for (uint32_t i = 0; i < function->symbols.count; ++i) {
    if (!bound[i]) {
      return false;
    }
  }
  for (const Parameter &result : function->results) {
    for (int axis = 0; axis < result.info.rank; ++axis) {
      if (!usesKnownNames(result.extents[axis])) {
        return false;
      }
    }
  }
  for (const Relation &relation : function->relations) {
    if (!usesKnownNames(relation.left) || !usesKnownNames(relation.right)) {
      return false;
    }
  }
  for (const Rule &rule : function->rules) {
    if (!usesKnownNames(rule.low) || !usesKnownNames(rule.high)) {
      return false;
    }
  }
  return usesKnownNames(function->workspace) &&
         usesKnownNames(function->threadWorkspace);
}

/// Returned results as the C struct that the function returns, and descriptors
/// behind one another.
void Reader::layOut() {
  size_t bytes = 0, words = 0;
  bool onlyScalars = true;
  auto place = [&](Parameter &parameter) {
    parameter.descriptorWord = words;
    words += Descriptor::getNumWords(parameter.info.rank);
  };
  for (Parameter &argument : function->arguments) {
    place(argument);
  }
  for (Parameter &result : function->results) {
    place(result);
    if (result.mode != ATTN_RESULT_RETURNED) {
      continue;
    }
    size_t width = result.isScalar() ? result.getWidth() : sizeof(int64_t);
    bytes = (bytes + width - 1) / width * width;
    result.storageOffset = bytes;
    bytes += result.isScalar()
                 ? width
                 : sizeof(int64_t) * Descriptor::getNumWords(result.info.rank);
    onlyScalars = onlyScalars && result.isScalar();
    ++function->numReturned;
  }
  function->descriptorWords = words;
  function->storageBytes = bytes;
  function->returnsByValue = function->numReturned == 1 && onlyScalars;
}

bool Reader::readWorkspace(attn_function &result) {
  if (!readExpression(result.workspace, true) ||
      !readExpression(result.threadWorkspace, true) ||
      !readString(result.unbounded)) {
    return false;
  }
  bool isUnbounded = *result.unbounded != 0;
  Expression *expressions[] = {&result.workspace, &result.threadWorkspace};
  for (Expression *expression : expressions) {
    if (expression->isEmpty() != isUnbounded) {
      return reject("a workspace is neither known nor unknown");
    }
    for (uint32_t i = 0; i < expression->count; ++i) {
      if (expression->operations[i].op == ATTN_OP_STRIDE &&
          !placeStride(expression->operations[i].operand)) {
        return reject("a workspace depends on an unknown stride");
      }
    }
  }
  return true;
}

/// From the number of an axis to that of a word of the descriptors.
bool Reader::placeStride(int64_t &operand) const {
  uint64_t number = static_cast<uint64_t>(operand) / ATTN_MAX_RANK,
           axis = static_cast<uint64_t>(operand) % ATTN_MAX_RANK;
  if (number >= function->arguments.count) {
    return false;
  }
  const Parameter &argument = function->arguments[number];
  uint64_t rank = static_cast<uint64_t>(argument.info.rank);
  operand = static_cast<int64_t>(argument.descriptorWord +
                                 Descriptor::kHeaderWords + rank + axis);
  return axis < rank;
}

bool Reader::readFunction(attn_function &result) {
  function = &result;
  constexpr size_t kMinRelationBytes = 17, kMinRuleBytes = 14;
  if (!readString(result.name) || !readString(result.entryName) ||
      !readStrings(result.symbols)) {
    return false;
  }
  if (result.symbols.count > ATTN_MAX_SYMBOLS) {
    return reject("a function has too many symbols");
  }
  if (!readParameters(result.arguments, true) ||
      !readParameters(result.results, false) ||
      !readCount(result.relations, kMinRelationBytes)) {
    return false;
  }
  for (Relation &relation : result.relations) {
    if (!readRelation(relation)) {
      return false;
    }
  }
  if (!readCount(result.rules, kMinRuleBytes)) {
    return false;
  }
  for (Rule &rule : result.rules) {
    if (!readRule(rule)) {
      return false;
    }
  }
  layOut();
  return readWorkspace(result) &&
         (checkSymbols() || reject("an expression names an unknown symbol"));
}

bool Reader::readFunctions(List<attn_function> &functions) {
  constexpr size_t kMinFunctionBytes = 40;
  if (!readCount(functions, kMinFunctionBytes)) {
    return false;
  }
  for (uint32_t i = 0; i < functions.count; ++i) {
    if (!readFunction(functions[i])) {
      return false;
    }
    for (uint32_t k = 0; k < i; ++k) {
      if (std::strcmp(functions[k].name, functions[i].name) == 0) {
        return reject("two functions have one name");
      }
    }
  }
  return true;
}

bool Reader::readImage(DeviceImage &image) {
  uint8_t kind = 0;
  if (!readNumber(kind) || !readNumber(image.architecture) ||
      !readNumber(image.bytes)) {
    return false;
  }
  if (kind > ATTN_IMAGE_HSACO || image.architecture > 9999) {
    return reject("an image of kernels is of an unknown kind");
  }
  if (image.bytes > left) {
    return reject("an image of kernels reaches beyond its end");
  }
  image.kind = static_cast<attn_image_kind>(kind);
  // Text ends with a zero byte, for the driver.
  char *copy = allocate<char>(size_t(image.bytes) + 1);
  if (!copy) {
    return false;
  }
  std::memcpy(copy, at, image.bytes);
  image.data = copy;
  at += image.bytes;
  left -= image.bytes;
  return true;
}

bool Reader::readProgram(DeviceProgram &program) {
  constexpr size_t kMinKernelBytes = 8, kMinImageBytes = 9;
  if (!readNumber(program.deviceType) ||
      !readCount(program.kernels, kMinKernelBytes)) {
    return false;
  }
  if (program.deviceType == kDLCPU) {
    return reject("the host has kernels");
  }
  for (DeviceKernel &kernel : program.kernels) {
    if (!readString(kernel.name) || !readNumber(kernel.sharedBytes)) {
      return false;
    }
    if (kernel.sharedBytes > INT32_MAX) {
      return reject("a kernel takes too much shared memory");
    }
  }
  if (!readCount(program.images, kMinImageBytes)) {
    return false;
  }
  for (DeviceImage &image : program.images) {
    if (!readImage(image)) {
      return false;
    }
  }
  if (!readFunctions(program.functions)) {
    return false;
  }
  for (attn_function &function : program.functions) {
    function.program = &program;
  }
  return true;
}

/// Whether callers may take one for the other.
static bool haveOneInterface(const attn_function &a, const attn_function &b) {
  auto agree = [](const List<Parameter> &a, const List<Parameter> &b) {
    if (a.count != b.count) {
      return false;
    }
    for (uint32_t i = 0; i < a.count; ++i) {
      const attn_parameter &one = a[i].info, &other = b[i].info;
      if (std::strcmp(one.name, other.name) != 0 || one.rank != other.rank ||
          one.alias != other.alias || a[i].flags != b[i].flags ||
          one.type.code != other.type.code ||
          one.type.bits != other.type.bits) {
        return false;
      }
    }
    return true;
  };
  return std::strcmp(a.name, b.name) == 0 && agree(a.arguments, b.arguments) &&
         agree(a.results, b.results);
}

bool Reader::readPrograms(Metadata &metadata) {
  constexpr size_t kMinProgramBytes = 16;
  if (!readCount(metadata.programs, kMinProgramBytes)) {
    return false;
  }
  for (DeviceProgram &program : metadata.programs) {
    if (!readProgram(program)) {
      return false;
    }
    for (DeviceProgram *before = metadata.programs.data; before != &program;
         ++before) {
      if (before->deviceType == program.deviceType && !before->next) {
        before->next = &program;
        program.isAnother = true;
        break;
      }
    }
    const List<attn_function> &shown = metadata.getFunctions();
    if (shown.count != program.functions.count) {
      return reject("devices differ in their functions");
    }
    for (uint32_t i = 0; i < shown.count; ++i) {
      if (!haveOneInterface(shown[i], program.functions[i])) {
        return reject("devices differ in a function");
      }
      if (&shown[i] != &program.functions[i]) {
        attn_function *last = &shown[i];
        while (last->other) {
          last = last->other;
        }
        last->other = &program.functions[i];
      }
    }
  }
  return true;
}

attn_status Reader::read(Metadata &metadata) {
  bool good = readString(metadata.compiler) && readString(metadata.target) &&
              readStrings(metadata.features) &&
              readFunctions(metadata.functions) && readPrograms(metadata);
  if (good && left != 0) {
    good = reject("something follows its end");
  }
  if (good) {
    return ATTN_OK;
  }
  if (!problem) {
    return failOutOfMemory(missingBytes);
  }
  return fail(ATTN_DAMAGED, "the metadata of the program is damaged: %s",
              problem);
}

uint64_t readWord(const unsigned char *bytes, size_t width) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) {
    value |= uint64_t(bytes[i]) << (8 * i);
  }
  return value;
}

} // namespace

attn_status attn::parseMetadata(const void *data, size_t size, Arena &arena,
                                Metadata &metadata) {
  constexpr size_t kChecksumOffset = 8, kVersionOffset = 16, kZeroOffset = 20,
                   kLengthOffset = 24;
  auto *bytes = static_cast<const unsigned char *>(data);
  if (!bytes || size < ATTN_MODULE_HEADER_BYTES ||
      std::memcmp(bytes, ATTN_MODULE_MAGIC, 8) != 0) {
    return fail(ATTN_DAMAGED, "this is no metadata of a compiled program");
  }
  uint64_t version = readWord(bytes + kVersionOffset, 4);
  if (version != ATTN_MODULE_ABI_VERSION) {
    return fail(ATTN_VERSION_MISMATCH,
                "the program is for version %llu of the runtime's interface, "
                "this runtime has version %d: compile it again",
                static_cast<unsigned long long>(version),
                ATTN_MODULE_ABI_VERSION);
  }
  uint64_t length = readWord(bytes + kLengthOffset, 8);
  if (length != size || readWord(bytes + kZeroOffset, 4) != 0) {
    return fail(ATTN_DAMAGED,
                "the metadata of the program is damaged: it has %zu bytes and "
                "says %llu",
                size, static_cast<unsigned long long>(length));
  }
  if (readWord(bytes + kChecksumOffset, 8) !=
      attn_module_checksum(bytes + kVersionOffset, size - kVersionOffset)) {
    return fail(ATTN_DAMAGED, "the metadata of the program is damaged: its "
                              "checksum does not match");
  }
  Reader reader(bytes + ATTN_MODULE_HEADER_BYTES,
                size - ATTN_MODULE_HEADER_BYTES, arena);
  return reader.read(metadata);
}
