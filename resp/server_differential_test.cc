// The scanner and a real server must understand the same bytes in the same way. Each input is sent
// raw over one connection; what the scanner makes of it (its commands, then its error) goes over
// another. The server's answers must be the same bytes, and it must close when we would.
//
// Needs a redis-server in the path; skipped without one.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "resp/request_scanner.h"
#include "resp/resp_limits.h"

extern char** environ;

namespace rcproxy::resp {
namespace {

using std::string_literals::operator""s;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A port that was free a moment ago.
uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

class Connection {
 public:
  explicit Connection(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const sockaddr_in address = Loopback(port);
    const timeval timeout = {10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(fd_); }

  bool connected() const { return connected_; }
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // The server has closed: what it said can still be read.
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void EndOfInput() { shutdown(fd_, SHUT_WR); }
  // Everything until the server closes; "(open)" at the end when it does not.
  std::string ReadAll() {
    std::string all;
    char buffer[4096];
    while (true) {
      const ssize_t received = recv(fd_, buffer, sizeof(buffer), 0);
      if (received == 0 || (received < 0 && errno == ECONNRESET)) return all;
      if (received < 0) return all + "(open)";
      all.append(buffer, static_cast<size_t>(received));
    }
  }

 private:
  const int fd_;
  bool connected_ = false;
};

// A server of our own, without files, stopped by its process id.
class Server {
 public:
  bool Start() {
    for (int attempt = 0; attempt < 3; ++attempt) {
      port_ = FreePort();
      if (!Spawn()) return false;
      if (Answers()) return true;
      Stop();
    }
    return false;
  }
  void Stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  uint16_t port() const { return port_; }

 private:
  bool Spawn() {
    const char* folder = std::getenv("TEST_TMPDIR");
    const std::vector<std::string> words = {"redis-server",
                                            "--port",
                                            std::to_string(port_),
                                            "--bind",
                                            "127.0.0.1",
                                            "--save",
                                            "",
                                            "--appendonly",
                                            "no",
                                            "--loglevel",
                                            "warning",
                                            "--dir",
                                            folder != nullptr ? folder : "."};
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    return posix_spawnp(&pid_, argv[0], nullptr, nullptr, argv.data(), environ) == 0;
  }
  bool Answers() const {
    for (int i = 0; i < 500; ++i) {
      if (Connection(port_).connected()) return true;
      if (waitpid(pid_, nullptr, WNOHANG) != 0) return false;
      usleep(10'000);  // Until a process of somebody else's making is ready.
    }
    return false;
  }

  uint16_t port_ = 0;
  pid_t pid_ = 0;
};

// What the scanner makes of a stream.
struct Understanding {
  std::string commands;  // Well formed, one after the other.
  std::string error;     // With CRLF, or empty.
  bool closes = false;
};

Understanding Understand(std::string_view stream, const RequestLimits& limits) {
  Understanding result;
  RequestScanner scanner;
  while (!stream.empty()) {
    const ScanStatus status = scanner.Scan(stream, limits);
    if (status == ScanStatus::kNeedMore) return result;
    if (status == ScanStatus::kError) {
      result.closes = true;
      if (!scanner.error().empty()) result.error = std::string(scanner.error()) + "\r\n";
      return result;
    }
    if (status == ScanStatus::kCommand) result.commands += scanner.command().bytes();
    stream.remove_prefix(scanner.consumed());
    scanner.Reset();
  }
  return result;
}

// We show unprintable bytes as a space, the server as they are.
std::string WithoutUnprintable(std::string text) {
  const size_t got = text.rfind("got '");
  if (got == std::string::npos || got + 5 >= text.size()) return text;
  char* const found = &text[got + 5];
  if (*found < ' ' || *found > '~') *found = ' ';
  return text;
}

class ServerDifferentialTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new Server;
    started_ = server_->Start();
  }
  static void TearDownTestSuite() {
    server_->Stop();
    delete server_;
  }
  void SetUp() override {
    if (!started_) GTEST_SKIP() << "no redis-server in the path";
    limits_ = kDefaultRequestLimits;
    limits_.args_max = INT32_MAX;  // This server's own bound; ours is lower.
  }

  static std::string Answer(std::string_view bytes, bool server_closes) {
    Connection connection(server_->port());
    connection.Send(bytes);
    if (!server_closes) connection.EndOfInput();
    return connection.ReadAll();
  }
  void Compare(const std::string& stream) const {
    const Understanding ours = Understand(stream, limits_);
    const std::string expected = Answer(ours.commands, false) + ours.error;
    ASSERT_EQ(WithoutUnprintable(Answer(stream, ours.closes)), WithoutUnprintable(expected))
        << "for: " << testing::PrintToString(stream.substr(0, 200));
  }

