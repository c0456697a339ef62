#include "proxy/resolver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <future>
#include <memory>
#include <string>

namespace rcproxy::proxy {
namespace {

std::string Printed(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return std::string(text) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6->sin6_port));
}

TEST(ResolveLiteralTest, UnderstandsBothFamilies) {
  SocketAddress address;
  ASSERT_TRUE(ResolveLiteral({"10.1.2.3", 7000}, &address));
  EXPECT_EQ(Printed(address), "10.1.2.3:7000");
  EXPECT_EQ(address.length, sizeof(sockaddr_in));
  ASSERT_TRUE(ResolveLiteral({"2001:db8::7", 65535}, &address));
  EXPECT_EQ(Printed(address), "[2001:db8::7]:65535");
  EXPECT_EQ(address.length, sizeof(sockaddr_in6));
}

TEST(ResolveLiteralTest, LeavesNamesAlone) {
  for (const char* name : {"localhost", "", "10.1.2", "10.1.2.3.4", "node-1.example", "[::1]"}) {
    SocketAddress address;
    EXPECT_FALSE(ResolveLiteral({name, 7000}, &address)) << name;
    EXPECT_EQ(address.length, 0u) << name;
  }
}

TEST(ResolverTest, LooksUpNames) {
  Resolver resolver;
  std::promise<std::string> found;
  resolver.Start({"localhost", 7000}, [&found](const SocketAddress& address) {
    found.set_value(address.length == 0 ? "nothing" : Printed(address));
  });
  const std::string text = found.get_future().get();
  EXPECT_TRUE(text == "127.0.0.1:7000" || text == "[::1]:7000") << text;
}

TEST(ResolverTest, SaysWhenThereIsNothing) {
  Resolver resolver;
  std::promise<socklen_t> length;
  resolver.Start({"no name at all", 1},
                 [&length](const SocketAddress& address) { length.set_value(address.length); });
  EXPECT_EQ(length.get_future().get(), 0u);
}

TEST(ResolverTest, AnswersInTurn) {
  Resolver resolver;
  std::promise<std::string> done;
  std::string order;
  for (int i = 0; i < 5; ++i) {
    resolver.Start({"127.0.0.1", 1}, [&order, &done, i](const SocketAddress&) {
      order += std::to_string(i);
      if (i == 4) done.set_value(order);
    });
  }
  EXPECT_EQ(done.get_future().get(), "01234");
}

TEST(ResolverTest, AfterStopNothingIsAnswered) {
  Resolver resolver;
  int answers = 0;
  resolver.Stop();
  resolver.Start({"localhost", 1}, [&answers](const SocketAddress&) { ++answers; });
  resolver.Stop();
  EXPECT_EQ(answers, 0);
}

TEST(ResolverTest, CanBeStoppedWhileItIsBusy) {
  for (int i = 0; i < 20; ++i) {
    auto answers = std::make_shared<int>(0);
    auto resolver = std::make_unique<Resolver>();
    for (int j = 0; j < 5; ++j) {
      resolver->Start({"localhost", 1}, [answers](const SocketAddress&) { ++*answers; });
    }
    resolver.reset();
    EXPECT_LE(*answers, 5);
  }
}

}  // namespace
}  // namespace rcproxy::proxy
