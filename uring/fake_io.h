// An Io for tests that plays the kernel by hand: it records what was started and ends it only when
// the test says so.
#pragma once

#include <glog/logging.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "uring/chunk.h"
#include "uring/io.h"

namespace rcproxy::uring {

class FakeIo : public Io {
 public:
  void Accept(int, Completion* completion) override { StartOne("accept", completion); }
  int OpenSocket(int) override { return -EMFILE; }
  void Connect(int, const sockaddr*, socklen_t, Completion* completion) override {
    StartOne("connect", completion);
  }
  void Receive(int, Completion* completion) override {
    receive = completion;
    StartOne("receive", completion);
  }
  void ReceiveWhenBuffered(int, Completion* completion) override {
    receive = completion;
    StartOne("receive-when-buffered", completion);
  }
  void Send(int, const char*, size_t, Completion* completion) override {
    send = completion;
    StartOne("send", completion);
  }
  void SendMessage(int, const msghdr*, Completion* completion) override {
    send = completion;
    StartOne("send-message", completion);
  }
  void CancelAll(int) override { calls.push_back("cancel-all"); }
  void Cancel(Completion*) override { calls.push_back("cancel"); }
  void Close(int fd) override { calls.push_back("close " + std::to_string(fd)); }
  int Poll(int64_t) override { return 0; }
  void Wake() override { ++wakes; }
  int64_t NowNs() const override { return 0; }
  ChunkPool& receive_pool() override { return pool; }

  // Delivers an event, with `result` bytes when it is positive.
  void Deliver(Completion* completion, int result, bool more) {
    Event event;
    event.result = result;
    event.more = more;
    if (result > 0 && completion == receive) {
      Chunk* const chunk = pool.Take();
      event.data = Slice::Adopt(chunk, chunk->data, static_cast<uint32_t>(result));
    }
    completion->Deliver(std::move(event));
  }
  // The calls since the last time this was asked.
  std::vector<std::string> TakeCalls() { return std::exchange(calls, {}); }

  ChunkPool pool{4096, 64 * 4096};
  std::vector<std::string> calls;
  Completion* receive = nullptr;
  Completion* send = nullptr;
  int wakes = 0;

 private:
  void StartOne(const char* name, Completion* completion) {
    completion->Start();
    calls.push_back(name);
  }
};

}  // namespace rcproxy::uring
