// A warmed-up worker serves commands without touching the allocator: counted at malloc itself, on a
// real ring with real sockets, all in one thread. The client and the node are in the test and use
// nothing but system calls and buffers that are there from the start.
#include <arpa/inet.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/hash_slot.h"
#include "cluster/learnt_commands.h"
#include "cluster/topology.h"
#include "proxy/config.h"
#include "proxy/resolver.h"
#include "proxy/server_facts.h"
#include "proxy/stats.h"
#include "proxy/worker.h"
#include "uring/mailbox.h"
#include "uring/ring.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RCPROXY_MALLOC_IS_TAKEN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RCPROXY_MALLOC_IS_TAKEN 1
#endif
#endif

namespace {

bool counting = false;
size_t allocations = 0;
size_t largest = 0;

[[maybe_unused]] void Count(size_t size) {
  if (!counting) return;
  ++allocations;
  if (size > largest) largest = size;
}

}  // namespace

#ifndef RCPROXY_MALLOC_IS_TAKEN
// Every allocation of the process, operator new included, comes through these.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  Count(size);
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  Count(count * size);
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  Count(size);
  return __libc_realloc(old, size);
}
void* memalign(size_t alignment, size_t size) {
  Count(size);
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  Count(size);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** result, size_t alignment, size_t size) {
  Count(size);
  *result = __libc_memalign(alignment, size);
  return *result == nullptr ? ENOMEM : 0;
}
}
#endif

namespace rcproxy::proxy {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

sockaddr_in Loopback() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Answers `reply` to each `command_bytes` bytes it receives.
class CountingNode {
 public:
  CountingNode() {
    sockaddr_in address = Loopback();
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    CHECK_EQ(bind(listener_, generic, length), 0);
    CHECK_EQ(listen(listener_, 16), 0);
    CHECK_EQ(getsockname(listener_, generic, &length), 0);
    port_ = ntohs(address.sin_port);
  }
  ~CountingNode() {
    close(listener_);
    if (fd_ >= 0) close(fd_);
  }
  uint16_t port() const { return port_; }
  void Answer(size_t command_bytes, std::string_view reply) {
    command_bytes_ = command_bytes;
    reply_ = reply;
    received_ = 0;
  }
  void Serve() {
    if (fd_ < 0) {
      fd_ = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (fd_ < 0) return;
      const int on = 1;
      setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    const ssize_t size = recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size <= 0) return;
    received_ += static_cast<size_t>(size);
    size_t out = 0;
    for (; received_ >= command_bytes_; received_ -= command_bytes_) {
      std::memcpy(replies_.data() + out, reply_.data(), reply_.size());
      out += reply_.size();
    }
    if (out > 0) CHECK_EQ(send(fd_, replies_.data(), out, 0), static_cast<ssize_t>(out));
  }

 private:
  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int fd_ = -1;
  uint16_t port_ = 0;
  size_t command_bytes_ = 1;
  std::string_view reply_;
  size_t received_ = 0;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
  std::vector<char> replies_ = std::vector<char>(kBufferBytes);
};

class NoAllocationTest : public testing::Test, private WorkerHost {
 protected:
  NoAllocationTest() {
    auto ring = uring::Ring::Create({.receive_limit_bytes = 16 << 20});
    CHECK(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
    facts_.config = &config_;
    facts_.workers = {&stats_};
    // Not the first worker: nobody reads a map, so no node has to tell one.
    worker_ = std::make_unique<Worker>(1, *ring_, config_, facts_, stats_,
                                       static_cast<WorkerHost&>(*this));
    cluster::Node node;
    node.address = {"127.0.0.1", node_.port()};
    node.is_primary = true;
    worker_->AdoptTopology(cluster::Topology({node}, {{0, {}}}, {{0, 16383, 0}}));
    Connect();
  }
  ~NoAllocationTest() override {
    worker_->BeginDrain(ring_->NowNs());
    while (!worker_->stopped()) worker_->RunTurn();
    worker_.reset();
    close(client_);
  }
  void Connect() {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = Loopback();
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    CHECK_EQ(bind(listener, generic, length), 0);
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(getsockname(listener, generic, &length), 0);
    client_ = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(client_, generic, length), 0);
    const int on = 1;
    setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    worker_->AdoptClient({.fd = accept(listener, nullptr, nullptr), .id = 1});
    close(listener);
  }

