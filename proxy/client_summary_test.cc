#include "proxy/client_summary.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "proxy/session.h"

namespace rcproxy::proxy {
namespace {

Session Named(const std::string& name, const std::string& library) {
  Session session;
  session.extras = std::make_unique<SessionExtras>();
  session.extras->name = name;
  session.extras->library_name = library;
  return session;
}

bool Has(const std::string& text, std::string_view line) {
  return text.find(std::string(line) + "\r\n") != std::string::npos;
}

TEST(ClientSummaryTest, TellsOfAllWorkersTogetherAndOfEach) {
  ClientSummary first;
  first.Count(Named("web", "jedis"), {.output_bytes = 0, .bytes = 10});
  first.Count(Named("web", "jedis"), {.output_bytes = 1 << 20, .bytes = (1 << 20) + 5});
  ClientSummary second;
  second.Count(Session(), {.output_bytes = 17 << 20, .bytes = 17 << 20, .is_blocked = true});
  const std::string texts[] = {first.Encode(), second.Encode()};
  const std::string_view answers[] = {texts[0], texts[1]};
  const std::string text = DescribeClients(answers);
  EXPECT_TRUE(text.starts_with("# Clients\r\nclients:3\r\nblocked:1\r\nbytes_held:18874383\r\n"))
      << text;
  EXPECT_TRUE(Has(text, "worker0:clients=2,blocked=0,bytes_held=1048591")) << text;
  EXPECT_TRUE(Has(text, "worker1:clients=1,blocked=1,bytes_held=17825792")) << text;
  EXPECT_TRUE(Has(text, "name0:clients=2,library=jedis,name=web")) << text;
  EXPECT_TRUE(Has(text, "name1:clients=1,library=,name=")) << text;
  EXPECT_TRUE(Has(text, "output_none:1")) << text;
  EXPECT_TRUE(Has(text, "output_up_to_1M:1")) << text;
  EXPECT_TRUE(Has(text, "output_more:1")) << text;
}

TEST(ClientSummaryTest, TheTenLargestOfAllWorkersAreNamed) {
  ClientSummary workers[2];
  for (int i = 0; i < 24; ++i) {
    workers[i % 2].AddLargest(100 + i, "id=" + std::to_string(i) + " addr=x\n");
  }
  const std::string texts[] = {workers[0].Encode(), workers[1].Encode()};
  const std::string_view answers[] = {texts[0], texts[1]};
  const std::string text = DescribeClients(answers);
  EXPECT_TRUE(Has(text, "largest0:bytes_held=123 id=23 addr=x")) << text;
  EXPECT_TRUE(Has(text, "largest9:bytes_held=114 id=14 addr=x")) << text;
  EXPECT_EQ(text.find("largest10"), std::string::npos);
}

TEST(ClientSummaryTest, OfManyNamesThoseWithMostClientsAreGiven) {
  ClientSummary summary;
  for (int i = 0; i < 30; ++i) summary.Count(Named("n" + std::to_string(i), "x"), {});
  summary.Count(Named("n29", "x"), {});
  const std::string encoded = summary.Encode();
  const std::string_view answers[] = {encoded};
  const std::string text = DescribeClients(answers);
  EXPECT_TRUE(Has(text, "name0:clients=2,library=x,name=n29")) << text;
  EXPECT_NE(text.find("name19:"), std::string::npos);
  EXPECT_EQ(text.find("name20:"), std::string::npos);
}

// A worker that is stopping says nothing.
TEST(ClientSummaryTest, NothingIsAddedForAnEmptyAnswer) {
  const std::string_view answers[] = {""};
  const std::string text = DescribeClients(answers);
  EXPECT_TRUE(Has(text, "worker0:clients=0,blocked=0,bytes_held=0")) << text;
}

}  // namespace
}  // namespace rcproxy::proxy
