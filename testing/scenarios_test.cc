// Runs every file of scenarios/ against the proxy.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "testing/scenario.h"
#include "testing/sim_proxy.h"

namespace rcproxy::sim {
namespace {

constexpr uint64_t kSeeds = 10;

std::vector<std::string> ListScenarios() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("testing/scenarios")) {
    if (entry.path().extension() == ".scn") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ScenariosTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ScenariosTest, GoesAsWritten) {
  std::ifstream file("testing/scenarios/" + GetParam() + ".scn");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(text.empty());
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    ASSERT_EQ(Scenario(text, seed, MakeProxy).Run(), "") << GetParam() << ", seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScenariosTest, ::testing::ValuesIn(ListScenarios()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace rcproxy::sim
