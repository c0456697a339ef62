// Writes RESP: requests into memory whose size is computed first, and the replies the proxy makes
// itself into strings.
//
// The Write functions are for paths where the room is known; they write exactly the bytes that the
// matching Bytes function says and return that number. The Append functions are for cold, local
// replies. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>

#include "resp/number.h"

namespace rcproxy::resp {

// The room that every header and integer fits into: type byte, sign, 20 digits, CRLF.
inline constexpr size_t kHeaderBytesMax = 24;

// "$n\r\n", "*n\r\n" or any other type byte with a count.
constexpr size_t HeaderBytes(uint64_t n) { return static_cast<size_t>(DecimalLength(n)) + 3; }
// "$n\r\n<n bytes>\r\n".
constexpr size_t BulkBytes(size_t n) { return HeaderBytes(n) + n + 2; }

// Requires: HeaderBytes(n) of room. Returns: bytes written.
size_t WriteHeader(char* out, char type, uint64_t n);
inline size_t WriteBulkHeader(char* out, size_t n) { return WriteHeader(out, '$', n); }
inline size_t WriteArrayHeader(char* out, size_t n) { return WriteHeader(out, '*', n); }
// ":n\r\n". Requires: kHeaderBytesMax of room.
size_t WriteInteger(char* out, int64_t value);
// Requires: BulkBytes(text.size()) of room.
size_t WriteBulk(char* out, std::string_view text);

// What a client speaks, as told by HELLO.
enum class Protocol : uint8_t { kResp2 = 2, kResp3 = 3 };

void AppendBulk(std::string* out, std::string_view text);
// One line: CR and LF in `text` become spaces, so that no text from outside can begin a reply.
void AppendSimple(std::string* out, std::string_view text);
// `text` begins with its code ("ERR ..."), without the "-". One line, as AppendSimple.
void AppendError(std::string* out, std::string_view text);
void AppendInteger(std::string* out, int64_t value);
void AppendArrayHeader(std::string* out, size_t count);
// A map of `pairs`; for RESP2 an array of twice as many elements.
void AppendMapHeader(std::string* out, Protocol protocol, size_t pairs);
// A set; for RESP2 an array.
void AppendSetHeader(std::string* out, Protocol protocol, size_t count);
// A push; for RESP2 an array.
void AppendPushHeader(std::string* out, Protocol protocol, size_t count);
// Text for people, in `format` of three letters ("txt"); for RESP2 a bulk.
void AppendVerbatim(std::string* out, Protocol protocol, std::string_view format,
                    std::string_view text);
// "_" or the null bulk of RESP2.
void AppendNull(std::string* out, Protocol protocol);
// "_" or the null array of RESP2.
void AppendNullArray(std::string* out, Protocol protocol);

// The request of these words.
template <typename Words>
std::string CommandOf(const Words& words) {
  std::string command;
  AppendArrayHeader(&command, std::size(words));
  for (const auto& word : words) AppendBulk(&command, word);
  return command;
}
inline std::string CommandOf(std::initializer_list<std::string_view> words) {
  return CommandOf<std::initializer_list<std::string_view>>(words);
}

}  // namespace rcproxy::resp
