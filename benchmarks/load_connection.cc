#include "benchmarks/load_connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace rcproxy::benchmarks {
namespace {

constexpr size_t kReceiveBytes = 256 << 10;

}  // namespace

absl::Status LoadConnection::Connect(const std::string& address) {
  absl::StatusOr<OwnedFd> fd = ConnectTcp(address);
  if (!fd.ok()) return fd.status();
  fd_ = std::move(*fd);
  return absl::OkStatus();
}

std::deque<LoadRequest> LoadConnection::Close() {
  fd_.Close();
  output_.clear();
  sent_bytes_ = 0;
  partial_.clear();
  scanner_.Reset();
  return std::exchange(pending_, {});
}

void LoadConnection::Flush() {
  while (sent_bytes_ < output_.size()) {
    ssize_t sent =
        send(fd_.get(), output_.data() + sent_bytes_, output_.size() - sent_bytes_, MSG_NOSIGNAL);
    if (sent < 0) return;  // The socket is full, or broken, which receiving will tell.
    sent_bytes_ += static_cast<size_t>(sent);
  }
  output_.clear();
  sent_bytes_ = 0;
}

absl::Status LoadConnection::Receive(bool ending, ReplyCallback on_reply) {
  static thread_local std::vector<char> buffer(kReceiveBytes);
  for (;;) {
    ssize_t received = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (received < 0) {
      if (errno == EAGAIN || errno == EINTR) return absl::OkStatus();
      return absl::UnavailableError(absl::StrCat("receiving: ", strerror(errno)));
    }
    if (received == 0) return absl::UnavailableError("closed by the peer");
    size_t size = static_cast<size_t>(received);
    absl::Status status = Consume(std::string_view(buffer.data(), size), on_reply);
    if (!status.ok()) return status;
    // Less than was asked for: the socket is empty, and more makes a new event.
    if (size < buffer.size() && !ending) return absl::OkStatus();
  }
}

absl::Status LoadConnection::Consume(std::string_view bytes, ReplyCallback on_reply) {
  while (!bytes.empty()) {
    resp::ReplyScanner::Result result = scanner_.Scan(bytes);
    if (result.status == resp::ReplyScanner::Status::kError) {
      return absl::DataLossError("not a reply: " + std::string(scanner_.error()));
    }
    std::string_view part = bytes.substr(0, result.consumed);
    bytes.remove_prefix(result.consumed);
    if (result.status == resp::ReplyScanner::Status::kNeedMore || !partial_.empty()) {
      partial_.append(part);
      part = partial_;
    }
    if (result.status == resp::ReplyScanner::Status::kNeedMore) return absl::OkStatus();
    if (pending_.empty()) return absl::DataLossError("a reply that nobody asked for");
    LoadRequest request = pending_.front();
    pending_.pop_front();
    on_reply(request, part);
    partial_.clear();
  }
  return absl::OkStatus();
}

}  // namespace rcproxy::benchmarks
