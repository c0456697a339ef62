#include "proxy/client_info.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "proxy/session.h"

namespace rcproxy::proxy {
namespace {

TEST(ClientInfoTest, HasTheFieldsOfTheServersLine) {
  Session session;
  session.id = 12;
  session.created_ns = 1'000'000'000;
  session.last_command_ns = 4'900'000'000;
  session.database = 3;
  session.Extras().name = "worker-1";
  session.Extras().library_name = "redis-py";
  session.Extras().library_version = "5.0.1";
  EXPECT_EQ(ClientInfoLine(session, "client|info"),
            "id=12 addr=?:0 laddr=?:0 fd=-1 name=worker-1 age=3 idle=0 flags=N db=3 sub=0 psub=0 "
            "ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 "
            "omem=0 tot-mem=0 events=r cmd=client|info user=default redir=-1 resp=2 "
            "lib-name=redis-py lib-ver=5.0.1\n");
}

TEST(ClientInfoTest, NamesAreEmptyUntilTheyAreSet) {
  const std::string line = ClientInfoLine(Session{}, "client|info");
  EXPECT_NE(line.find(" name= age=0 "), std::string::npos) << line;
  EXPECT_NE(line.find(" lib-name= lib-ver=\n"), std::string::npos) << line;
}

TEST(ClientInfoTest, AClientThatWantsReplicasIsMarked) {
  Session session;
  session.reads_from = ReadsFrom::kReplicas;
  EXPECT_NE(ClientInfoLine(session, "x").find(" flags=r "), std::string::npos);
  const std::string bound =
      ClientInfoLine(session, "x", {.monitors = true, .is_blocked = true, .queued = 3});
  EXPECT_NE(bound.find(" flags=Oxbr "), std::string::npos) << bound;
  EXPECT_NE(bound.find(" multi=3 "), std::string::npos) << bound;
}

// The client's end of a connection over the loopback address, and the port it leads to.
class LoopbackClient {
 public:
  // `address` has port 0: the kernel chooses one.
  LoopbackClient(const sockaddr* address, socklen_t size)
      : listener_(socket(address->sa_family, SOCK_STREAM, 0)),
        client_(socket(address->sa_family, SOCK_STREAM, 0)) {
    sockaddr_storage bound = {};
    socklen_t bound_size = sizeof(bound);
    auto* const any = reinterpret_cast<sockaddr*>(&bound);
    is_connected_ = bind(listener_, address, size) == 0 && listen(listener_, 1) == 0 &&
                    getsockname(listener_, any, &bound_size) == 0 &&
                    connect(client_, any, bound_size) == 0;
    port_ = ntohs(reinterpret_cast<sockaddr_in*>(any)->sin_port);  // As in sockaddr_in6.
  }
  ~LoopbackClient() {
    close(client_);
    close(listener_);
  }

  bool is_connected() const { return is_connected_; }
  int fd() const { return client_; }
  std::string port() const { return std::to_string(port_); }

 private:
  int listener_;
  int client_;
  bool is_connected_ = false;
  uint16_t port_ = 0;
};

TEST(ClientInfoTest, AddressesAreThoseOfTheSocket) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const LoopbackClient client(reinterpret_cast<sockaddr*>(&address), sizeof(address));
  ASSERT_TRUE(client.is_connected());
  Session session;
  session.fd = client.fd();
  const std::string line = ClientInfoLine(session, "x");
  EXPECT_NE(line.find(" addr=127.0.0.1:" + client.port() + " laddr=127.0.0.1:"), std::string::npos)
      << line;
}

TEST(ClientInfoTest, Ipv6AddressesAreInBrackets) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const LoopbackClient client(reinterpret_cast<sockaddr*>(&address), sizeof(address));
  if (!client.is_connected()) GTEST_SKIP() << "no IPv6 on this machine";
  Session session;
  session.fd = client.fd();
  const std::string line = ClientInfoLine(session, "x");
  EXPECT_NE(line.find(" addr=[::1]:" + client.port() + " laddr=[::1]:"), std::string::npos) << line;
}

TEST(ClientInfoTest, UnixSocketsAreDescribedInOneWord) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Session session;
  session.fd = ends[0];
  const std::string line = ClientInfoLine(session, "x");
  EXPECT_NE(line.find(" addr=/unnamed:0 laddr=/unnamed:0 "), std::string::npos) << line;
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace rcproxy::proxy
