//===- Header.cpp - C headers of compiled programs ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A prototype with one parameter per argument and result, so that a C compiler
// counts them, around the calls of the runtime that check all else.
//
//===----------------------------------------------------------------------===//

#include "Metadata.h"

#include "CodeGen.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

/// A C identifier for any text.
std::string getIdentifier(StringRef text) {
  std::string result;
  for (char c : text) {
    result += llvm::isAlnum(c) ? c : '_';
  }
  return result.empty() || llvm::isDigit(result[0]) ? "_" + result : result;
}

/// Any text, fit for a comment.
std::string getCommentText(StringRef text) {
  std::string result;
  for (char c : text) {
    result += llvm::isPrint(c) && c != '/' ? c : '_';
  }
  return result;
}

class HeaderWriter {
public:
  HeaderWriter(const Signature &signature, raw_ostream &os)
      : signature(signature), os(os) {
    for (const auto *list : {&signature.arguments, &signature.results}) {
      for (const Parameter &parameter : *list) {
        names.push_back(parameter.alias ? "" : getName(parameter.name));
      }
    }
  }

  void write() {
    writeDescription();
    writeCall(/*isNew=*/false);
    os << "/** The same, with results that the call allocates; to be given "
          "back "
          "by their\n *  deleters. */\n";
    writeCall(/*isNew=*/true);
  }

private:
  /// A name for a parameter that no other has.
  std::string getName(StringRef name) {
    static const llvm::StringSet<> reserved = {
        "arguments", "function", "options",  "results", "status",  "stream",
        "auto",      "break",    "case",     "char",    "const",   "continue",
        "default",   "do",       "double",   "else",    "enum",    "extern",
        "float",     "for",      "goto",     "if",      "inline",  "int",
        "long",      "register", "restrict", "return",  "short",   "signed",
        "sizeof",    "static",   "struct",   "switch",  "typedef", "union",
        "unsigned",  "void",     "volatile", "while",   "class",   "new",
        "delete",    "this",     "template", "private", "public",  "operator",
        "and",       "or",       "not",      "xor",     "bool",    "true",
        "false",     "try",      "catch",    "throw",   "using",   "namespace"};
    std::string result = getIdentifier(name);
    while (reserved.contains(result) || !taken.insert(result).second) {
      result += "_";
    }
    return result;
  }

  ArrayRef<std::string> getArgumentNames() const {
    return ArrayRef(names).take_front(signature.arguments.size());
  }
  ArrayRef<std::string> getResultNames() const {
    return ArrayRef(names).drop_front(signature.arguments.size());
  }

  void writeParameter(const Parameter &parameter, StringRef name) {
    os << " *   " << (name.empty() ? getCommentText(parameter.name) : name)
       << ": " << attn::getName(parameter.type);
    if (parameter.isScalar) {
      os << " scalar, as a tensor of rank 0";
    } else {
      os << " [";
      llvm::interleaveComma(
          llvm::zip(parameter.shape, parameter.dims), os, [&](auto axis) {
            auto [extent, dim] = axis;
            os << (ShapedType::isDynamic(extent) ? getCommentText(dim)
                                                 : std::to_string(extent));
          });
      os << "]";
    }
    if (parameter.isWritable) {
      os << "; written in place";
    }
    if (parameter.alias) {
      os << "; is '"
         << getCommentText(signature.arguments[*parameter.alias].name)
         << "', and not passed";
    }
    if (parameter.pool) {
      os << "; pages of '"
         << getCommentText(signature.arguments[*parameter.pool].name)
         << "', -1 for none";
    }
    if (parameter.list) {
      os << "; a row for every " << parameter.list->block << " queries of '"
         << getCommentText(signature.arguments[parameter.list->query].name)
         << "'";
    }
    os << "\n";
  }

  void writeDescription() {
    os << "/**\n * Function '" << getCommentText(signature.function)
       << "'. Dimensions of one name have one size.\n";
    for (auto [isResult, list] : {std::pair(false, &signature.arguments),
                                  std::pair(true, &signature.results)}) {
      os << " *\n * " << (isResult ? "results" : "arguments")
         << (list->empty() ? ": none\n" : "\n");
      ArrayRef<std::string> listNames =
          isResult ? getResultNames() : getArgumentNames();
      for (auto [parameter, name] : llvm::zip(*list, listNames)) {
        writeParameter(parameter, name);
      }
    }
    os << " *\n * `function` is what attn_module_find_function found. `stream` "
          "and `options` may\n * be null. For errors see "
          "attn_function_call.\n */\n";
  }

