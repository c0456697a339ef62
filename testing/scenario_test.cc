// The runner itself, with a system under test that answers every received piece with +PONG.
#include "testing/scenario.h"

#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <string>

#include "uring/socket.h"

namespace rcproxy::sim {
namespace {

class Ponger final : public SystemUnderTest {
 public:
  explicit Ponger(SimIo& io) : io_(io) {}

  void AcceptClient(int fd) override {
    clients_.emplace_back(*this);
    clients_.back().socket.Adopt(fd);
    clients_.back().socket.StartReceive();
  }
  void Turn() override {
    io_.Poll(SimSchedule::kNever);
    clients_.remove_if([](const Client& client) { return client.socket.is_closed(); });
  }
  bool IsReady() const override { return true; }
  std::optional<uint64_t> Counter(std::string_view name) const override {
    return name == "pongs" ? std::optional<uint64_t>(pongs_) : std::nullopt;
  }
  std::string Leaks() const override { return clients_.empty() ? "" : "clients"; }
  void Stop() override {
    for (Client& client : clients_) client.socket.Close();
    stopping_ = true;
  }
  bool IsStopped() const override { return stopping_ && clients_.empty(); }

 private:
  struct Client final : uring::SocketListener {
    explicit Client(Ponger& the_owner) : owner(the_owner), socket(the_owner.io_, *this) {}
    void OnReceived(uring::Slice) override {
      ++owner.pongs_;
      if (!socket.sending()) socket.Send("+PONG\r\n", 7);
    }
    void OnReceiveEnded(int) override { socket.Close(); }
    void OnSent(size_t, int error) override {
      if (error != 0) socket.Close();
    }
    void OnSocketClosed() override {}

    Ponger& owner;
    uring::Socket socket;
  };

  SimIo& io_;
  std::list<Client> clients_;
  uint64_t pongs_ = 0;
  bool stopping_ = false;
};

std::string RunText(std::string_view text) {
  auto factory = [](SimIo& io, const SubjectOptions& options) -> std::unique_ptr<SystemUnderTest> {
    if (options.settings.count("nonsense") != 0) return nullptr;
    return std::make_unique<Ponger>(io);
  };
  return Scenario(text, 1, factory).Run();
}

TEST(ScenarioTest, AConversationThatGoesAsWrittenPasses) {
  EXPECT_EQ(RunText(R"(
      # A comment.
      cluster A 0-16383
      client 1 > PING
      client 1 < +PONG
      client 2 raw "PING\r\n"
      client 2 < +PO...
      client 1 < nothing
      wait 5ms
      expect pongs 2
      client 1 close
      client 2 reset)"),
            "");
}

TEST(ScenarioTest, TheFirstDifferenceIsReportedWithItsLine) {
  EXPECT_EQ(RunText("cluster A 0-16383\nclient 1 > PING\nclient 1 < +OK"),
            "line 3: client 1 < +OK\n  received +PONG\\r\\n");
  EXPECT_EQ(RunText("cluster A 0-16383\nclient 1 > PING\nclient 1 closed"),
            "line 3: client 1 closed\n  still open");
  EXPECT_EQ(RunText("cluster A 0-16383\nclient 1 > PING\nclient 1 < +PONG\nexpect pongs 2"),
            "line 4: expect pongs 2\n  pongs is 1");
  EXPECT_EQ(RunText("cluster A 0-16383\nscript A\nclient 1 > PING\nnode A < PING"),
            "line 4: node A < PING\n  was not asked");
}

TEST(ScenarioTest, WhatNobodyExpectedIsReportedAtTheEnd) {
  EXPECT_EQ(RunText("cluster A 0-16383\nclient 1 > PING\nwait 5ms"),
            "at the end: client 1 has received +PONG\\r\\n");
}

TEST(ScenarioTest, MistakesOfTheAuthorAreNamed) {
  EXPECT_EQ(RunText("claster A 0-16383"), "line 1: claster A 0-16383\n  unknown step");
  EXPECT_EQ(RunText("\nwait long"), "line 2: wait long\n  usage: wait 10ms");
  EXPECT_EQ(RunText("cluster A 0-99999"), "line 1: cluster A 0-99999\n  not slots: 0-99999");
  EXPECT_EQ(RunText("option nonsense 1\nstart"),
            "line 2: start\n  the options were not understood");
  EXPECT_EQ(RunText("start\nexpect nothing 1"), "line 2: expect nothing 1\n  no counter nothing");
  EXPECT_EQ(RunText("client 1 < PONG"), "line 1: client 1 < PONG\n  not a reply");
}

}  // namespace
}  // namespace rcproxy::sim