  static Server* server_;
  static bool started_;
  RequestLimits limits_;
};

Server* ServerDifferentialTest::server_ = nullptr;
bool ServerDifferentialTest::started_ = false;

TEST_F(ServerDifferentialTest, OddRequests) {
  const std::string ping = "*1\r\n$4\r\nPING\r\n";
  for (const std::string& stream : std::vector<std::string>{"*2\r\n$4\r\nECHO\r\n$3\r\na\0b\r\n"s,
                                                            "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
                                                            "*0\r\n*-1\r\n*-10\r\n" + ping,
                                                            "\r\n\n \t\r\nPING\n",
                                                            "PING\r\n" + ping + "PING\n",
                                                            "*2\rX$4\rYECHOab$3\r\nkeycd" + ping,
                                                            "echo \"a\\x41\\n\\\"\" \r\n",
                                                            "echo 'it\\'s'\r\n",
                                                            "echo foo\"bar\"\r\n",
                                                            "echo \"\"\r\n",
                                                            "echo a\\nb\r\n",
                                                            "echo a\vb\r\n",
                                                            "echo \"\\x4\\xzz\"\r\n",
                                                            "echo a\rb\n",
                                                            "\v\fping\r\n",
                                                            "*\r\n",
                                                            "*+1\r\n",
                                                            "*01\r\n",
                                                            "*-0\r\n",
                                                            "* 1\r\n",
                                                            "*1 \r\n",
                                                            "*1x\r\n",
                                                            "*2147483648\r\n",
                                                            "*9223372036854775808\r\n",
                                                            "*18446744073709551617\r\n",
                                                            "*-9223372036854775808\r\n" + ping,
                                                            "*-9223372036854775809\r\n",
                                                            "*1\r\n$-1\r\n",
                                                            "*1\r\n$-0\r\n",
                                                            "*1\r\n$\r\n",
                                                            "*1\r\n$03\r\n",
                                                            "*1\r\n$+3\r\n",
                                                            "*1\r\n$3 \r\n",
                                                            "*1\r\n$536870913\r\n",
                                                            "*1\r\n$536870912\r\nabc",
                                                            "*1\r\n$4294967299\r\nfoo\r\n",
                                                            "*1\r\nfoo\r\n",
                                                            "*1\r\nfoo",
                                                            "*1\r\n:1\r\n",
                                                            "*1\r\n\r\n",
                                                            "*1\r\n\n\r\n",
                                                            "*1\r\n\xff\r\n",
                                                            "*1\r\n*1\r\n",
                                                            ping + "*2\r\n$4\r\nECHO\r\nPING\r\n",
                                                            "PING\r\n\"a\r\nPING\r\n",
                                                            "echo 'a'b\r\n",
                                                            "echo \"a\"b\r\n",
                                                            "echo \"a\\\"\r\n",
                                                            "POST / HTTP/1.1\r\nHost: x\r\n",
                                                            "pOsT\r\n",
                                                            "Host: x\r\nPING\r\n",
                                                            "\"host:\" x\r\n",
                                                            "HostX: 1\r\n"}) {
    Compare(stream);
  }
}

TEST_F(ServerDifferentialTest, LongLines) {
  const std::string ones(kInlineBytesMax, '1');
  for (const std::string& stream : std::vector<std::string>{
           ones, ones + "1", "*" + ones.substr(1), "*" + ones, "*1\r\n$" + ones.substr(1),
           "*1\r\n$" + ones, "*1\r\n" + ones + "1", "echo " + ones.substr(6) + "\n"}) {
    Compare(stream);
  }
}

// Random damage to good requests; the server decides what is right.
TEST_F(ServerDifferentialTest, RandomDamage) {
  constexpr uint32_t kSeed = 20240609;
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  const std::string bytes = "*$$\r\r\n\n0123459-+ \"'\\xaPINGecho\t:\xff";
  const std::vector<std::string> seeds = {
      "*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\n*1\r\n$4\r\nPING\r\n",
      "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\necho\r\n$2\r\n\r\n\r\n", "echo \"a\\x41 b\" 'c'\r\nPING\r\n",
      "*0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nval\r\n"};
  for (int round = 0; round < 1500; ++round) {
    std::string stream = seeds[random() % seeds.size()];
    for (int n = static_cast<int>(random() % 3); n >= 0; --n) {
      const size_t at = random() % stream.size();
      const char byte = bytes[random() % bytes.size()];
      const uint32_t kind = random() % 3;
      if (kind == 0) stream[at] = byte;
      if (kind == 1) stream.insert(at, 1, byte);
      if (kind == 2) stream.erase(at, 1);
    }
    Compare(stream);
    if (HasFatalFailure()) return;
  }
}

// The last: it sets a password.
TEST_F(ServerDifferentialTest, UnauthenticatedLimits) {
  ASSERT_EQ(Answer("config set requirepass secret\r\n", false), "+OK\r\n");
  limits_ = kUnauthenticatedRequestLimits;
  for (const std::string& stream : std::vector<std::string>{
           "*10\r\n", "*11\r\n", "*2147483648\r\n", "*1\r\n$16384\r\n", "*1\r\n$16385\r\n",
           "*1\r\n$536870912\r\n", "*1\r\n$536870913\r\n", "*1\r\n$-1\r\n",
           "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n", "*1\r\n$4\r\nPING\r\n", "POST /\r\n"}) {
    Compare(stream);
  }
}

}  // namespace
}  // namespace rcproxy::resp
