#include "proxy/sha1.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace rcproxy::proxy {
namespace {

constexpr size_t kBlockBytes = 64;
using State = std::array<uint32_t, 5>;

uint32_t ReadBigEndian(const char* p) {
  uint32_t word = 0;
  for (int i = 0; i < 4; ++i) word = word << 8 | static_cast<uint8_t>(p[i]);
  return word;
}

// What the four quarters of the rounds do with b, c and d.
uint32_t Mix(int round, uint32_t b, uint32_t c, uint32_t d) {
  if (round < 20) return (b & c) | (~b & d);
  if (round < 40 || round >= 60) return b ^ c ^ d;
  return (b & c) | (b & d) | (c & d);
}

void AddBlock(const char* block, State* state) {
  static constexpr uint32_t kConstants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
  uint32_t words[80];
  for (int i = 0; i < 16; ++i) words[i] = ReadBigEndian(block + 4 * i);
  for (int i = 16; i < 80; ++i) {
    words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  }
  auto [a, b, c, d, e] = *state;
  for (int i = 0; i < 80; ++i) {
    const uint32_t next = std::rotl(a, 5) + Mix(i, b, c, d) + e + kConstants[i / 20] + words[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  const uint32_t results[] = {a, b, c, d, e};
  for (size_t i = 0; i < state->size(); ++i) (*state)[i] += results[i];
}

}  // namespace

std::string Sha1Hex(std::string_view bytes) {
  State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  std::string_view rest = bytes;
  for (; rest.size() >= kBlockBytes; rest.remove_prefix(kBlockBytes)) AddBlock(rest.data(), &state);
  // The end: a one, zeros, and the number of bits in eight bytes.
  std::string end(rest);
  end += '\x80';
  while (end.size() % kBlockBytes != kBlockBytes - 8) end += '\0';
  for (int shift = 56; shift >= 0; shift -= 8) {
    end += static_cast<char>(uint64_t{bytes.size()} * 8 >> shift);
  }
  for (size_t at = 0; at < end.size(); at += kBlockBytes) AddBlock(end.data() + at, &state);
  std::string hex;
  for (const uint32_t word : state) {
    for (int shift = 28; shift >= 0; shift -= 4) hex += "0123456789abcdef"[word >> shift & 15];
  }
  return hex;
}

}  // namespace rcproxy::proxy
