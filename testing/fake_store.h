// The data of a fake node: a map of strings and the few commands on it that tests need, with the
// replies a server gives.
//
// Owner: FakeNode. Thread: one. Invariant: only commands with KeyRule::write change the map.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::sim {

// A command's name and arguments.
using FakeArgs = std::vector<std::string>;

// Where the keys of a command are: arguments first, first + step, ... up to last (negative: from
// the end).
struct KeyRule {
  std::string_view name;
  int first;
  int last;
  int step;
  bool write;
};

// Returns nullptr for a command that is not on keys. `name` is in upper case.
const KeyRule* FindKeyRule(std::string_view name);
// All of them as the reply to COMMAND, in the form of a server before 7.0.
std::string EncodeKeyRules();
std::vector<std::string> KeysOf(const KeyRule& rule, const FakeArgs& args);
// The same command on the keys that a store has for `database`.
FakeArgs InDatabase(int database, const KeyRule& rule, FakeArgs args);

// The name under which a store has a key of `database`: the key itself in 0.
std::string StoredKey(int database, const std::string& key);
struct KeyPlace {
  int database;
  std::string key;
};
KeyPlace PlaceOfStored(const std::string& stored);

class FakeStore {
 public:
  // Told about each change, by StoredKey; no value: the key is gone.
  using Observer =
      std::function<void(const std::string& key, const std::optional<std::string>& value)>;

  void SetObserver(Observer observer) { observer_ = std::move(observer); }

  // Runs a command that has a KeyRule. Returns the reply; nulls are `null_reply`.
  std::string Execute(const FakeArgs& args, std::string_view null_reply);

  bool Has(const std::string& key) const { return values_.count(key) != 0; }
  std::optional<std::string> Get(const std::string& key) const;
  // Puts or, without a value, removes.
  void Put(const std::string& key, const std::optional<std::string>& value);
  const std::map<std::string, std::string>& values() const { return values_; }
  // Becomes a copy; the observer is not told.
  void CopyFrom(const FakeStore& other) { values_ = other.values_; }
  void Clear() { values_.clear(); }

 private:
  std::string BulkOrNull(const std::string& key, std::string_view null_reply) const;
  std::string Set(const FakeArgs& args);
  std::string SetPairs(const FakeArgs& args);
  std::string Increment(const std::string& key);
  std::string Append(const std::string& key, const std::string& tail);
  std::string Count(const FakeArgs& args, bool remove);
  std::string GetMany(const FakeArgs& args, std::string_view null_reply) const;

  std::map<std::string, std::string> values_;
  Observer observer_;
};

// Reply encoders.
std::string BulkReply(std::string_view bytes);
std::string IntegerReply(int64_t value);
std::string ArrayHeader(size_t count);

}  // namespace rcproxy::sim
