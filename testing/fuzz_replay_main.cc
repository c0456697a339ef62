// Runs a fuzz target once over each file or folder named on the command line, so that a fuzz test
// is an ordinary test of its committed corpus in every build that has no fuzzing engine.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

bool RunFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  // A vector of exactly this size lets the address sanitizer see a read behind the input.
  const std::vector<uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return true;
}

std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error)) {
    if (!entry.is_directory()) files.push_back(entry.path());
  }
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  bool ok = true;
  int runs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::filesystem::path& path : FilesBelow(argv[i])) {
      ok = RunFile(path) && ok;
      ++runs;
    }
  }
  LLVMFuzzerTestOneInput(nullptr, 0);
  std::printf("%d corpus files replayed\n", runs);
  return ok ? 0 : 1;
}
