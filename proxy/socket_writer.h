// Sends an OutputQueue through a Socket: one send in flight, what comes meanwhile goes with the
// next.
//
// Owner: a connection. Thread: the worker's.
// Invariant: bytes in flight are the first bytes of the queue, and stay there until the kernel has
// taken them. Holds no references, as there is one for every client.
#pragma once

#include <cstddef>

#include "proxy/output_queue.h"
#include "proxy/resources.h"
#include "uring/socket.h"

namespace rcproxy::proxy {

class SocketWriter {
 public:
  SocketWriter() = default;
  ~SocketWriter() { CHECK(batch_ == nullptr); }

  // Starts a send of what is queued, unless one is in flight. Returns how many bytes were handed to
  // the kernel.
  size_t Flush(Resources& resources, uring::Socket* socket, const OutputQueue& queue);
  // To be called first thing from OnSent.
  void OnSent(Resources& resources, size_t bytes, OutputQueue* queue);
  // To be called when the socket has closed.
  void Reset(Resources& resources) {
    if (batch_ != nullptr) resources.batches.Delete(batch_);
    batch_ = nullptr;
  }

 private:
  SendBatch* batch_ = nullptr;
};

}  // namespace rcproxy::proxy
