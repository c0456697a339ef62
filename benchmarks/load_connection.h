// One connection of the load generator: sends what is queued as far as the socket takes it, and
// matches replies with requests in their order.
//
// Owner: LoadRunner. Thread: one; never blocks but to connect. Invariants: 1. pending() holds
// exactly the requests that were queued and not answered, oldest first; 2. `partial_` is a cut
// reply.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "benchmarks/tcp.h"
#include "resp/reply_scanner.h"

namespace rcproxy::benchmarks {

struct LoadRequest {
  uint64_t due_ns = 0;  // When it was to be sent: its latency counts from here.
  uint32_t key = 0;
  uint32_t sequence = 0;  // Written, or issued when a read was sent.
  bool read = false;
};

class LoadConnection final {
 public:
  using ReplyCallback = absl::FunctionRef<void(const LoadRequest& request, std::string_view reply)>;

  absl::Status Connect(const std::string& address);
  // Returns the requests whose outcome will never be known.
  std::deque<LoadRequest> Close();

  bool connected() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  const std::deque<LoadRequest>& pending() const { return pending_; }

  // Append the request's bytes to output(), then name it.
  std::string* output() { return &output_; }
  void Queue(const LoadRequest& request) { pending_.push_back(request); }
  void Flush();

  // Reads all there is; `on_reply` may queue requests. `ending`: the peer has closed, so read up to
  // the end, which an edge-triggered event does not announce twice. An error says why the
  // connection is of no more use: it was closed, or sent what is no reply or one that nobody asked
  // for.
  absl::Status Receive(bool ending, ReplyCallback on_reply);

 private:
  absl::Status Consume(std::string_view bytes, ReplyCallback on_reply);

  OwnedFd fd_;
  std::string output_;
  size_t sent_bytes_ = 0;  // Of output_.
  std::string partial_;
  resp::ReplyScanner scanner_;
  std::deque<LoadRequest> pending_;
};

}  // namespace rcproxy::benchmarks
