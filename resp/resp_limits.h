// Every size the protocol layer accepts, with the reason for the number. Units are in the names.
#pragma once

#include <cstdint>

namespace rcproxy::resp {

// Arguments of one command: the bound that servers had up to 6.2. Since 7.0 they take any count
// that fits an int, which no client needs and which would let one command own gigabytes of spans.
inline constexpr uint32_t kRequestArgsMax = 1024 * 1024;

// One argument: the server's default for proto-max-bulk-len.
inline constexpr uint32_t kRequestBulkBytesMax = 512u << 20;

// One inline command, and any single length line: PROTO_INLINE_MAX_SIZE.
inline constexpr uint32_t kInlineBytesMax = 64 * 1024;

// One whole command: the server's default for client-query-buffer-limit. A span's offset and size
// are 32 bits wide, so no configured limit may reach 4 GiB.
inline constexpr uint32_t kCommandBytesMax = 1u << 30;

// The same before a client has logged in: enough for AUTH and HELLO, too little to fill memory.
inline constexpr uint32_t kUnauthenticatedArgsMax = 10;
inline constexpr uint32_t kUnauthenticatedBulkBytesMax = 16 * 1024;
inline constexpr uint32_t kUnauthenticatedCommandBytesMax = 1u << 20;

// One string inside a reply. proto-max-bulk-len can be raised on the server, and module values obey
// no limit; replies are skipped rather than stored, so the only bound needed is one that shows
// nonsense: no string of 4 GiB can be read by the clients in use.
inline constexpr uint64_t kReplyBulkBytesMax = 0xffffffffu;

// Elements of one aggregate in a reply: more cannot be held by a server's own containers' replies.
inline constexpr uint64_t kReplyElementsMax = 0xffffffffu;

// Nesting of aggregates in a reply. Servers stay below ten; a script may return deeper tables, but
// the server's own Lua conversion fails far below this.
inline constexpr int kReplyDepthMax = 128;

// A length line ("*1048576", "$536870912") without its type byte and line end: the digits of an
// int64_t and its sign.
inline constexpr int kNumberBytesMax = 20;

}  // namespace rcproxy::resp
