// One link to one node that the test plays by hand, and an observer that notes what it is told.
// Tests only.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/redirect.h"
#include "proxy/reply_queue.h"
#include "proxy/request.h"
#include "proxy/sim_for_test.h"
#include "proxy/upstream_connection.h"
#include "proxy/upstream_node.h"

namespace rcproxy::proxy {

class ObserverForTest final : public UpstreamObserver {
 public:
  explicit ObserverForTest(Resources& resources) : resources_(resources) {}

  bool OnErrorReply(Request* request, const cluster::Redirect& redirect,
                    UpstreamConnection*) override {
    errors.push_back(redirect.kind);
    if (!takes_errors) return false;
    request->pieces.Clear(resources_.segments);
    DeliverText(resources_, request, "+taken\r\n");
    return true;
  }
  void OnOvertaking(const Request*) override {}
  void OnRequestLost(Request* request, Fate fate) override {
    lost.push_back(Name(request) + (fate == Fate::kUnsent ? " unsent" : " sent"));
    fates.push_back(fate);
    if (request->sink == Request::Sink::kClient) {
      DeliverText(resources_, request, "-lost\r\n");
    } else {
      resources_.FreeRequest(request);
    }
  }
  void OnConnectionFailed(UpstreamConnection*, std::string_view reason) override {
    failures.emplace_back(reason);
  }

  bool takes_errors = false;
  std::vector<cluster::ErrorKind> errors;
  // The last word of each lost command, and whether it may have been sent.
  std::vector<std::string> lost;
  std::vector<Fate> fates;  // Of each.
  std::vector<std::string> failures;

 private:
  static std::string Name(const Request* request) {
    const std::string_view bytes = request->bytes.view();
    if (bytes.size() < 3) return std::string(bytes);
    const size_t begin = bytes.rfind('\n', bytes.size() - 2) + 1;
    return std::string(bytes.substr(begin, std::min<size_t>(bytes.size() - 2 - begin, 16)));
  }

  Resources& resources_;
};

class LinkForTest {
 public:
  static constexpr const char* kAddress = "10.0.0.1:7000";

  explicit LinkForTest(const sim::SimIoOptions& options = {}) : sim(options) {}
  ~LinkForTest() {
    client.Leave();
    upstream.ForEachLink([](UpstreamConnection& link) { link.Fail("the test is over"); });
    sim.RunUntil([this] { return upstream.IsQuiet(); });
  }

  UpstreamConnection& link() { return upstream.primary_link(); }
  UpstreamConnection& replica() { return upstream.link({.replica_reads = true}); }

  // A request of the client's, not yet given to anybody.
  Request* NewRequest(ClientForTest* asker) {
    Request* request = sim.resources.NewRequest();
    request->issued_ns = sim.io.NowNs();
    asker->replies.Push(request);
    return request;
  }
  Request* Send(UpstreamConnection& to, std::string_view command, ClientForTest* asker) {
    Request* request = NewRequest(asker);
    std::memcpy(to.Accept(request, command.size()), command.data(), command.size());
    return request;
  }
  Request* Send(std::string_view command) { return Send(link(), command, &client); }
  // Opens the connection with one request and its reply.
  void Open() {
    const std::string command = "*1\r\n$4\r\nOPEN\r\n";
    Send(command);
    sim.RunUntil([&] { return node.connected() && node.peer().received() == command; });
    node.Take();
    Reply("+OPEN\r\n");
    client.Take();
  }
  // The node says `bytes`, and all of it arrives.
  void Reply(std::string_view bytes) {
    node.Reply(bytes);
    sim.RunFor(sim::kMillisecond);
  }
  void Settle() { sim.RunFor(sim::kMillisecond); }

  SimForTest sim;
  NodeForTest node{sim.network, kAddress};
  ResolverForTest resolver;
  ObserverForTest observer{sim.resources};
  UpstreamNode upstream{sim.resources, observer, resolver, {"10.0.0.1", 7000}};
  ClientForTest client{sim.resources};
};

}  // namespace rcproxy::proxy
