#include "testing/simulator_cache.h"

#include <optional>
#include <utility>

#include "testing/scenario_text.h"
#include "testing/sim_text.h"
#include "testing/simulator_model.h"

namespace rcproxy::sim {
namespace {

constexpr int64_t kPauseMaxNs = 60 * kMillisecond;
constexpr int kPipelineMax = 20;
constexpr size_t kRequestsMax = 200;
constexpr size_t kOwnKeys = 6;

std::vector<std::string> TrackingCommand(SimulatorCache::Mode mode) {
  switch (mode) {
    case SimulatorCache::Mode::kAllReads:
      break;
    case SimulatorCache::Mode::kNoLoop:
      return {"CLIENT", "TRACKING", "ON", "NOLOOP"};
    case SimulatorCache::Mode::kOptIn:
      return {"CLIENT", "TRACKING", "ON", "OPTIN"};
    case SimulatorCache::Mode::kBroadcast:
      return {"CLIENT", "TRACKING", "ON", "BCAST"};
  }
  return {"CLIENT", "TRACKING", "ON"};
}

std::string StoredReply(SimWorld& world, const std::string& key) {
  const std::optional<std::string> value = world.cluster().OwnerOf(key).store().Get(key);
  return value.has_value() ? BulkReply(*value) : "_\r\n";
}

}  // namespace

std::vector<std::string> SimulatorCache::OwnKeys() {
  std::vector<std::string> keys;
  for (size_t i = 0; i < kOwnKeys; ++i) keys.push_back(Concat("cache:", i));
  return keys;
}

SimulatorCache::SimulatorCache(int number, Mode mode, std::vector<std::string> keys,
                               SimWorld& world)
    : number_(number),
      mode_(mode),
      keys_(std::move(keys)),
      own_keys_(OwnKeys()),
      world_(world),
      random_(world.schedule().random().Next()) {
  keys_.insert(keys_.end(), own_keys_.begin(), own_keys_.end());
  next_ns_ = world.now_ns() + random_.Between(0, kPauseMaxNs);
}

void SimulatorCache::Connect() {
  peer_ = world_.NewClient();
  state_ = State::kGreeting;
  std::string bytes;
  Send({}, {"HELLO", "3"}, &bytes);
  Send({.kind = Request::Kind::kMustSucceed, .key = ""}, TrackingCommand(mode_), &bytes);
  peer_->Write(bytes);
}

std::string SimulatorCache::Step() {
  std::string problem = TakeReplies();
  if (!problem.empty() || world_.now_ns() < next_ns_) return problem;
  next_ns_ = world_.now_ns() + random_.Between(1, kPauseMaxNs);
  if (peer_ == nullptr) {
    Connect();
  } else if (random_.OneIn(50)) {
    Leave();
  } else if (random_.OneIn(20)) {
    peer_->SetReading(false);
  } else {
    peer_->SetReading(true);
    if (state_ == State::kTracking && requests_.size() < kRequestsMax) SendPipeline();
  }
  return "";
}

void SimulatorCache::SendPipeline() {
  std::string bytes;
  for (int64_t i = random_.Between(1, kPipelineMax); i > 0; --i) {
    if (random_.OneIn(10)) {
      Change(own_keys_[random_.Below(own_keys_.size())], &bytes);
    } else {
      Read(keys_[random_.Below(keys_.size())], &bytes);
    }
  }
  peer_->Write(bytes);
}

void SimulatorCache::Leave() {
  if (peer_ == nullptr) return;
  peer_->Close();
  peer_ = nullptr;
  requests_.clear();
  values_.clear();
}

void SimulatorCache::CalmDown() {
  next_ns_ = SimSchedule::kNever;
  if (peer_ != nullptr) peer_->SetReading(true);
}

void SimulatorCache::ReadAll() {
  if (peer_ == nullptr) Connect();
  std::string bytes;
  for (const std::string& key : keys_) Read(key, &bytes);
  peer_->Write(bytes);
}

void SimulatorCache::Send(Request request, const std::vector<std::string>& args,
                          std::string* bytes) {
  *bytes += EncodeCommand(args);
  requests_.push_back(std::move(request));
  ++commands_;
}

void SimulatorCache::Read(const std::string& key, std::string* bytes) {
  if (mode_ == Mode::kOptIn)
    Send({.kind = Request::Kind::kMustSucceed, .key = ""}, {"CLIENT", "CACHING", "YES"}, bytes);
  Send({.kind = Request::Kind::kRead, .key = key}, {"GET", key}, bytes);
}

void SimulatorCache::Change(const std::string& key, std::string* bytes) {
  Request request = {.kind = Request::Kind::kWrite, .key = key};
  if (random_.OneIn(3)) return Send(std::move(request), {"DEL", key}, bytes);
  Send(std::move(request), {"SET", key, Concat("cache/", number_, ".", next_value_++)}, bytes);
}

std::string SimulatorCache::TakeReplies() {
  if (peer_ == nullptr) return "";
  const std::string received = peer_->Take();
  std::string_view rest = received;
  while (!rest.empty()) {
    const int64_t size = ReplySize(rest);
    if (size == 0) break;
    const std::string problem = size < 0 ? "received what is no reply" : Take(rest.substr(0, size));
    if (!problem.empty()) return Concat("cache ", number_, ": ", problem, ": ", Printable(rest));
    rest.remove_prefix(size);
  }
  peer_->PutBack(rest);
  const bool is_closed = peer_->closed_by_peer();
  if (!is_closed && state_ != State::kRefused) return "";
  closed_by_subject_ += is_closed;
  Leave();
  return "";
}

std::string SimulatorCache::Take(std::string_view reply) {
  if (reply.front() == '>') return TakePush(reply);
  if (requests_.empty()) return "a reply that nobody asked for";
  const Request request = std::move(requests_.front());
  requests_.pop_front();
  if (request.kind == Request::Kind::kMustSucceed) return reply == "+OK\r\n" ? "" : "not OK";
  if (request.kind == Request::Kind::kHello) {
    state_ = reply.front() == '%' ? State::kTracking : State::kRefused;
    return "";
  }
  if (ClassifyReply(reply) == Outcome::kUnexpected) return "such an error is not for clients";
  TakeReply(request, reply);
  return "";
}

// What is to be forgotten: keys, or all of them.
std::string SimulatorCache::TakePush(std::string_view push) {
  const std::vector<std::string_view> parts = ReplyElements(push);
  if (parts.size() != 2 || parts[0] != BulkReply("invalidate")) return "not an invalidation";
  if (parts[1] == "_\r\n") {
    values_.clear();
    return "";
  }
  const std::vector<std::string_view> keys = ReplyElements(parts[1]);
  for (const std::string_view framed : keys) {
    for (const std::string& key : keys_) {
      if (framed == BulkReply(key)) values_.erase(key);
    }
  }
  return keys.empty() ? "an invalidation of nothing" : "";
}

void SimulatorCache::TakeReply(const Request& request, std::string_view reply) {
  const bool is_error = ClassifyReply(reply) != Outcome::kDone;
  if (request.kind == Request::Kind::kRead && !is_error) {
    values_[request.key] = reply;
  } else if (request.kind == Request::Kind::kRead) {
    values_.erase(request.key);
  } else if (mode_ == Mode::kNoLoop && !is_error && reply != ":0\r\n") {
    // Nobody tells it of its own change, nor of later ones until it has read again.
    values_.erase(request.key);
  }
}

std::string SimulatorCache::CheckValues() const {
  for (const auto& [key, value] : values_) {
    const std::string stored = StoredReply(world_, key);
    if (value == stored) continue;
    return Concat("cache ", number_, " of mode ", static_cast<int>(mode_), " keeps ", key, ": ",
                  Printable(value), "\n  stored: ", Printable(stored));
  }
  return "";
}

}  // namespace rcproxy::sim
