#include "testing/scenario_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <system_error>

#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr std::string_view kRepeat = "repeat(";
constexpr size_t kPrintableMax = 200;

bool IsSpace(char c) { return c == ' ' || c == '\t'; }

std::string_view TrimLeft(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  return text;
}

std::string ExpandRepeats(std::string_view text) {
  std::string expanded;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find(kRepeat, at);
    const size_t comma = begin == text.npos ? text.npos : text.find(',', begin);
    const size_t end = comma == text.npos ? text.npos : text.find(')', comma);
    if (end == text.npos) return expanded.append(text.substr(at));
    expanded += text.substr(at, begin - at);
    const size_t digits = begin + kRepeat.size();
    const int64_t count = ParseNumber(text.substr(digits, comma - digits)).value_or(0);
    for (int64_t i = 0; i < count; ++i) expanded += text.substr(comma + 1, end - comma - 1);
    at = end + 1;
  }
  return expanded;
}

// Reads one value of a reply off the front of `text`.
bool TakeValue(std::string_view* text, std::string* out);

bool TakeBulk(std::string_view* text, std::string* out, int64_t size) {
  if (size < 0) return true;  // A null has no bytes.
  if (size > 0 && (text->empty() || text->front() != ' ')) return false;
  if (!text->empty()) text->remove_prefix(1);
  if (text->size() < static_cast<size_t>(size)) return false;
  *out += Concat(text->substr(0, size), "\r\n");
  text->remove_prefix(size);
  return true;
}

bool TakeElements(std::string_view* text, std::string* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (!TakeValue(text, out)) return false;
  }
  return true;
}

bool TakeValue(std::string_view* text, std::string* out) {
  *text = TrimLeft(*text);
  if (text->empty()) return false;
  const char type = text->front();
  const bool whole_line = type == '+' || type == '-';
  const size_t end = whole_line ? text->size() : std::min(text->find(' '), text->size());
  *out += Concat(text->substr(0, end), "\r\n");
  const std::optional<int64_t> number = ParseNumber(text->substr(1, end - 1));
  text->remove_prefix(end);
  switch (type) {
    case '$':
    case '=':
    case '!':
      return number.has_value() && TakeBulk(text, out, *number);
    case '*':
    case '~':
    case '>':
      return number.has_value() && TakeElements(text, out, *number);
    case '%':
      return number.has_value() && TakeElements(text, out, 2 * *number);
    default:
      return std::string_view("+-:,#(_").find(type) != std::string_view::npos;
  }
}

}  // namespace

std::string_view StripComment(std::string_view line) {
  const std::string_view content = TrimLeft(line);
  if (content.empty() || content.front() == '#') return {};
  line = line.substr(0, std::min(line.find("  #"), line.size()));
  while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) {
    line.remove_suffix(1);
  }
  return TrimLeft(line);
}

std::vector<std::string> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  for (text = TrimLeft(text); !text.empty(); text = TrimLeft(text)) {
    const bool quoted = text.front() == '"';
    if (quoted) text.remove_prefix(1);
    size_t end = 0;
    while (end < text.size() && (quoted ? text[end] != '"' : !IsSpace(text[end]))) {
      end += text[end] == '\\' && end + 1 < text.size() ? 2 : 1;
    }
    words.push_back(Unescape(text.substr(0, end)));
    text.remove_prefix(std::min(text.size(), quoted ? end + 1 : end));
  }
  return words;
}

std::string Unescape(std::string_view text) {
  const std::string expanded = ExpandRepeats(text);
  std::string bytes;
  for (size_t i = 0; i < expanded.size(); ++i) {
    if (expanded[i] != '\\' || i + 1 == expanded.size()) {
      bytes += expanded[i];
      continue;
    }
    const char c = expanded[++i];
    if (c == 'x' && i + 2 < expanded.size()) {
      int value = 0;
      std::from_chars(&expanded[i + 1], &expanded[i + 1] + 2, value, 16);
      bytes += static_cast<char>(value);
      i += 2;
    } else {
      bytes += c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
  }
  return bytes;
}

std::string EncodeCommand(const std::vector<std::string>& words) {
  std::string command = Concat("*", words.size(), "\r\n");
  for (const std::string& word : words) command += Concat("$", word.size(), "\r\n", word, "\r\n");
  return command;
}

std::optional<std::string> EncodeReply(std::string_view text) {
  const std::string unescaped = Unescape(text);
  std::string_view rest = unescaped;
  std::string reply;
  if (!TakeValue(&rest, &reply) || !TrimLeft(rest).empty()) return std::nullopt;
  return reply;
}

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseDuration(std::string_view text) {
  const size_t unit = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<int64_t> number = ParseNumber(text.substr(0, unit));
  const std::string_view name = text.substr(unit);
  if (!number.has_value()) return std::nullopt;
  if (name == "us") return *number * 1'000;
  if (name == "ms") return *number * 1'000'000;
  if (name == "s") return *number * 1'000'000'000;
  return std::nullopt;
}

std::string Printable(std::string_view bytes) {
  std::string text;
  for (char c : bytes.substr(0, kPrintableMax)) {
    const auto byte = static_cast<unsigned char>(c);
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\x%02x", byte);
    if (c == '\r') {
      text += "\\r";
    } else if (c == '\n') {
      text += "\\n";
    } else {
      text += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : escape;
    }
  }
  if (bytes.size() > kPrintableMax) text += Concat("... (", bytes.size(), " bytes)");
  return text;
}

}  // namespace rcproxy::sim
