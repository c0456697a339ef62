#include "cluster/live_server_for_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>

#include "glog/logging.h"

namespace rcproxy::cluster {
namespace {

constexpr int kPortsTried = 20;
constexpr int kConnectTries = 200;
constexpr useconds_t kConnectPauseUs = 20'000;

std::string MakeFolder() {
  const char* base = getenv("TEST_TMPDIR");
  std::string path = std::string(base != nullptr ? base : "/tmp") + "/redis-XXXXXX";
  CHECK(mkdtemp(path.data()) != nullptr);
  return path;
}

[[noreturn]] void RunServer(int port, const std::string& folder) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // It must not outlive a test that crashes.
  const int nowhere = open("/dev/null", O_RDWR);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  execlp("redis-server", "redis-server", "--port", std::to_string(port).c_str(), "--bind",
         "127.0.0.1", "--cluster-enabled", "yes", "--dir", folder.c_str(), "--save", "",
         static_cast<char*>(nullptr));
  _exit(127);
}

}  // namespace

LiveServerForTest::~LiveServerForTest() { Stop(); }

void LiveServerForTest::Stop() {
  if (connection_ != nullptr) redisFree(connection_);
  connection_ = nullptr;
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

// The port must have room for the cluster bus at 10000 above it. Which ports are free is not known
// beforehand, so another is tried when the server does not come up.
bool LiveServerForTest::Start() {
  for (int i = 0; i < kPortsTried; ++i) {
    if (StartOnPort(20000 + (getpid() * 37 + i * 101) % 9000)) return true;
    Stop();
  }
  return false;
}

bool LiveServerForTest::StartOnPort(int port) {
  const std::string folder = MakeFolder();
  pid_ = fork();
  CHECK_GE(pid_, 0);
  if (pid_ == 0) RunServer(port, folder);
  for (int i = 0; i < kConnectTries; ++i) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    if (Connect(port)) return true;
    usleep(kConnectPauseUs);
  }
  return false;
}

// Another server may have the port while ours gives up: only ours has our process id.
bool LiveServerForTest::Connect(int port) {
  connection_ = redisConnect("127.0.0.1", port);
  if (connection_ != nullptr && connection_->err == 0) {
    const Reply info(static_cast<redisReply*>(redisCommand(connection_, "INFO server")));
    const std::string ours = "process_id:" + std::to_string(pid_) + "\r\n";
    if (info != nullptr && info->type == REDIS_REPLY_STRING &&
        std::string(info->str, info->len).find(ours) != std::string::npos) {
      return true;
    }
  }
  if (connection_ != nullptr) redisFree(connection_);
  connection_ = nullptr;
  return false;
}

Reply LiveServerForTest::Ask(const std::vector<std::string>& words) {
  std::vector<const char*> data;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    data.push_back(word.data());
    sizes.push_back(word.size());
  }
  void* reply =
      redisCommandArgv(connection_, static_cast<int>(words.size()), data.data(), sizes.data());
  CHECK(reply != nullptr) << connection_->errstr;
  return Reply(static_cast<redisReply*>(reply));
}

}  // namespace rcproxy::cluster
