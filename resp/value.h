// One complete reply as a tree, for cold paths only: reading the topology, answers to the proxy's
// own commands, tests. It copies everything and allocates per element; forwarded replies never come
// here.
//
// Values own their bytes and belong to whoever parsed them; any thread. Invariants: 1. depth <=
// kReplyDepthMax; 2. a map has an even number of elements (key, value, key, value, ...). Protocol:
// the RESP2 and RESP3 specifications.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace rcproxy::resp {

struct Value {
  enum class Type : uint8_t {
    kSimple,
    kError,  // "-" and "!".
    kInteger,
    kBulk,
    kArray,
    kNull,  // "$-1", "*-1" and "_".
    kMap,
    kSet,
    kDouble,
    kBool,
    kBigNumber,
    kVerbatim,
    kPush,
  };

  bool IsNull() const { return type == Type::kNull; }
  bool IsError() const { return type == Type::kError; }
  // A simple, bulk or verbatim string.
  bool IsString() const {
    return type == Type::kSimple || type == Type::kBulk || type == Type::kVerbatim;
  }
  // An array, set or push: a list without the meaning of pairs.
  bool IsList() const { return type == Type::kArray || type == Type::kSet || type == Type::kPush; }
  // The value behind `key` in a map, or in a RESP2 array that stands for one; null when absent.
  // Valid while this value is.
  const Value* Find(std::string_view key) const;

  Type type = Type::kNull;
  std::string text;     // Strings, errors, and the text form of doubles and big numbers. A verbatim
                        // string is without its three-letter format.
  int64_t integer = 0;  // kInteger; kBool: 0 or 1.
  std::vector<Value> elements;
};

// Reads `reply`, which must be exactly one frame. Attributes are skipped. Returns InvalidArgument
// for malformed, incomplete, too deep or overlong input.
absl::StatusOr<Value> ParseValue(std::string_view reply);

}  // namespace rcproxy::resp
