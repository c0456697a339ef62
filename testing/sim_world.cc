#include "testing/sim_world.h"

#include <glog/logging.h>

#include <utility>

#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr uint64_t kTurnsBetweenChecks = 37;
constexpr int64_t kStopTimeoutNs = 60 * kSecond;

}  // namespace

SimWorld::SimWorld(uint64_t seed, SubjectFactory factory)
    : schedule_(seed), factory_(std::move(factory)) {}

SimWorld::~SimWorld() {
  if (started()) StopSubject();
}

bool SimWorld::StartSubject() {
  CHECK(!started());
  if (subject_options_.startup_nodes.empty()) {
    subject_options_.startup_nodes = cluster_.Addresses();
  }
  subject_options_.look_up = [this](const std::string&) { return cluster_.AnyAddress(); };
  io_ = std::make_unique<SimIo>(network_, io_options_);
  // A test may wait for a peer's event, of which the subject would not be told.
  io_->set_returns_after_each_event(true);
  subject_ = factory_(*io_, subject_options_);
  return started();
}

SimPeer* SimWorld::NewClient() {
  CHECK(started());
  SimIo::Client client = io_->NewClient();
  subject_->AcceptClient(client.fd);
  return client.peer;
}

void SimWorld::Turn() {
  subject_->Turn();
  // Not after each: it looks at everything.
  if (++turns_ % kTurnsBetweenChecks == 0) subject_->CheckInvariants();
}

void SimWorld::RunFor(int64_t duration_ns) {
  RunUntil([] { return false; }, duration_ns);
}

bool SimWorld::RunUntil(const std::function<bool()>& condition, int64_t timeout_ns) {
  const int64_t end_ns = now_ns() + timeout_ns;
  if (!started()) {
    while (!condition() && now_ns() < end_ns) schedule_.RunFor(kMicrosecond);
    return condition();
  }
  io_->set_horizon_ns(end_ns);
  while (!condition() && now_ns() < end_ns) Turn();
  return condition();
}

std::string SimWorld::FindLeaks() {
  std::string leaks = subject_->Leaks();
  const size_t bytes = io_->receive_pool().bytes_in_use();
  if (bytes != 0) leaks += Concat(" receive buffers: ", bytes, " bytes");
  return leaks;
}

std::string SimWorld::StopSubject() {
  subject_->Stop();
  const bool stopped = RunUntil([this] { return subject_->IsStopped(); }, kStopTimeoutNs);
  if (!stopped) return "the subject has not stopped in time";
  std::string left = FindLeaks();
  if (io_->operations_in_flight() != 0) {
    left += Concat(" operations in flight: ", io_->operations_in_flight());
  }
  if (io_->open_descriptors() != 0) left += Concat(" descriptors: ", io_->open_descriptors());
  subject_.reset();
  io_.reset();
  return left;
}

}  // namespace rcproxy::sim
