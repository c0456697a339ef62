// Looks through the files of --flagfile before gflags reads them, as it passes over whatever it
// does not know: with a misspelt --requirepass rcproxy would start without a password.
//
// A line is empty, a comment (#) or a flag with its value after "=". Pure but for reading the files
// and the registered flags; the main thread's.
#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"

namespace rcproxy::proxy {

// The file, and those that it names with --flagfile. Errors name the file, the line and the flag,
// never a value.
absl::Status CheckFlagFile(const std::string& path);
// Those that the command line names.
absl::Status CheckFlagFiles(std::span<const char* const> arguments);

}  // namespace rcproxy::proxy
