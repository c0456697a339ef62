#include "cluster/hash_slot.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace rcproxy::cluster {
namespace {

static_assert(std::endian::native == std::endian::little, "LoadBigEndian swaps bytes");

constexpr uint16_t kPolynomial = 0x1021;
constexpr int kSlices = 16;

using SliceTables = std::array<std::array<uint16_t, 256>, kSlices>;

// tables[k][b] is the checksum of byte b followed by k zero bytes. The checksum is linear, so that
// of sixteen bytes is the exclusive or of sixteen independent look-ups. 8 KB, of which keys in
// ASCII touch less than half.
constexpr SliceTables MakeSliceTables() {
  SliceTables tables{};
  for (int byte = 0; byte < 256; ++byte) {
    uint16_t crc = static_cast<uint16_t>(byte << 8);
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>((crc << 1) ^ ((crc & 0x8000) != 0 ? kPolynomial : 0));
    }
    tables[0][byte] = crc;
  }
  for (int slice = 1; slice < kSlices; ++slice) {
    for (int byte = 0; byte < 256; ++byte) {
      const uint16_t crc = tables[slice - 1][byte];
      tables[slice][byte] = static_cast<uint16_t>((crc << 8) ^ tables[0][crc >> 8]);
    }
  }
  return tables;
}

constinit const SliceTables kTables = MakeSliceTables();

uint64_t Load64(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

uint64_t LoadBigEndian64(const char* bytes) { return __builtin_bswap64(Load64(bytes)); }

uint64_t LoadBigEndian32(const char* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return __builtin_bswap32(word);
}

uint64_t Byte(char byte) { return static_cast<uint8_t>(byte); }

// `size` (1 to 7) bytes as a big-endian number. Loads overlap rather than branch on each size: what
// is loaded twice lands on the same bits.
uint64_t LoadShort(const char* bytes, size_t size) {
  if (size >= 4) {
    return LoadBigEndian32(bytes) << (8 * (size - 4)) | LoadBigEndian32(bytes + size - 4);
  }
  const size_t middle = size / 2;
  return Byte(bytes[0]) << (8 * (size - 1)) | Byte(bytes[middle]) << (8 * (size - 1 - middle)) |
         Byte(bytes[size - 1]);
}

// The checksum of the lower four bytes of `word` with kZeros zero bytes behind them.
template <int kZeros>
uint16_t ChecksumOfFour(uint64_t word) {
  uint16_t crc = kTables[kZeros + 3][(word >> 24) & 0xff];
  crc ^= kTables[kZeros + 2][(word >> 16) & 0xff];
  crc ^= kTables[kZeros + 1][(word >> 8) & 0xff];
  crc ^= kTables[kZeros][word & 0xff];
  return crc;
}

template <int kZeros>
uint16_t ChecksumOfEight(uint64_t word) {
  return ChecksumOfFour<kZeros + 4>(word >> 32) ^ ChecksumOfFour<kZeros>(word);
}

// The checksum of the first `size` (1 to 15) bytes. With an initial value of 0, zeros in front do
// not change a checksum, so a short piece is a whole word with zeros in front, and no loop over
// single bytes is needed.
uint16_t ChecksumOfHead(const char* bytes, size_t size) {
  if (size <= 4) return ChecksumOfFour<0>(LoadShort(bytes, size));
  if (size < 8) return ChecksumOfEight<0>(LoadShort(bytes, size));
  const uint16_t crc = ChecksumOfEight<0>(LoadBigEndian64(bytes + size - 8));
  if (size == 8) return crc;
  const uint64_t front = LoadShort(bytes, size - 8);
  return crc ^ (size > 12 ? ChecksumOfEight<8>(front) : ChecksumOfFour<8>(front));
}

// The odd bytes come first and the blocks of sixteen after them.
uint16_t Crc16(std::string_view bytes) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  const size_t odd = bytes.size() % 16;
  uint16_t crc = odd == 0 ? 0 : ChecksumOfHead(at, odd);
  for (at += odd; at != end; at += 16) {
    const uint64_t front = LoadBigEndian64(at) ^ static_cast<uint64_t>(crc) << 48;
    crc = ChecksumOfEight<8>(front) ^ ChecksumOfEight<0>(LoadBigEndian64(at + 8));
  }
  return crc;
}

// True when one of the eight bytes is '{'.
bool WordHasBrace(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const uint64_t difference = word ^ (kOnes * '{');
  return ((difference - kOnes) & ~difference & (kOnes * 0x80)) != 0;
}

// Most keys have no tag, so the question is answered eight bytes at a time, without a call.
bool HasBrace(std::string_view key) {
  if (key.size() < 8) return !key.empty() && WordHasBrace(LoadShort(key.data(), key.size()));
  const char* const last = key.data() + key.size() - 8;
  for (const char* at = key.data(); at < last; at += 8) {
    if (WordHasBrace(Load64(at))) return true;
  }
  return WordHasBrace(Load64(last));
}

}  // namespace

std::string_view HashTag(std::string_view key) {
  const size_t open = key.find('{');
  if (open == std::string_view::npos) return key;
  const size_t close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

uint16_t HashSlot(std::string_view key) {
  if (HasBrace(key)) [[unlikely]] {
    key = HashTag(key);
  }
  return Crc16(key) % kSlotCount;
}

}  // namespace rcproxy::cluster
