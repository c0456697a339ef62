// A redis-server of its own for a test that compares our knowledge with a server's: cluster mode,
// no slots, nothing saved, loopback only. It is stopped with the object. Tests only; one thread.
#pragma once

#include <hiredis/hiredis.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace rcproxy::cluster {

struct ReplyDeleter {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, ReplyDeleter>;

class LiveServerForTest {
 public:
  LiveServerForTest() = default;
  ~LiveServerForTest();
  LiveServerForTest(const LiveServerForTest&) = delete;
  LiveServerForTest& operator=(const LiveServerForTest&) = delete;

  // Returns false when there is no redis-server to start, or it does not come up.
  bool Start();
  // Requires: Start() returned true. Never null: a lost connection ends the test program.
  Reply Ask(const std::vector<std::string>& words);

 private:
  bool StartOnPort(int port);
  bool Connect(int port);
  void Stop();

  pid_t pid_ = -1;
  redisContext* connection_ = nullptr;
};

}  // namespace rcproxy::cluster