  // Sends `request`, `rounds` times one after another, and waits for `reply_bytes` each time.
  // Returns how many allocations that took.
  size_t Serve(std::string_view request, size_t reply_bytes, int rounds) {
    allocations = largest = 0;
    counting = true;
    for (int i = 0; i < rounds; ++i) {
      CHECK_EQ(send(client_, request.data(), request.size(), 0),
               static_cast<ssize_t>(request.size()));
      size_t received = 0;
      while (received < reply_bytes) {
        ring_->Wake();  // So that a turn with nothing to do returns.
        worker_->RunTurn();
        node_.Serve();
        const ssize_t size = recv(client_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (size > 0) received += static_cast<size_t>(size);
      }
      CHECK_EQ(received, reply_bytes);
    }
    counting = false;
    return allocations;
  }
  // The same after as many rounds as it takes for pools and arrays to grow: several receive buffers
  // are used up, so that commands have been cut by their ends.
  void ExpectNoAllocation(std::string_view request, size_t reply_bytes, int rounds) {
#ifdef RCPROXY_MALLOC_IS_TAKEN
    Serve(request, reply_bytes, std::min(rounds, 300));  // The sanitizer looks at it instead.
#else
    Serve(request, reply_bytes, std::max(300, static_cast<int>(400'000 / request.size())));
    EXPECT_EQ(Serve(request, reply_bytes, rounds), 0u) << "the largest had " << largest << " bytes";
#endif
  }
  static std::string Repeat(std::string_view text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all.append(text);
    return all;
  }

 private:
  void RequestRefresh() override {}
  void RequestLearning() override {}
  void PublishTopology(std::shared_ptr<const cluster::Topology>) override {}
  void PublishCommands(std::shared_ptr<const cluster::LearntCommands>) override {}
  void OnClientGone(int) override {}
  void Resolve(const cluster::NodeAddress&, uring::Mailbox&, Resolved) override {}

 protected:
  CountingNode node_;
  Config config_;
  Stats stats_;
  ServerFacts facts_;
  std::unique_ptr<uring::Ring> ring_;
  std::unique_ptr<Worker> worker_;
  int client_ = -1;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
};

const std::string kGet = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
const std::string kSet = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
const std::string kValue = "$5\r\nvalue\r\n";

#ifndef RCPROXY_MALLOC_IS_TAKEN
TEST(CountingTest, TheCounterCounts) {
  counting = true;
  allocations = 0;
  delete new std::string(1000, 'x');
  std::free(std::malloc(10));
  counting = false;
  EXPECT_EQ(allocations, 3u);
}
#endif

TEST_F(NoAllocationTest, TenThousandGets) {
  node_.Answer(kGet.size(), kValue);
  ExpectNoAllocation(kGet, kValue.size(), 10'000);
}

TEST_F(NoAllocationTest, TenThousandGetsInPipelinesOfSixteen) {
  node_.Answer(kGet.size(), kValue);
  ExpectNoAllocation(Repeat(kGet, 16), 16 * kValue.size(), 10'000 / 16);
}

TEST_F(NoAllocationTest, TenThousandSets) {
  node_.Answer(kSet.size(), "+OK\r\n");
  ExpectNoAllocation(kSet, 5, 10'000);
}

TEST_F(NoAllocationTest, TenThousandSetsInPipelinesOfSixteen) {
  node_.Answer(kSet.size(), "+OK\r\n");
  ExpectNoAllocation(Repeat(kSet, 16), 16 * 5, 10'000 / 16);
}

TEST_F(NoAllocationTest, AThousandReadsOfTenSlots) {
  std::string request = "*11\r\n$4\r\nMGET\r\n";
  std::string merged = "*10\r\n";
  for (int i = 0; i < 10; ++i) {
    request += "$4\r\nkey" + std::to_string(i) + "\r\n";
    merged += kValue;
  }
  const std::string part = "*2\r\n$4\r\nMGET\r\n$4\r\nkey0\r\n";
  const std::string part_reply = "*1\r\n" + kValue;
  node_.Answer(part.size(), part_reply);
  ExpectNoAllocation(request, merged.size(), 1'000);
  EXPECT_GE(stats_.commands_split.value(), 300u);
}

TEST_F(NoAllocationTest, AThousandWritesOfTenSlots) {
  std::string request = "*21\r\n$4\r\nMSET\r\n";
  for (int i = 0; i < 10; ++i) {
    request += "$4\r\nkey" + std::to_string(i) + "\r\n$5\r\nvalue\r\n";
  }
  const std::string part = "*3\r\n$4\r\nMSET\r\n$4\r\nkey0\r\n$5\r\nvalue\r\n";
  node_.Answer(part.size(), "+OK\r\n");
  ExpectNoAllocation(request, 5, 1'000);
}

TEST_F(NoAllocationTest, LocalCommands) {
  ExpectNoAllocation(Repeat("*1\r\n$4\r\nPING\r\n", 16), 16 * 7, 1'000);
}

TEST_F(NoAllocationTest, ValuesOfFourKilobytes) {
  const std::string value(4096, 'v');
  const std::string set = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$4096\r\n" + value + "\r\n";
  node_.Answer(set.size(), "+OK\r\n");
  ExpectNoAllocation(set, 5, 2'000);
  const std::string reply = "$4096\r\n" + value + "\r\n";
  node_.Answer(kGet.size(), reply);
  ExpectNoAllocation(kGet, reply.size(), 2'000);
}

// A long command may not cost more the longer it is, however it announces its length.
TEST_F(NoAllocationTest, ALongCommandOfShortArgumentsIsCopiedAFewTimes) {
  std::string request = "*300001\r\n$3\r\nDEL\r\n";
  for (int i = 0; i < 300'000; ++i) {
    request += "$10\r\n{a}" + std::to_string(1'000'000 + i) + "\r\n";
  }
  node_.Answer(request.size(), ":0\r\n");
  allocations = 0;
  counting = true;
  size_t sent = 0;
  size_t received = 0;
  while (received < 4) {
    const size_t piece = std::min<size_t>(request.size() - sent, 20'000);
    const ssize_t taken = send(client_, request.data() + sent, piece, MSG_DONTWAIT);
    if (taken > 0) sent += static_cast<size_t>(taken);
    ring_->Wake();
    worker_->RunTurn();
    node_.Serve();
    const ssize_t size = recv(client_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size > 0) received += static_cast<size_t>(size);
  }
  counting = false;
  EXPECT_EQ(std::string_view(buffer_.data(), 4), ":0\r\n");
  EXPECT_LT(allocations, 200u);
}

TEST_F(NoAllocationTest, CommandsThatAreCut) {
  node_.Answer(kSet.size(), "+OK\r\n");
  const std::string first = kSet + kSet.substr(0, 20);
  const std::string rest = kSet.substr(20);
  Serve(first, 5, 1);
  Serve(rest, 5, 1);
  [[maybe_unused]] size_t total = 0;
  for (int i = 0; i < 500; ++i) {
    const size_t both = Serve(first, 5, 1) + Serve(rest, 5, 1);
    if (i >= 100) total += both;
  }
#ifndef RCPROXY_MALLOC_IS_TAKEN
  EXPECT_EQ(total, 0u);
#endif
}

}  // namespace
}  // namespace rcproxy::proxy
