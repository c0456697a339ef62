// A redis-server of its own, not in cluster mode, for a test that compares rcproxy's own replies
// with a server's. It listens on a Unix socket alone, saves nothing, and is stopped with the
// object. Tests only; one thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace rcproxy::proxy {

class StandaloneServerForTest {
 public:
  StandaloneServerForTest() = default;
  ~StandaloneServerForTest();
  StandaloneServerForTest(const StandaloneServerForTest&) = delete;
  StandaloneServerForTest& operator=(const StandaloneServerForTest&) = delete;

  // `arguments` are further options ("--requirepass", "x"). Returns false when there is no
  // redis-server to start, or it does not come up.
  bool Start(const std::vector<std::string>& arguments);

  // A connection; -1 when there is none. Close it with close().
  int Connect() const;

 private:
  std::string SocketPath() const { return directory_ + "/socket"; }

  std::string directory_;
  pid_t pid_ = -1;
};

// The bytes of one reply; fewer when the server closes or is silent for long.
std::string AskServer(int fd, const std::vector<std::string>& words);

}  // namespace rcproxy::proxy
