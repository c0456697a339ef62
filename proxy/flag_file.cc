#include "proxy/flag_file.h"

#include <gflags/gflags.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace rcproxy::proxy {

namespace {

// Files that name files: more is a circle.
constexpr int kDepthMax = 8;

absl::Status CheckFile(const std::string& path, int depth);

// One argument or line: "--name", "--name=value".
struct Flag {
  std::string name;
  std::string value;
  bool has_value = false;
};

Flag Split(std::string_view text) {
  Flag flag;
  text.remove_prefix(text.starts_with("--") ? 2 : 1);
  const size_t equals = text.find('=');
  flag.has_value = equals != text.npos;
  flag.name = std::string(text.substr(0, equals));
  if (flag.has_value) flag.value = std::string(text.substr(equals + 1));
  return flag;
}

bool IsBoolean(const std::string& name) {
  gflags::CommandLineFlagInfo info;
  return gflags::GetCommandLineFlagInfo(name.c_str(), &info) && info.type == "bool";
}

// Several are separated by commas.
absl::Status CheckList(const std::string& paths, int depth) {
  for (const std::string& path : std::vector<std::string>(absl::StrSplit(paths, ','))) {
    if (absl::Status status = CheckFile(path, depth); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckLine(const std::string& line, const std::string& where, int depth) {
  const auto error = [&where](const std::string& text) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", text));
  };
  if (line.empty() || line[0] == '#') return absl::OkStatus();
  if (line[0] != '-') return error("not a flag; flags begin with --");
  const Flag flag = Split(line);
  gflags::CommandLineFlagInfo info;
  if (gflags::GetCommandLineFlagInfo(flag.name.c_str(), &info)) {
    if (!flag.has_value && info.type != "bool")
      return error(absl::StrCat("--", flag.name, " needs a value: --", flag.name, "=VALUE"));
    return flag.name == "flagfile" ? CheckList(flag.value, depth + 1) : absl::OkStatus();
  }
  if (!flag.has_value && flag.name.starts_with("no") && IsBoolean(flag.name.substr(2)))
    return absl::OkStatus();
  const std::string name = flag.name.substr(0, flag.name.find_first_of(" \t"));
  if (name != flag.name && gflags::GetCommandLineFlagInfo(name.c_str(), &info))
    return error(absl::StrCat("the value of --", name, " comes after \"=\": --", name, "=VALUE"));
  return error(absl::StrCat("unknown flag --", name, "; see --help"));
}

absl::Status CheckFile(const std::string& path, int depth) {
  if (depth > kDepthMax)
    return absl::InvalidArgumentError(
        absl::StrCat("--flagfile=", path, ": files name one another in a circle"));
  std::ifstream file(path);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat("cannot read --flagfile=", path, ": ", std::strerror(errno)));
  }
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    absl::StripAsciiWhitespace(&line);
    const std::string where = absl::StrCat("--flagfile=", path, " line ", number);
    if (absl::Status status = CheckLine(line, where, depth); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckFlagFile(const std::string& path) { return CheckFile(path, /*depth=*/0); }

absl::Status CheckFlagFiles(std::span<const char* const> arguments) {
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--") break;
    if (!argument.starts_with('-')) continue;
    Flag flag = Split(argument);
    if (flag.name != "flagfile") continue;
    if (!flag.has_value && i + 1 < arguments.size()) flag.value = arguments[i + 1];
    if (absl::Status status = CheckList(flag.value, /*depth=*/0); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace rcproxy::proxy
