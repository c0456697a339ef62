// Socket against a kernel played by hand, so that each order of events can be forced. The same with
// the real one is in ring_socket_test.cc.
#include "uring/socket.h"

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "uring/fake_io.h"

namespace rcproxy::uring {
namespace {

using Calls = std::vector<std::string>;

class SocketTest : public ::testing::Test, public SocketListener {
 protected:
  SocketTest() : socket_(std::make_unique<Socket>(io_, *this)) { socket_->Adopt(7); }

  void OnReceived(Slice data) override { Note("received " + std::to_string(data.size())); }
  void OnReceiveEnded(int error) override { Note("ended " + std::to_string(error)); }
  void OnSent(size_t bytes, int error) override {
    Note("sent " + std::to_string(bytes) + " " + std::to_string(error));
  }
  void OnSocketClosed() override {
    Note("closed");
    if (destroy_on_close_) socket_.reset();
  }

  void Note(std::string text) {
    seen_.push_back(std::move(text));
    if (auto hook = std::exchange(hook_, nullptr)) hook();
  }
  Calls Seen() { return std::exchange(seen_, {}); }
  // Ends whatever is open, for tests that stop in the middle.
  void TearDown() override {
    if (socket_ == nullptr) return;
    socket_->Close();
    if (io_.receive != nullptr && io_.receive->in_flight())
      io_.Deliver(io_.receive, -ECANCELED, false);
    if (io_.send != nullptr && io_.send->in_flight()) io_.Deliver(io_.send, -ECANCELED, false);
    EXPECT_TRUE(socket_ == nullptr || socket_->is_closed());
  }

