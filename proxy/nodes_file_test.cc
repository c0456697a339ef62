#include "proxy/nodes_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace rcproxy::proxy {
namespace {

using cluster::NodeAddress;

cluster::Topology TopologyOf(const std::vector<NodeAddress>& addresses) {
  std::vector<cluster::Node> nodes(addresses.size());
  for (size_t i = 0; i < nodes.size(); ++i) nodes[i].address = addresses[i];
  return cluster::Topology(nodes, {}, {});
}

class NodesFileTest : public testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(path_, std::ios::trunc) << text; }
  std::string Text() {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string path_ =
      testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(NodesFileTest, WhatWasSavedIsRead) {
  EXPECT_TRUE(ReadNodesFile(path_).empty());
  NodesFile file(path_);
  EXPECT_TRUE(file.Save(TopologyOf({{"10.0.0.2", 7000}, {"::1", 7001}, {"a.example", 1}})).ok());
  EXPECT_EQ(ReadNodesFile(path_),
            (std::vector<NodeAddress>{{"10.0.0.2", 7000}, {"::1", 7001}, {"a.example", 1}}));
  EXPECT_TRUE(file.Save(TopologyOf({{"10.0.0.3", 7000}})).ok());
  EXPECT_EQ(ReadNodesFile(path_), (std::vector<NodeAddress>{{"10.0.0.3", 7000}}));
}

TEST_F(NodesFileTest, TheSameNodesAreNotWrittenAgain) {
  NodesFile file(path_);
  ASSERT_TRUE(file.Save(TopologyOf({{"a", 1}, {"b", 2}})).ok());
  Write("touched");
  EXPECT_TRUE(file.Save(TopologyOf({{"b", 2}, {"a", 1}})).ok()) << "in whatever order";
  EXPECT_EQ(Text(), "touched");
}

TEST_F(NodesFileTest, WhatIsCutOrStrangeIsNotUsed) {
  NodesFile file(path_);
  ASSERT_TRUE(file.Save(TopologyOf({{"a", 1}, {"b", 2}})).ok());
  const std::string whole = Text();
  for (size_t size = 0; size < whole.size(); ++size) {
    Write(whole.substr(0, size));
    EXPECT_TRUE(ReadNodesFile(path_).empty()) << size;
  }
  for (const char* text : {"rcproxy-nodes 2\na:1\nend\n", "rcproxy-nodes 1\na\nend\n",
                           "rcproxy-nodes 1\na:1\nend\nmore\n", "\n\n\n"}) {
    Write(text);
    EXPECT_TRUE(ReadNodesFile(path_).empty()) << text;
  }
}

TEST_F(NodesFileTest, AFolderThatIsNotThereIsAnError) {
  NodesFile file(path_ + "/missing/file");
  const absl::Status status = file.Save(TopologyOf({{"a", 1}}));
  EXPECT_NE(std::string(status.message()).find("--nodes_file"), std::string::npos);
  EXPECT_TRUE(NodesFile("").Save(TopologyOf({{"a", 1}})).ok());
}

}  // namespace
}  // namespace rcproxy::proxy
