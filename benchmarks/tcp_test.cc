#include "benchmarks/tcp.h"

#include <sys/socket.h>

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace rcproxy::benchmarks {
namespace {

TEST(TcpTest, ConnectsToAListenerOfAChosenPort) {
  auto listener = ListenTcp(0);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_FALSE(AcceptTcp(listener->get()).valid());

  auto client = ConnectTcp("127.0.0.1:" + std::to_string(LocalPort(listener->get())));
  ASSERT_TRUE(client.ok()) << client.status();
  OwnedFd accepted = AcceptTcp(listener->get());
  ASSERT_TRUE(accepted.valid());

  EXPECT_EQ(send(client->get(), "x", 1, MSG_NOSIGNAL), 1);
  char byte = 0;
  EXPECT_EQ(recv(accepted.get(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'x');
}

TEST(TcpTest, SaysWhichAddressFailed) {
  auto listener = ListenTcp(0);
  ASSERT_TRUE(listener.ok());
  std::string address = "127.0.0.1:" + std::to_string(LocalPort(listener->get()));
  listener->Close();
  EXPECT_NE(ConnectTcp(address).status().message().find(address), std::string::npos);
  EXPECT_FALSE(ConnectTcp("no-port").ok());
}

TEST(TcpTest, AMovedDescriptorHasOneOwner) {
  auto listener = ListenTcp(0);
  ASSERT_TRUE(listener.ok());
  OwnedFd first = std::move(*listener);
  int number = first.get();
  OwnedFd second = std::move(first);
  EXPECT_FALSE(first.valid());
  EXPECT_EQ(second.get(), number);
}

}  // namespace
}  // namespace rcproxy::benchmarks
