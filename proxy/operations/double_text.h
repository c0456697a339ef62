// Doubles as servers write them into replies: with 17 digits until 7.0, as short as possible from
// 7.2 on. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace rcproxy::proxy {

enum class DoubleStyle { kSeventeenDigits, kShortest };

// By the "redis_version" of INFO.
DoubleStyle DoubleStyleOf(std::string_view info);
std::string DoubleText(double value, DoubleStyle style);
// As the server reads weights and scores; false for anything that is no number, and for NaN.
bool ParseDouble(std::string_view text, double* value);

}  // namespace rcproxy::proxy
