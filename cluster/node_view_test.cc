#include "cluster/node_view.h"

#include <string>

#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

// As a server of version 7.0 writes them; 4.0 has no host name behind the bus port, 7.2 has more.
const char kNodes[] =
    "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,host-4 slave "
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected\n"
    "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002 master - 0 1426238316232 2 "
    "connected 5461-10922\n"
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca :30001@31001,,tls-port=0 myself,master - 0 0 11 "
    "connected 0-5460 [77->-67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1]\n";

TEST(ReadClusterNodesTest, TellsEpochsAndWhoWasAsked) {
  for (const std::string& reply :
       {Bulk(kNodes), "=" + std::to_string(sizeof(kNodes) + 3) + "\r\ntxt:" + kNodes + "\r\n"}) {
    NodeView view;
    ReadClusterNodes(reply, &view);
    EXPECT_EQ(view.self, "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca");
    EXPECT_EQ(view.epochs.size(), 3u);
    EXPECT_EQ(view.epochs["e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca"], 11u);
    EXPECT_EQ(view.epochs["07c37dfeb235213a872192d90877d0cd55635b91"], 4u);
  }
}

TEST(ReadClusterNodesTest, WhatIsNoSuchReplyTellsNothing) {
  for (const std::string& reply :
       {std::string("-NOPERM no\r\n"), std::string("+OK\r\n"), std::string("*0\r\n"), std::string(),
        Bulk("id address myself,master"), Bulk("id a myself - 0 0 x connected"),
        Bulk(" a myself - 0 0 1 connected"), Bulk(std::string(65, 'i') + " a master - 0 0 1 ok"),
        Bulk("id a myself - 0 0 -1 connected")}) {
    NodeView view;
    ReadClusterNodes(reply, &view);
    EXPECT_TRUE(view.self.empty()) << reply;
    EXPECT_TRUE(view.epochs.empty()) << reply;
  }
}

TEST(ReadClusterInfoTest, TellsWhetherTheNodeServes) {
  NodeView view;
  ReadClusterInfo(Bulk("cluster_state:ok\r\ncluster_slots_fail:3\r\n"), &view);
  EXPECT_TRUE(view.is_ok);
  ReadClusterInfo("-NOPERM no\r\n", &view);
  EXPECT_TRUE(view.is_ok) << "a node may be configured not to tell";
  ReadClusterInfo(Bulk("cluster_state:fail\r\ncluster_slots_ok:3\r\n"), &view);
  EXPECT_FALSE(view.is_ok);
}

TEST(RefusesToTellTest, WhoIsNotReadyIsNotBelieved) {
  EXPECT_TRUE(RefusesToTell("-LOADING Redis is loading the dataset in memory\r\n"));
  EXPECT_TRUE(RefusesToTell("-MASTERDOWN Link with MASTER is down\r\n"));
  EXPECT_FALSE(RefusesToTell("-NOPERM this user has no permissions\r\n"));
  EXPECT_FALSE(RefusesToTell(Bulk("LOADING")));
}

}  // namespace
}  // namespace rcproxy::cluster
