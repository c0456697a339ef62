#include "proxy/standalone_server_for_test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "cluster/command_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

constexpr int kStartTries = 500;  // Times 10 ms.
constexpr int kSilenceMs = 5000;

}  // namespace

bool StandaloneServerForTest::Start(const std::vector<std::string>& arguments) {
  char directory[] = "/tmp/rcproxy-server-XXXXXX";  // Short: a socket's path is at most 107 bytes.
  if (mkdtemp(directory) == nullptr) return false;
  directory_ = directory;
  std::vector<std::string> words = {
      "redis-server", "--port", "0", "--unixsocket", SocketPath(), "--slowlog-log-slower-than",
      "-1",           "--save", "",  "--dir",        directory_};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    const int null = open("/dev/null", O_RDWR);
    dup2(null, STDOUT_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  for (int i = 0; pid_ > 0 && i < kStartTries; ++i) {
    if (const int fd = Connect(); fd >= 0) {
      close(fd);
      return true;
    }
    usleep(10'000);
  }
  return false;
}

StandaloneServerForTest::~StandaloneServerForTest() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (directory_.empty()) return;
  unlink(SocketPath().c_str());
  rmdir(directory_.c_str());
}

int StandaloneServerForTest::Connect() const {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, SocketPath().c_str(), sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

std::string AskServer(int fd, const std::vector<std::string>& words) {
  const cluster::CommandForTest command(words);
  const std::string_view request = command.view().bytes();
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
  std::string reply;
  std::vector<char> buffer(1 << 20);
  while (reply.empty() || !resp::ParseValue(reply).ok()) {
    pollfd readable = {fd, POLLIN, 0};
    if (poll(&readable, 1, kSilenceMs) != 1) break;
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    reply.append(buffer.data(), got);
  }
  return reply;
}

}  // namespace rcproxy::proxy
