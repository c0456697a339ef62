// What one client has told us about itself, independent of any connection to a node.
//
// Owner: ClientConnection. Thread: the worker's. Kept small: an idle client costs this and its
// socket's state; names and counts live on the heap only for clients that
// have some.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "proxy/tracking/tracking_options.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

// Channels, patterns and shard channels that a client is subscribed to.
using SubscriptionCounts = std::array<uint32_t, 3>;

// What few clients have.
struct SessionExtras {
  std::string name;
  std::string library_name;
  std::string library_version;
  SubscriptionCounts subscriptions = {};
  std::unique_ptr<TrackingOptions> tracking;  // Since CLIENT TRACKING ON.
};

// What CLIENT REPLY may ask for.
enum class ReplyMode : uint8_t {
  kOn,
  kOff,
  kSkipNext,  // Nothing for the next command, then on.
};

// What clients may not do for a while (CLIENT PAUSE).
enum class Pause : uint8_t { kNone, kWrites, kAll };

// Who serves reads.
enum class ReadsFrom : uint8_t {
  kDefault,  // As --read_prefer and the address that the client has connected to say.
  kReplicas,
  kPrimaries,
};

// Told when something has changed that matters to the commands behind.
class SessionObserver {
 public:
  virtual void OnSessionChanged() = 0;
  // Not kept in the session: it counts commands.
  virtual void SetReplyMode(ReplyMode mode) = 0;

 protected:
  ~SessionObserver() = default;
};

struct Session {
  static constexpr uint16_t kNoCommand = 0xffff;

  int64_t id = 0;  // Unique for the life of the process, growing.
  int64_t created_ns = 0;
  int64_t last_command_ns = 0;
  int fd = -1;
  bool authenticated = false;
  bool no_evict = false;
  bool no_touch = false;
  bool is_reader = false;  // Came through --replica_addr: --replica_read_prefer.
  resp::Protocol protocol = resp::Protocol::kResp2;
  uint16_t database = 0;
  ReadsFrom reads_from = ReadsFrom::kDefault;
  uint16_t last_command = kNoCommand;  // CommandSpec::id
  std::unique_ptr<SessionExtras> extras;
  SessionObserver* observer = nullptr;

  SessionExtras& Extras() {
    if (extras == nullptr) extras = std::make_unique<SessionExtras>();
    return *extras;
  }
  bool IsSubscriber() const {
    return extras != nullptr && extras->subscriptions != SubscriptionCounts{};
  }
  // nullptr: CLIENT TRACKING is off.
  const TrackingOptions* tracking() const {
    return extras == nullptr ? nullptr : extras->tracking.get();
  }
  void SetTracking(std::unique_ptr<TrackingOptions> options) {
    if (options == nullptr && tracking() == nullptr) return;
    Extras().tracking = std::move(options);
    if (observer != nullptr) observer->OnSessionChanged();
  }
  // CLIENT CACHING: an exception for the next command. Requires: tracking() is not nullptr.
  void SetCaching(bool exception) {
    if (std::exchange(extras->tracking->caching, exception) == exception) return;
    if (observer != nullptr) observer->OnSessionChanged();
  }
  void SetProtocol(resp::Protocol value) {
    protocol = value;
    if (observer != nullptr) observer->OnSessionChanged();
  }
  void SetDatabase(uint16_t value) {
    database = value;
    if (observer != nullptr) observer->OnSessionChanged();
  }
  void SetReadsFrom(ReadsFrom value) {
    reads_from = value;
    if (observer != nullptr) observer->OnSessionChanged();
  }
  void SetReplyMode(ReplyMode mode) {
    if (observer != nullptr) observer->SetReplyMode(mode);
  }
};

}  // namespace rcproxy::proxy
