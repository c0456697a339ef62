#include "proxy/operations/double_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace rcproxy::proxy {
namespace {

// The shortest digits that read back as `value`, and the power of ten of the first one.
struct Digits {
  std::string digits;
  int exponent;
};

Digits ShortestDigits(double value) {
  char text[40];
  const auto end =
      std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific).ptr;
  const std::string_view all(text, static_cast<size_t>(end - text));
  const size_t e = all.find('e');
  Digits result;
  for (const char c : all.substr(0, e)) {
    if (c != '.') result.digits += c;
  }
  result.exponent = std::atoi(std::string(all.substr(e + 1)).c_str());
  return result;
}

// The layout of the server's fpconv_dtoa: plain where that is not much longer.
std::string ShortestText(double value) {
  const bool negative = std::signbit(value);
  const Digits d = ShortestDigits(std::fabs(value));
  const int count = static_cast<int>(d.digits.size());
  const int last = d.exponent - count + 1;  // Power of ten of the last digit.
  std::string text;
  if (last >= 0 && d.exponent < count + 7) {
    text = d.digits + std::string(static_cast<size_t>(last), '0');
  } else if (last < 0 && (last > -7 || std::abs(d.exponent) < 4)) {
    if (d.exponent < 0) {
      text = "0." + std::string(static_cast<size_t>(-d.exponent - 1), '0') + d.digits;
    } else {
      const size_t whole = static_cast<size_t>(d.exponent) + 1;
      text = d.digits.substr(0, whole) + "." + d.digits.substr(whole);
    }
  } else {
    text = d.digits.substr(0, 1);
    if (count > 1) text += "." + d.digits.substr(1);
    text += (d.exponent < 0 ? "e-" : "e+") + std::to_string(std::abs(d.exponent));
  }
  return (negative ? "-" : "") + text;
}

}  // namespace

DoubleStyle DoubleStyleOf(std::string_view info) {
  constexpr std::string_view kField = "redis_version:";
  const size_t at = info.find(kField);
  if (at == std::string_view::npos) return DoubleStyle::kShortest;
  int major = 0;
  int minor = 0;
  std::sscanf(std::string(info.substr(at + kField.size(), 16)).c_str(), "%d.%d", &major, &minor);
  const bool old = major < 7 || (major == 7 && minor < 2);
  return old ? DoubleStyle::kSeventeenDigits : DoubleStyle::kShortest;
}

std::string DoubleText(double value, DoubleStyle style) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (style == DoubleStyle::kShortest) return value == 0 ? "0" : ShortestText(value);
  char text[40];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

bool ParseDouble(std::string_view text, double* value) {
  const std::string copy(text);
  char* end = nullptr;
  if (copy.empty() || std::isspace(static_cast<unsigned char>(copy[0])) != 0) return false;
  *value = std::strtod(copy.c_str(), &end);
  return end == copy.c_str() + copy.size() && !std::isnan(*value);
}

}  // namespace rcproxy::proxy
