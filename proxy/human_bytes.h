// A number of bytes for people, as the server writes it beside the exact one: "12B", "1.50M". Pure;
// any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"

namespace rcproxy::proxy {

inline std::string HumanBytes(uint64_t bytes) {
  constexpr std::string_view kUnits = "KMGTP";
  if (bytes < 1024) return absl::StrFormat("%dB", bytes);
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return absl::StrFormat("%.2f%c", value, kUnits[unit]);
}

}  // namespace rcproxy::proxy
