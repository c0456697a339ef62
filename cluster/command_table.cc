#include "cluster/command_table.h"

#include <glog/logging.h>

#include <array>
#include <bit>
#include <cstring>
#include <iterator>

namespace rcproxy::cluster {
namespace {

#include "cluster/command_table.inc"

static_assert(std::endian::native == std::endian::little, "LoadName and PackName pack alike");

constexpr size_t kNameBytesMax = 32;
constexpr size_t kBuckets = 2048;  // About a fifth is used, so that nearly all names are in theirs.
static_assert(std::size(kCommands) * 4 < kBuckets);

// A name as two words: its first eight bytes and its last eight. Together with the size they are
// the whole name up to 16 bytes. Shorter names fill the words as LoadName does.
struct NameWords {
  uint64_t front = 0;
  uint64_t back = 0;

  bool operator==(const NameWords&) const = default;
};

// ASCII letters to lower case, all other bytes unchanged. The additions carry into bit 7 of a byte
// exactly when its low seven bits are at least 'A', or above 'Z'; no carry leaves its byte.
constexpr uint64_t FoldCase(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const uint64_t low = word & (kOnes * 0x7f);
  const uint64_t from_a = low + kOnes * (0x80 - 'A');
  const uint64_t above_z = low + kOnes * (0x7f - 'Z');
  const uint64_t letters = from_a & ~above_z & ~word & (kOnes * 0x80);
  return word | (letters >> 2);
}

constexpr uint64_t PackBytes(std::string_view bytes) {
  uint64_t word = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    word |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  return word;
}

// LoadName at compile time, by its definition.
constexpr NameWords PackName(std::string_view name) {
  const size_t size = name.size();
  if (size >= 8) return {PackBytes(name.substr(0, 8)), PackBytes(name.substr(size - 8))};
  if (size >= 4) return {PackBytes(name.substr(0, 4)), PackBytes(name.substr(size - 4))};
  return {PackBytes(name), 0};
}

uint64_t Load64(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

uint64_t Load32(const char* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// Reads the name's bytes alone: the loads of short names overlap instead of reaching beyond.
NameWords LoadName(std::string_view name) {
  const char* const bytes = name.data();
  const size_t size = name.size();
  if (size >= 8) return {Load64(bytes), Load64(bytes + size - 8)};
  if (size >= 4) return {Load32(bytes), Load32(bytes + size - 4)};
  return {PackBytes(name), 0};
}

constexpr size_t BucketOf(const NameWords& words, size_t size) {
  uint64_t hash = (words.front ^ std::rotl(words.back, 29)) + size;
  hash *= 0x9e3779b97f4a7c15;
  return hash >> (64 - std::countr_zero(kBuckets));
}

struct Bucket {
  NameWords words;
  uint16_t size = 0;  // 0: empty.
  uint16_t index = 0;
};

constexpr std::array<Bucket, kBuckets> MakeBuckets() {
  std::array<Bucket, kBuckets> buckets{};
  for (uint16_t index = 0; index < std::size(kCommands); ++index) {
    const std::string_view name = kCommands[index].name;
    const NameWords words = PackName(name);
    size_t at = BucketOf(words, name.size());
    while (buckets[at].size != 0) at = (at + 1) % kBuckets;
    buckets[at] = {words, static_cast<uint16_t>(name.size()), index};
  }
  return buckets;
}

constexpr bool RowsAreConsistent() {
  for (size_t i = 0; i < std::size(kCommands); ++i) {
    if (kCommands[i].id != i || kCommands[i].name.size() > kNameBytesMax) return false;
    if (i > 0 && kCommands[i - 1].name >= kCommands[i].name) return false;
  }
  return true;
}
static_assert(RowsAreConsistent());

constinit const std::array<Bucket, kBuckets> kTable = MakeBuckets();

char Lower(char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 32) : byte; }

// `lower` is in lower case already.
bool EqualsFolded(std::string_view name, std::string_view lower) {
  if (name.size() != lower.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (Lower(name[i]) != lower[i]) return false;
  }
  return true;
}

}  // namespace

const CommandSpec* FindCommand(std::string_view name) {
  const size_t size = name.size();
  if (size == 0 || size > kNameBytesMax) return nullptr;
  NameWords words = LoadName(name);
  words = {FoldCase(words.front), FoldCase(words.back)};
  for (size_t at = BucketOf(words, size);; at = (at + 1) % kBuckets) {
    const Bucket& bucket = kTable[at];
    if (bucket.size == size && bucket.words == words) {
      const CommandSpec& spec = kCommands[bucket.index];
      // The words do not hold the middle of a name of more than 16 bytes.
      if (size <= 16 || EqualsFolded(name, spec.name)) return &spec;
    }
    if (bucket.size == 0) return nullptr;
  }
}

const CommandSpec* FindSubcommand(const CommandSpec& container, std::string_view name) {
  const size_t prefix = container.name.size() + 1;
  for (const CommandSpec& spec : container.subcommands) {
    if (EqualsFolded(name, spec.name.substr(prefix))) return &spec;
  }
  return nullptr;
}

const CommandSpec& CommandNamed(std::string_view name) {
  const size_t bar = name.find('|');
  const CommandSpec* spec = FindCommand(name.substr(0, bar));
  CHECK(spec != nullptr) << name;
  if (bar != std::string_view::npos) spec = FindSubcommand(*spec, name.substr(bar + 1));
  CHECK(spec != nullptr) << name;
  return *spec;
}

const CommandSpec* CommandById(int id) {
  static constexpr CommandSpec kAnyLearnt = {.name = "learnt", .id = kCommandIds};
  if (id == kAnyLearnt.id) return &kAnyLearnt;
  for (const CommandSpec& spec : kCommands) {
    if (spec.id == id) return &spec;
    for (const CommandSpec& sub : spec.subcommands) {
      if (sub.id == id) return &sub;
    }
  }
  return nullptr;
}

std::span<const CommandSpec> AllCommands() { return kCommands; }

uint16_t LearntCommandId() { return kCommandIds; }

int CommandIdCount() { return kCommandIds + 1; }

}  // namespace rcproxy::cluster
