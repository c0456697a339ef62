#include "proxy/socket_writer.h"

namespace rcproxy::proxy {

size_t SocketWriter::Flush(const OutputQueue& queue) {
  if (queue.empty() || !socket_.is_open() || socket_.sending()) return 0;
  if (queue.HasOneSegment()) {
    const std::string_view bytes = queue.FirstSegment();
    socket_.Send(bytes.data(), bytes.size());
    return bytes.size();
  }
  batch_ = resources_.batches.New();
  batch_->message.msg_iov = batch_->pieces;
  const int count = queue.Gather(batch_->pieces, SendBatch::kPiecesMax);
  batch_->message.msg_iovlen = count;
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += batch_->pieces[i].iov_len;
  socket_.SendMessage(&batch_->message);
  return bytes;
}

void SocketWriter::OnSent(size_t bytes, OutputQueue* queue) {
  ReleaseBatch();
  queue->Consume(bytes);
}

}  // namespace rcproxy::proxy
