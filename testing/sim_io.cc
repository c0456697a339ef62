#include "testing/sim_io.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string_view>
#include <utility>

namespace rcproxy::sim {
namespace {

std::string FormatAddress(const sockaddr* address, socklen_t length) {
  char host[INET6_ADDRSTRLEN] = {};
  if (address->sa_family == AF_INET) {
    CHECK_GE(length, sizeof(sockaddr_in));
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
    return std::string(host) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  CHECK_EQ(address->sa_family, AF_INET6);
  CHECK_GE(length, sizeof(sockaddr_in6));
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
  return "[" + std::string(host) + "]:" + std::to_string(ntohs(v6->sin6_port));
}

uint64_t Digest(std::string_view bytes) { return std::hash<std::string_view>()(bytes); }

}  // namespace

std::string GatherMessage(const msghdr& message) {
  std::string bytes;
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    bytes.append(static_cast<const char*>(message.msg_iov[i].iov_base), message.msg_iov[i].iov_len);
  }
  return bytes;
}

SimIo::SimIo(SimNetwork& network, const SimIoOptions& options)
    : network_(network),
      options_(options),
      receive_pool_(options.receive_chunk_bytes, options.receive_limit_bytes) {}

SimIo::~SimIo() {
  CHECK_EQ(operations_in_flight(), 0u);
  for (auto& [fd, descriptor] : descriptors_) {
    if (!descriptor->address.empty()) network_.StopListening(descriptor->address);
    if (descriptor->end != nullptr) descriptor->end->SetListener(nullptr);
  }
}

int SimIo::Listen(const std::string& address) {
  const int fd = AddDescriptor(nullptr);
  Find(fd).address = address;
  network_.ListenEnds(address, [this, fd](SimEnd* end) {
    Find(fd).backlog.push_back(end);
    ScheduleStep(fd, Kind::kAccept, 0);
  });
  return fd;
}

SimIo::Client SimIo::NewClient() {
  SimNetwork::Pair pair = network_.NewPair();
  return {AddDescriptor(pair.end), pair.peer};
}

size_t SimIo::operations_in_flight() const {
  size_t count = 0;
  for (const auto& [fd, descriptor] : descriptors_) {
    for (const Operation& operation : descriptor->operations) {
      count += operation.completion != nullptr;
    }
  }
  return count;
}

SimIo::Descriptor& SimIo::Find(int fd) {
  const auto it = descriptors_.find(fd);
  CHECK(it != descriptors_.end()) << "descriptor " << fd << " is not open";
  return *it->second;
}

int SimIo::AddDescriptor(SimEnd* end) {
  const int fd = next_fd_++;
  auto& descriptor = descriptors_[fd];
  descriptor = std::make_unique<Descriptor>();
  if (end != nullptr) SetEnd(fd, *descriptor, end);
  return fd;
}

void SimIo::SetEnd(int fd, Descriptor& descriptor, SimEnd* end) {
  descriptor.end = end;
  end->SetListener([this, fd] { StepsOf(fd); });
}

SimIo::Operation& SimIo::Start(int fd, Kind kind, uring::Completion* completion) {
  Descriptor& descriptor = Find(fd);
  const bool needs_stream = kind == Kind::kReceive || kind == Kind::kSend;
  CHECK_EQ(descriptor.end != nullptr, needs_stream) << "wrong kind of descriptor: " << fd;
  Operation& operation = descriptor.operation(kind);
  CHECK(operation.completion == nullptr) << "the same operation twice on descriptor " << fd;
  operation = Operation();
  operation.completion = completion;
  operation.id = next_id_++;
  completion->Start();
  return operation;
}

void SimIo::Accept(int fd, uring::Completion* completion) {
  CHECK(!Find(fd).address.empty()) << "not a listening descriptor: " << fd;
  Start(fd, Kind::kAccept, completion);
  ScheduleStep(fd, Kind::kAccept, options_.turn_ns);
}

int SimIo::OpenSocket(int family) {
  CHECK(family == AF_INET || family == AF_INET6);
  if (network_.schedule().random().OneIn(options_.open_failure_one_in)) return -EMFILE;
  return AddDescriptor(nullptr);
}

void SimIo::Connect(int fd, const sockaddr* address, socklen_t length,
                    uring::Completion* completion) {
  CHECK(Find(fd).address.empty()) << "a listening descriptor: " << fd;
  const uint64_t id = Start(fd, Kind::kConnect, completion).id;
  network_.Connect(FormatAddress(address, length),
                   [this, fd, id](int error, SimEnd* end) { FinishConnect(fd, id, error, end); });
}

void SimIo::FinishConnect(int fd, uint64_t id, int error, SimEnd* end) {
  const auto it = descriptors_.find(fd);
  if (it == descriptors_.end() || it->second->operation(Kind::kConnect).id != id ||
      it->second->operation(Kind::kConnect).completion == nullptr) {
    if (end != nullptr) end->Close();  // Cancelled meanwhile.
    return;
  }
  if (error == 0) SetEnd(fd, *it->second, end);
  Deliver(fd, Kind::kConnect, -error);
}

void SimIo::Receive(int fd, uring::Completion* completion) {
  Start(fd, Kind::kReceive, completion);
  ScheduleStep(fd, Kind::kReceive, options_.turn_ns);
}

void SimIo::ReceiveWhenBuffered(int fd, uring::Completion* completion) {
  Start(fd, Kind::kReceive, completion).waits_for_buffers = true;
  parked_.push_back(fd);
}

void SimIo::Send(int fd, const char* data, size_t size, uring::Completion* completion) {
  Operation& operation = Start(fd, Kind::kSend, completion);
  operation.data = data;
  operation.size = size;
  operation.digest = Digest({data, size});
  ScheduleStep(fd, Kind::kSend, options_.turn_ns);
}

void SimIo::SendMessage(int fd, const msghdr* message, uring::Completion* completion) {
  Operation& operation = Start(fd, Kind::kSend, completion);
  operation.message = message;
  operation.digest = Digest(GatherMessage(*message));
  ScheduleStep(fd, Kind::kSend, options_.turn_ns);
}

void SimIo::CancelAll(int fd) {
  for (int kind = 0; kind < kKinds; ++kind) CancelOperation(fd, static_cast<Kind>(kind));
}

void SimIo::Cancel(uring::Completion* completion) {
  for (auto& [fd, descriptor] : descriptors_) {
    for (int kind = 0; kind < kKinds; ++kind) {
      if (descriptor->operations[kind].completion == completion) {
        return CancelOperation(fd, static_cast<Kind>(kind));
      }
    }
  }
}

void SimIo::CancelOperation(int fd, Kind kind) {
  const Operation& operation = Find(fd).operation(kind);
  if (operation.completion == nullptr) return;
  // The operation's own end may come first: then this finds another id, or none.
  SimRandom& random = network_.schedule().random();
  const int64_t delay_ns = random.Between(options_.turn_ns, 3 * options_.turn_ns);
  network_.schedule().After(delay_ns, [this, fd, kind, id = operation.id] {
    const auto it = descriptors_.find(fd);
    if (it == descriptors_.end()) return;
    const Operation& found = it->second->operation(kind);
    if (found.completion != nullptr && found.id == id) {
      Deliver(fd, kind, -ECANCELED);
    }
  });
}

void SimIo::Close(int fd) {
  Descriptor& descriptor = Find(fd);
  for (const Operation& operation : descriptor.operations) {
    CHECK(operation.completion == nullptr) << "closed with an operation in flight: " << fd;
  }
  if (descriptor.end != nullptr) {
    descriptor.end->SetListener(nullptr);
    descriptor.end->Close();
  }
  for (SimEnd* end : descriptor.backlog) end->Reset();
  if (!descriptor.address.empty()) network_.StopListening(descriptor.address);
  descriptors_.erase(fd);
}

int SimIo::Poll(int64_t deadline_ns) {
  SimSchedule& schedule = network_.schedule();
  schedule.AdvanceTo(schedule.now_ns() + options_.turn_ns);
  UnparkReceives();
  delivered_ = 0;
  schedule.RunDue();
  while (delivered_ == 0 && !woken_.exchange(false, std::memory_order_acq_rel)) {
    if (!AdvanceToNextEvent(std::min(deadline_ns, horizon_ns_))) break;
    schedule.RunDue();
    if (returns_after_each_event_) break;
  }
  return delivered_;
}

bool SimIo::AdvanceToNextEvent(int64_t deadline_ns) {
  SimSchedule& schedule = network_.schedule();
  if (schedule.now_ns() >= deadline_ns) return false;
  const int64_t next_ns = schedule.NextNs();
  if (next_ns == SimSchedule::kNever && deadline_ns == SimSchedule::kNever) {
    ++stalls_;
    return false;
  }
  if (next_ns > deadline_ns) {
    schedule.AdvanceTo(deadline_ns);
    return false;
  }
  const int64_t batch_end_ns = next_ns + schedule.random().Between(0, options_.batch_ns);
  schedule.AdvanceTo(std::min(deadline_ns, batch_end_ns));
  return true;
}

void SimIo::ScheduleStep(int fd, Kind kind, int64_t delay_ns) {
  Operation& operation = Find(fd).operation(kind);
  if (operation.completion == nullptr || operation.step_scheduled || operation.waits_for_buffers) {
    return;
  }
  operation.step_scheduled = true;
  network_.schedule().After(delay_ns, [this, fd, kind, id = operation.id] {
    const auto it = descriptors_.find(fd);
    if (it == descriptors_.end()) return;
    Operation& found = it->second->operation(kind);
    if (found.completion == nullptr || found.id != id) return;
    found.step_scheduled = false;
    Step(fd, kind);
  });
}

void SimIo::StepsOf(int fd) {
  ScheduleStep(fd, Kind::kReceive, 0);
  ScheduleStep(fd, Kind::kSend, 0);
}

void SimIo::Step(int fd, Kind kind) {
  switch (kind) {
    case Kind::kAccept:
      return StepAccept(fd);
    case Kind::kConnect:
      return;  // The network calls back by itself.
    case Kind::kReceive:
      return StepReceive(fd);
    case Kind::kSend:
      return StepSend(fd);
  }
}

void SimIo::StepAccept(int fd) {
  Descriptor& descriptor = Find(fd);
  if (descriptor.backlog.empty()) return;
  SimEnd* end = descriptor.backlog.front();
  descriptor.backlog.pop_front();
  if (!descriptor.backlog.empty()) ScheduleStep(fd, Kind::kAccept, 0);
  DeliverEvent(fd, Kind::kAccept, {AddDescriptor(end), true, {}});
}

void SimIo::StepReceive(int fd) {
  SimEnd& end = *Find(fd).end;
  const std::string_view arrived = end.arrived();
  if (arrived.empty()) {
    if (end.reset_arrived()) return Deliver(fd, Kind::kReceive, -ECONNRESET);
    if (end.end_arrived()) return Deliver(fd, Kind::kReceive, 0);
    return;
  }
  uring::Chunk* chunk = receive_pool_.Take();
  if (chunk == nullptr) return Deliver(fd, Kind::kReceive, -ENOBUFS);
  const size_t size = std::min<size_t>(arrived.size(), chunk->capacity);
  std::memcpy(chunk->data, arrived.data(), size);
  end.Consume(size);
  ScheduleStep(fd, Kind::kReceive, 0);
  DeliverEvent(fd, Kind::kReceive,
               {static_cast<int32_t>(size), true,
                uring::Slice::Adopt(chunk, chunk->data, static_cast<uint32_t>(size))});
}

void SimIo::StepSend(int fd) {
  Descriptor& descriptor = Find(fd);
  const Operation& operation = descriptor.operation(Kind::kSend);
  SimEnd& end = *descriptor.end;
  if (end.reset_arrived()) return Deliver(fd, Kind::kSend, -EPIPE);
  // Read only now, so that a buffer which did not live long enough is noticed.
  const std::string bytes = operation.message != nullptr
                                ? GatherMessage(*operation.message)
                                : std::string(operation.data, operation.size);
  CHECK_EQ(Digest(bytes), operation.digest) << "bytes changed while being sent on " << fd;
  size_t size = std::min(bytes.size(), end.Space());
  if (size == 0 && !bytes.empty()) return;  // Goes on when the window opens.
  SimRandom& random = network_.schedule().random();
  if (size > 1 && random.OneIn(end.link().short_send_one_in)) size = 1 + random.Below(size - 1);
  end.Write(std::string_view(bytes).substr(0, size));
  Deliver(fd, Kind::kSend, static_cast<int32_t>(size));
}

void SimIo::Deliver(int fd, Kind kind, int32_t result) {
  DeliverEvent(fd, kind, {result, false, {}});
}

void SimIo::DeliverEvent(int fd, Kind kind, uring::Event&& event) {
  Operation& operation = Find(fd).operation(kind);
  uring::Completion* completion = operation.completion;
  // Everything is settled before the handler runs: it may start the next operation, or free itself.
  if (!event.more) operation.completion = nullptr;
  ++delivered_;
  completion->Deliver(std::move(event));
}

bool SimIo::HasBuffer() const {
  return receive_pool_.bytes_in_use() + receive_pool_.chunk_bytes() <= receive_pool_.limit_bytes();
}

void SimIo::UnparkReceives() {
  // All of them get their turn when there is one buffer: some will find the pool empty again, as
  // with the kernel.
  if (!HasBuffer()) return;
  std::deque<int> parked = std::exchange(parked_, {});
  for (int fd : parked) {
    const auto it = descriptors_.find(fd);
    if (it == descriptors_.end()) continue;
    Operation& operation = it->second->operation(Kind::kReceive);
    if (!operation.waits_for_buffers) continue;
    operation.waits_for_buffers = false;
    ScheduleStep(fd, Kind::kReceive, 0);
  }
}

}  // namespace rcproxy::sim
