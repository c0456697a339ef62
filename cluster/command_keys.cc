#include "cluster/command_keys.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>

namespace rcproxy::cluster {
namespace {

using resp::CommandView;

char Upper(char byte) { return byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 32) : byte; }

bool IsWord(std::string_view argument, std::string_view upper) {
  if (argument.size() != upper.size()) return false;
  for (size_t i = 0; i < argument.size(); ++i) {
    if (Upper(argument[i]) != upper[i]) return false;
  }
  return true;
}

void Add(KeyRuns* found, size_t first, size_t count, size_t step, bool is_channel) {
  if (count == 0 || found->size == KeyRuns::kMax) return;
  found->runs[found->size++] = {static_cast<uint32_t>(first), static_cast<uint32_t>(count),
                                static_cast<uint32_t>(step), is_channel};
}

// Reads a count as servers do when they route: white space, a sign, and digits, whatever follows.
// They refuse "2x" and "02" only when they run the command; until then its two keys decide where it
// goes. More digits than an argument count has are as wrong as none.
std::optional<size_t> ParseKeyCount(std::string_view text) {
  constexpr size_t kDigitsMax = 9;
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > kDigitsMax) return std::nullopt;
  size_t value = 0;
  for (const char digit : text.substr(0, digits)) {
    value = value * 10 + static_cast<size_t>(digit - '0');
  }
  return value;
}

// Where the keys of a keyword spec begin: behind the keyword. Returns 0 when it is not there. As
// the server does, a search from the end does not look at argument 0.
size_t FindKeyword(const KeySpec& spec, const CommandView& command) {
  const ptrdiff_t size = static_cast<ptrdiff_t>(command.size());
  if (spec.index >= 0) {
    for (ptrdiff_t at = spec.index; at < size; ++at) {
      if (IsWord(command[at], spec.keyword)) return at + 1;
    }
  } else {
    for (ptrdiff_t at = size + spec.index; at >= 1; --at) {
      if (IsWord(command[at], spec.keyword)) return at + 1;
    }
  }
  return 0;
}

// Computes with signed numbers, since a short command may end before its first key.
KeysStatus AddRange(const KeySpec& spec, size_t begin, const CommandView& command, KeyRuns* found) {
  const ptrdiff_t first = static_cast<ptrdiff_t>(begin);
  const ptrdiff_t size = static_cast<ptrdiff_t>(command.size());
  ptrdiff_t last = first + spec.last;
  if (spec.last < 0) {
    last = spec.limit > 1 ? first + (size - first) / spec.limit + spec.last : size + spec.last;
  }
  // An open range may be empty: PFMERGE with a destination alone.
  if (first == size && spec.last < 0 && spec.limit <= 1) return KeysStatus::kNoKeys;
  if (first >= size || last >= size || last < first) return KeysStatus::kSyntax;
  Add(found, begin, static_cast<size_t>((last - first) / spec.step + 1),
      static_cast<size_t>(spec.step), spec.is_channel);
  return KeysStatus::kOk;
}

KeysStatus AddCounted(const KeySpec& spec, size_t begin, const CommandView& command,
                      KeyRuns* found) {
  const size_t count_at = begin + static_cast<size_t>(spec.keynum_index);
  if (count_at >= command.size()) return KeysStatus::kSyntax;
  const std::optional<size_t> count = ParseKeyCount(command[count_at]);
  if (!count.has_value()) return KeysStatus::kBadKeyCount;
  if (*count == 0) return KeysStatus::kNoKeys;
  const size_t first = begin + static_cast<size_t>(spec.keynum_first);
  const size_t step = static_cast<size_t>(spec.step);
  // `count` has nine digits at most, so nothing overflows.
  if (first + (*count - 1) * step >= command.size()) return KeysStatus::kBadKeyCount;
  Add(found, first, *count, step, spec.is_channel);
  return KeysStatus::kOk;
}

// SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [STORE destination]. Values of the
// other options may be the word STORE. As in the server, the word behind STORE is looked at again.
void AddSortDestination(const CommandView& command, KeyRuns* found) {
  size_t destination = 0;
  for (size_t at = 2; at < command.size(); ++at) {
    if (IsWord(command[at], "LIMIT")) {
      at += 2;
    } else if (IsWord(command[at], "GET") || IsWord(command[at], "BY")) {
      at += 1;
    } else if (IsWord(command[at], "STORE") && at + 1 < command.size()) {
      destination = at + 1;
    }
  }
  if (destination != 0) Add(found, destination, 1, 1, false);
}

// MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p | AUTH2 u p] [KEYS key ...].
KeysStatus AddMigrateKeys(const CommandView& command, KeyRuns* found) {
  size_t keyword = 6;
  while (keyword < command.size() && !IsWord(command[keyword], "KEYS")) {
    keyword += IsWord(command[keyword], "AUTH2") ? 3 : IsWord(command[keyword], "AUTH") ? 2 : 1;
  }
  if (keyword + 1 >= command.size()) {  // No KEYS, or nothing behind it.
    Add(found, 3, 1, 1, false);
    return KeysStatus::kOk;
  }
  if (!command[3].empty()) return KeysStatus::kSyntax;
  Add(found, keyword + 1, command.size() - keyword - 1, 1, false);
  return KeysStatus::kOk;
}

KeysStatus AddMovable(const KeySpec& spec, const CommandView& command, KeyRuns* found) {
  switch (static_cast<MovableKeys>(spec.index)) {
    case MovableKeys::kSort:
      AddSortDestination(command, found);
      return KeysStatus::kNoKeys;
    case MovableKeys::kMigrate:
      return AddMigrateKeys(command, found);
    case MovableKeys::kJsonDebug:
      if (command.size() < 3 || !IsWord(command[1], "MEMORY")) return KeysStatus::kNoKeys;
      Add(found, 2, 1, 1, false);
      return KeysStatus::kOk;
  }
  return KeysStatus::kNoKeys;
}

KeysStatus AddKeys(const KeySpec& spec, const CommandView& command, KeyRuns* found) {
  if (spec.find == KeySpec::Find::kMovable) return AddMovable(spec, command, found);
  size_t begin = static_cast<size_t>(spec.index);
  if (spec.begin == KeySpec::Begin::kKeyword) {
    begin = FindKeyword(spec, command);
    if (begin == 0 || begin >= command.size()) return KeysStatus::kSyntax;
  }
  return spec.find == KeySpec::Find::kKeyNum ? AddCounted(spec, begin, command, found)
                                             : AddRange(spec, begin, command, found);
}

bool IsOneKeyAtFixedPlace(const KeySpec& spec) {
  return spec.begin == KeySpec::Begin::kIndex && spec.find == KeySpec::Find::kRange &&
         spec.last == 0;
}

}  // namespace

bool HasOneKeyAtFixedPlace(const CommandSpec& spec) {
  return spec.keys.size() == 1 && IsOneKeyAtFixedPlace(spec.keys[0]);
}

uint32_t KeyRuns::TotalKeys() const {
  uint32_t total = 0;
  for (int i = 0; i < size; ++i) total += runs[i].count;
  return total;
}

KeyRuns FindKeys(const CommandSpec& spec, const resp::CommandView& command) {
  KeyRuns found;
  if (HasOneKeyAtFixedPlace(spec)) [[likely]] {
    const size_t at = static_cast<size_t>(spec.keys[0].index);
    found.status = at < command.size() ? KeysStatus::kOk : KeysStatus::kSyntax;
    if (at < command.size()) Add(&found, at, 1, 1, spec.keys[0].is_channel);
    return found;
  }
  for (const KeySpec& keys : spec.keys) {
    KeysStatus status = AddKeys(keys, command, &found);
    // ZUNIONSTORE destination 0: only a command whose other keys do not exist may have none of
    // these.
    if (keys.find == KeySpec::Find::kKeyNum && status == KeysStatus::kNoKeys &&
        spec.keys.size() > 1) {
      status = KeysStatus::kBadKeyCount;
    }
    // Beside another spec a keyword is an option: GEORADIUS key ... STORE destination.
    if (keys.begin == KeySpec::Begin::kKeyword && spec.keys.size() > 1) continue;
    if (status == KeysStatus::kBadKeyCount || status == KeysStatus::kSyntax) {
      found.size = 0;
      found.status = status;
      return found;
    }
  }
  found.status = found.size > 0 ? KeysStatus::kOk : KeysStatus::kNoKeys;
  return found;
}

}  // namespace rcproxy::cluster