  FakeIo io_;
  std::unique_ptr<Socket> socket_;
  Calls seen_;
  std::function<void()> hook_;  // Runs once, inside the next callback.
  bool destroy_on_close_ = false;
};

TEST_F(SocketTest, DeliversBytesUntilThePeerCloses) {
  socket_->StartReceive();
  socket_->StartReceive();
  EXPECT_EQ(io_.TakeCalls(), Calls{"receive"});
  io_.Deliver(io_.receive, 5, true);
  io_.Deliver(io_.receive, 6, true);
  io_.Deliver(io_.receive, 0, false);
  EXPECT_EQ(Seen(), (Calls{"received 5", "received 6", "ended 0"}));
  EXPECT_FALSE(socket_->receiving());
  socket_->StartReceive();  // There is nothing more to receive.
  EXPECT_EQ(io_.TakeCalls(), Calls{});
  socket_->Send("x", 1);  // But the other direction is open.
  io_.Deliver(io_.send, 1, false);
  EXPECT_EQ(Seen(), Calls{"sent 1 0"});
}

TEST_F(SocketTest, ReportsErrnoValues) {
  socket_->StartReceive();
  socket_->Send("x", 1);
  io_.Deliver(io_.receive, -ECONNRESET, false);
  io_.Deliver(io_.send, -EPIPE, false);
  EXPECT_EQ(Seen(),
            (Calls{"ended " + std::to_string(ECONNRESET), "sent 0 " + std::to_string(EPIPE)}));
}

TEST_F(SocketTest, ASendOfNothingIsAnError) {
  socket_->Send("x", 1);
  io_.Deliver(io_.send, 0, false);
  EXPECT_EQ(Seen(), Calls{"sent 0 " + std::to_string(EPIPE)});
}

TEST_F(SocketTest, OutOfBuffersWaitsForBuffers) {
  socket_->StartReceive();
  io_.Deliver(io_.receive, -ENOBUFS, false);
  EXPECT_EQ(io_.TakeCalls(), (Calls{"receive", "receive-when-buffered"}));
  io_.Deliver(io_.receive, 4, true);
  EXPECT_EQ(Seen(), Calls{"received 4"});
}

TEST_F(SocketTest, OutOfBuffersWhilePausedStaysPaused) {
  socket_->StartReceive();
  socket_->PauseReceive();
  io_.Deliver(io_.receive, -ENOBUFS, false);
  EXPECT_EQ(io_.TakeCalls(), (Calls{"receive", "cancel"}));
  socket_->StartReceive();
  EXPECT_EQ(io_.TakeCalls(), Calls{"receive"});
}

TEST_F(SocketTest, AReceiveThatTheIoEndedWithBytesGoesOn) {
  socket_->StartReceive();
  io_.Deliver(io_.receive, 5, false);
  EXPECT_EQ(io_.TakeCalls(), (Calls{"receive", "receive"}));
  EXPECT_EQ(Seen(), Calls{"received 5"});
}

TEST_F(SocketTest, PauseCancelsAndDeliversWhatWasTaken) {
  socket_->StartReceive();
  socket_->PauseReceive();
  socket_->PauseReceive();
  EXPECT_FALSE(socket_->receiving());
  EXPECT_EQ(io_.TakeCalls(), (Calls{"receive", "cancel"}));
  io_.Deliver(io_.receive, 3, true);
  io_.Deliver(io_.receive, -ECANCELED, false);
  EXPECT_EQ(Seen(), Calls{"received 3"});
  EXPECT_EQ(io_.TakeCalls(), Calls{});
  socket_->StartReceive();
  EXPECT_EQ(io_.TakeCalls(), Calls{"receive"});
}

TEST_F(SocketTest, StartBeforeTheCancelledReceiveEndedArmsAnew) {
  socket_->StartReceive();
  socket_->PauseReceive();
  socket_->StartReceive();
  EXPECT_TRUE(socket_->receiving());
  EXPECT_EQ(io_.TakeCalls(), (Calls{"receive", "cancel"}));
  io_.Deliver(io_.receive, -ECANCELED, false);
  EXPECT_EQ(io_.TakeCalls(), Calls{"receive"});
  EXPECT_EQ(Seen(), Calls{});
}

TEST_F(SocketTest, PauseInsideACallbackOfTheLastEvent) {
  socket_->StartReceive();
  io_.TakeCalls();
  hook_ = [this] { socket_->PauseReceive(); };
  io_.Deliver(io_.receive, 5, false);  // Was armed again before the callback.
  EXPECT_EQ(io_.TakeCalls(), (Calls{"receive", "cancel"}));
}

TEST_F(SocketTest, ClosesAtOnceWhenIdle) {
  socket_->Close();
  EXPECT_EQ(io_.TakeCalls(), Calls{"close 7"});
  EXPECT_EQ(Seen(), Calls{"closed"});
  EXPECT_TRUE(socket_->is_closed());
  socket_->Close();
  EXPECT_EQ(Seen(), Calls{});
}

TEST_F(SocketTest, CloseJoinsBothOperationsAndIsSilent) {
  socket_->StartReceive();
  socket_->Send("x", 1);
  io_.TakeCalls();
  socket_->Close();
  socket_->Close();
  EXPECT_FALSE(socket_->is_open());
  EXPECT_FALSE(socket_->is_closed());
  EXPECT_EQ(io_.TakeCalls(), Calls{"cancel-all"});
  io_.Deliver(io_.receive, 9, true);
  io_.Deliver(io_.receive, -ECANCELED, false);
  EXPECT_EQ(io_.TakeCalls(), Calls{});
  io_.Deliver(io_.send, 1, false);
  EXPECT_EQ(io_.TakeCalls(), Calls{"close 7"});
  EXPECT_EQ(Seen(), Calls{"closed"});
  EXPECT_EQ(io_.pool.bytes_in_use(), 0u);
}

TEST_F(SocketTest, StartAndPauseWhileClosingDoNothing) {
  socket_->StartReceive();
  socket_->Close();
  io_.TakeCalls();
  socket_->StartReceive();
  socket_->PauseReceive();
  io_.Deliver(io_.receive, -ENOBUFS, false);
  EXPECT_EQ(io_.TakeCalls(), Calls{"close 7"});
}

TEST_F(SocketTest, CanBeUsedAgain) {
  socket_->StartReceive();
  io_.Deliver(io_.receive, 0, false);
  socket_->Close();
  socket_->Adopt(8);
  EXPECT_EQ(socket_->fd(), 8);
  io_.TakeCalls();
  socket_->StartReceive();
  EXPECT_EQ(io_.TakeCalls(), Calls{"receive"});
}

// The owner goes away inside OnSocketClosed, reached from each callback in turn.
TEST_F(SocketTest, MayBeClosedAndDestroyedInsideOnReceiveEnded) {
  destroy_on_close_ = true;
  socket_->StartReceive();
  hook_ = [this] { socket_->Close(); };
  io_.Deliver(io_.receive, 0, false);
  EXPECT_EQ(Seen(), (Calls{"ended 0", "closed"}));
  EXPECT_EQ(socket_, nullptr);
}

TEST_F(SocketTest, MayBeClosedAndDestroyedInsideOnSent) {
  destroy_on_close_ = true;
  socket_->Send("x", 1);
  hook_ = [this] { socket_->Close(); };
  io_.Deliver(io_.send, 1, false);
  EXPECT_EQ(Seen(), (Calls{"sent 1 0", "closed"}));
  EXPECT_EQ(socket_, nullptr);
}

TEST_F(SocketTest, MayBeClosedInsideOnReceived) {
  destroy_on_close_ = true;
  socket_->StartReceive();
  hook_ = [this] { socket_->Close(); };
  io_.Deliver(io_.receive, 4, true);
  ASSERT_NE(socket_, nullptr);  // The receive is still in flight.
  io_.Deliver(io_.receive, -ECANCELED, false);
  EXPECT_EQ(Seen(), (Calls{"received 4", "closed"}));
  EXPECT_EQ(socket_, nullptr);
}

TEST_F(SocketTest, MayBeDestroyedByItsLastEventWhilePaused) {
  destroy_on_close_ = true;
  socket_->StartReceive();
  socket_->PauseReceive();
  hook_ = [this] { socket_->Close(); };
  io_.Deliver(io_.receive, 4, false);
  EXPECT_EQ(Seen(), (Calls{"received 4", "closed"}));
  EXPECT_EQ(socket_, nullptr);
}

TEST(SocketDeathTest, MustBeClosedBeforeItGoes) {
  struct Silent : SocketListener {
    void OnReceived(Slice) override {}
    void OnReceiveEnded(int) override {}
    void OnSent(size_t, int) override {}
    void OnSocketClosed() override {}
  };
  EXPECT_DEATH(
      {
        FakeIo io;
        Silent listener;
        Socket socket(io, listener);
        socket.Adopt(7);
      },
      "is_closed");
}

}  // namespace
}  // namespace rcproxy::uring
