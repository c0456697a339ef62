#include "proxy/socket_writer.h"

namespace rcproxy::proxy {

size_t SocketWriter::Flush(Resources& resources, uring::Socket* socket, const OutputQueue& queue) {
  if (queue.empty() || !socket->is_open() || socket->sending()) return 0;
  if (queue.HasOneSegment()) {
    const std::string_view bytes = queue.FirstSegment();
    socket->Send(bytes.data(), bytes.size());
    return bytes.size();
  }
  batch_ = resources.batches.New();
  batch_->message.msg_iov = batch_->pieces;
  const int count = queue.Gather(batch_->pieces, SendBatch::kPiecesMax);
  batch_->message.msg_iovlen = count;
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += batch_->pieces[i].iov_len;
  socket->SendMessage(&batch_->message);
  return bytes;
}

void SocketWriter::OnSent(Resources& resources, size_t bytes, OutputQueue* queue) {
  Reset(resources);
  queue->Consume(bytes);
}

}  // namespace rcproxy::proxy