  /// An array of the runtime's call; C knows no empty ones.
  void writeArray(StringRef type, StringRef array, ArrayRef<std::string> of) {
    os << "  " << type << array << "[] = {";
    llvm::interleaveComma(
        of, os, [&](StringRef name) { os << (name.empty() ? "NULL" : name); });
    os << (of.empty() ? "NULL" : "") << "};\n";
  }

  void writeCall(bool isNew) {
    StringRef resultType = isNew ? "DLManagedTensor **" : "const DLTensor *";
    os << "static inline attn_status attn_call_" << (isNew ? "new_" : "")
       << getIdentifier(signature.function)
       << "(\n    const attn_function *function, attn_stream *stream";
    for (StringRef name : getArgumentNames()) {
      os << ",\n    const DLTensor *" << name;
    }
    for (StringRef name : getResultNames()) {
      if (!name.empty()) {
        os << ",\n    " << resultType << name;
      }
    }
    os << ",\n    const attn_call_options *options) {\n";
    writeArray("const DLTensor *", "arguments", getArgumentNames());
    std::string counts =
        ", arguments, " + std::to_string(signature.arguments.size()) +
        ", results, " + std::to_string(signature.results.size()) +
        ", options);\n";
    if (!isNew) {
      writeArray("const DLTensor *", "results", getResultNames());
      os << "  return attn_function_call(function, stream" << counts << "}\n\n";
      return;
    }
    os << "  DLManagedTensor *results["
       << std::max<size_t>(1, signature.results.size())
       << "] = {NULL};\n  attn_status status = "
          "attn_function_call_new(function, stream"
       << counts;
    for (auto [number, name] : llvm::enumerate(getResultNames())) {
      if (!name.empty()) {
        os << "  *" << name << " = results[" << number << "];\n";
      }
    }
    os << "  return status;\n}\n\n";
  }

  const Signature &signature;
  raw_ostream &os;
  std::vector<std::string> names;
  llvm::StringSet<> taken;
};

} // namespace

std::string attn::makeHeader(ArrayRef<Signature> signatures, StringRef name,
                             ArrayRef<std::string> prefixes) {
  std::string text;
  llvm::raw_string_ostream os(text);
  std::string identifier = getIdentifier(name);
  std::string guard = "ATTN_PROGRAM_" + StringRef(identifier).upper() + "_H";
  os << "/* The functions of the compiled program '" << getCommentText(name)
     << "'.\n   Written by " << getCompilerName() << ". */\n\n#ifndef " << guard
     << "\n#define " << guard
     << "\n\n#include \"attn_runtime.h\"\n\n#ifdef __cplusplus\nextern \"C\" "
        "{\n#endif\n\n";
  for (const Signature &signature : signatures) {
    HeaderWriter(signature, os).write();
  }
  os << "/* Where the object file is linked into a program. */\n"
        "extern const unsigned char attn_module_metadata[];\n"
        "extern const uint64_t attn_module_metadata_size;\n";
  for (StringRef prefix : prefixes) {
    for (const Signature &signature : signatures) {
      os << "void " << prefix << getIdentifier(signature.function)
         << "(void **slots)";
      if (getIdentifier(signature.function) != signature.function) {
        os << " __asm__(\"" << prefix;
        for (char c : signature.function) {
          os << (c == '"' || c == '\\' ? "\\" : "") << c;
        }
        os << "\")";
      }
      os << ";\n";
    }
  }
  os << "\n/** The module of an object file that is linked in. */\n"
        "static inline attn_status attn_open_"
     << identifier
     << "(attn_module **module) {\n"
        "  static const attn_entry_fn entries[] = {\n";
  for (StringRef prefix : prefixes) {
    for (const Signature &signature : signatures) {
      os << "      " << prefix << getIdentifier(signature.function) << ",\n";
    }
  }
  os << "  };\n  return attn_module_create(attn_module_metadata,\n"
        "                            (size_t)attn_module_metadata_size, "
        "entries, "
     << signatures.size() * prefixes.size()
     << ",\n                            module);\n}\n\n#ifdef __cplusplus\n} "
        "/* extern \"C\" */\n#endif\n\n#endif /* "
     << guard << " */\n";
  return text;
}
