#include "testing/fake_store.h"

#include <glog/logging.h>

#include <charconv>
#include <system_error>

#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr std::string_view kDatabaseMark = "\x01";  // No key of a test begins with it.

constexpr KeyRule kRules[] = {
    {"GET", 1, 1, 1, false},    {"SET", 1, 1, 1, true},      {"INCR", 1, 1, 1, true},
    {"APPEND", 1, 1, 1, true},  {"STRLEN", 1, 1, 1, false},  {"DEL", 1, -1, 1, true},
    {"UNLINK", 1, -1, 1, true}, {"EXISTS", 1, -1, 1, false}, {"TOUCH", 1, -1, 1, false},
    {"MGET", 1, -1, 1, false},  {"MSET", 1, -1, 2, true},
};

std::string WrongArity(std::string_view name) {
  return Concat("-ERR wrong number of arguments for '", LowerCase(name), "' command\r\n");
}

bool ArityOk(std::string_view name, size_t args) {
  if (name == "GET" || name == "INCR" || name == "STRLEN") return args == 2;
  if (name == "APPEND") return args == 3;
  if (name == "SET") return args >= 3;
  if (name == "MSET") return args >= 3 && args % 2 == 1;
  return args >= 2;
}

}  // namespace

const KeyRule* FindKeyRule(std::string_view name) {
  for (const KeyRule& rule : kRules) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

std::vector<std::string> KeysOf(const KeyRule& rule, const FakeArgs& args) {
  std::vector<std::string> keys;
  const int size = static_cast<int>(args.size());
  const int last = rule.last < 0 ? size + rule.last : rule.last;
  for (int i = rule.first; i <= last && i < size; i += rule.step) keys.push_back(args[i]);
  return keys;
}

FakeArgs InDatabase(int database, const KeyRule& rule, FakeArgs args) {
  const int size = static_cast<int>(args.size());
  const int last = rule.last < 0 ? size + rule.last : rule.last;
  for (int i = rule.first; i <= last && i < size; i += rule.step)
    args[i] = StoredKey(database, args[i]);
  return args;
}

std::string StoredKey(int database, const std::string& key) {
  return database == 0 ? key : Concat(kDatabaseMark, database, kDatabaseMark, key);
}

KeyPlace PlaceOfStored(const std::string& stored) {
  if (!stored.starts_with(kDatabaseMark)) return {0, stored};
  const size_t end = stored.find(kDatabaseMark, 1);
  return {std::stoi(stored.substr(1, end - 1)), stored.substr(end + 1)};
}

std::string EncodeKeyRules() {
  std::string reply = ArrayHeader(std::size(kRules));
  for (const KeyRule& rule : kRules) {
    reply += ArrayHeader(6) + BulkReply(LowerCase(rule.name)) + IntegerReply(/*arity=*/-2);
    reply += ArrayHeader(1) + Concat("+", rule.write ? "write" : "readonly", "\r\n");
    for (const int number : {rule.first, rule.last, rule.step}) reply += IntegerReply(number);
  }
  return reply;
}

std::string BulkReply(std::string_view bytes) {
  return Concat("$", bytes.size(), "\r\n", bytes, "\r\n");
}

std::string IntegerReply(int64_t value) { return Concat(":", value, "\r\n"); }

std::string ArrayHeader(size_t count) { return Concat("*", count, "\r\n"); }

std::string FakeStore::Execute(const FakeArgs& args, std::string_view null_reply) {
  const std::string name = UpperCase(args[0]);
  CHECK(FindKeyRule(name) != nullptr) << name;
  if (!ArityOk(name, args.size())) return WrongArity(name);
  if (name == "GET") return BulkOrNull(args[1], null_reply);
  if (name == "SET") return Set(args);
  if (name == "INCR") return Increment(args[1]);
  if (name == "APPEND") return Append(args[1], args[2]);
  if (name == "STRLEN") return IntegerReply(Get(args[1]).value_or("").size());
  if (name == "MGET") return GetMany(args, null_reply);
  if (name == "MSET") return SetPairs(args);
  return Count(args, name == "DEL" || name == "UNLINK");
}

std::optional<std::string> FakeStore::Get(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) return std::nullopt;
  return it->second;
}

void FakeStore::Put(const std::string& key, const std::optional<std::string>& value) {
  if (value.has_value()) {
    values_[key] = *value;
  } else {
    values_.erase(key);
  }
  if (observer_ != nullptr) observer_(key, value);
}

std::string FakeStore::BulkOrNull(const std::string& key, std::string_view null_reply) const {
  const auto it = values_.find(key);
  return it == values_.end() ? std::string(null_reply) : BulkReply(it->second);
}

std::string FakeStore::Set(const FakeArgs& args) {
  Put(args[1], args[2]);
  return "+OK\r\n";
}

std::string FakeStore::SetPairs(const FakeArgs& args) {
  for (size_t i = 1; i + 1 < args.size(); i += 2) Put(args[i], args[i + 1]);
  return "+OK\r\n";
}

std::string FakeStore::Increment(const std::string& key) {
  int64_t value = 0;
  const std::string text = Get(key).value_or("0");
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return "-ERR value is not an integer or out of range\r\n";
  }
  Put(key, std::to_string(value + 1));
  return IntegerReply(value + 1);
}

std::string FakeStore::Append(const std::string& key, const std::string& tail) {
  std::string value = Get(key).value_or("") + tail;
  const size_t size = value.size();
  Put(key, std::move(value));
  return IntegerReply(static_cast<int64_t>(size));
}

std::string FakeStore::Count(const FakeArgs& args, bool remove) {
  int64_t count = 0;
  for (size_t i = 1; i < args.size(); ++i) {
    if (!Has(args[i])) continue;
    ++count;
    if (remove) Put(args[i], std::nullopt);
  }
  return IntegerReply(count);
}

std::string FakeStore::GetMany(const FakeArgs& args, std::string_view null_reply) const {
  std::string reply = ArrayHeader(args.size() - 1);
  for (size_t i = 1; i < args.size(); ++i) reply += BulkOrNull(args[i], null_reply);
  return reply;
}

}  // namespace rcproxy::sim
