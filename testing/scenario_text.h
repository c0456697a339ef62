// The notation of scenarios: words with quotes and escapes, commands, and replies as one readable
// line.
//
//   GET "two words" \x00     a command: words
//   $3 bar                   a reply: "$3\r\nbar\r\n"
//   *2 $1 a *1 :5            nested; an error or simple string reaches to the end of the line
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rcproxy::sim {

// Without the comment: "#" as the first character, or behind two spaces.
std::string_view StripComment(std::string_view line);
// Splits at white space; "..." holds a word together, also an empty one. Escapes are resolved.
std::vector<std::string> SplitWords(std::string_view text);
// Resolves \r \n \t \\ \" \xNN and repeat(N,text).
std::string Unescape(std::string_view text);
// The words as a command in multibulk form.
std::string EncodeCommand(const std::vector<std::string>& words);
// The bytes of a reply in the notation above, or nothing when it is malformed.
std::optional<std::string> EncodeReply(std::string_view text);
// "5ms", "10us", "2s" in nanoseconds; nothing when malformed.
std::optional<int64_t> ParseDuration(std::string_view text);
std::optional<int64_t> ParseNumber(std::string_view text);
// For messages: control characters and other bytes beyond ASCII as escapes, long texts cut.
std::string Printable(std::string_view bytes);

}  // namespace rcproxy::sim
