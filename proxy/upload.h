// A large command that is passed on to its node while it arrives, so that it is never held whole.
//
// Once the length of a large argument is known, and the key before it, the key's node is asked
// whether it serves the key (UploadProbe): what has been passed on cannot follow a redirect. If it
// does, an operation asks with the head of the command on a connection of its own, and the client
// adds what it receives. If not, or if anything else stands in the way, the command is gathered and
// routed like every other. Should the slot move while the rest arrives, the client gets an error
// that says so; the command has not been executed then.
//
// Phases: probing -> held (gathered) | may start -> passing on.
//
// Owner: ClientConnection. Thread: the worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/command_table.h"
#include "proxy/operation.h"
#include "proxy/request.h"
#include "resp/command_tail.h"
#include "resp/request_scanner.h"

namespace rcproxy::proxy {

// Waits for the reply to the probe, also when its client has left. Deletes itself.
class UploadProbe final : public InternalReply {
 public:
  using Handler = void (*)(void* client, bool may_pass_on);
  UploadProbe(Handler handler, void* client) : handler_(handler), client_(client) {}
  void Forget() { client_ = nullptr; }
  void OnReply(std::string_view reply) override { Tell(reply.starts_with(':')); }
  void OnLost() override { Tell(false); }

 private:
  ~UploadProbe() = default;
  void Tell(bool may_pass_on) {
    if (client_ != nullptr) handler_(client_, may_pass_on);
    delete this;
  }

  const Handler handler_;
  void* client_;
};

struct Upload {
  enum class Phase : uint8_t { kProbing, kHeld, kMayStart, kPassing };

  Phase phase = Phase::kProbing;
  uint16_t slot = 0;
  const cluster::CommandSpec* spec = nullptr;
  UploadProbe* probe = nullptr;           // While kProbing.
  std::optional<resp::CommandTail> tail;  // While kPassing.

  bool IsPassing() const { return phase == Phase::kPassing; }
};

// A command whose one key and number of arguments are known, if it may be passed on.
struct UploadCandidate {
  const cluster::CommandSpec* spec = nullptr;  // nullptr: it may not.
  std::string_view key;
};
// `scanner` needs more of the command of which `arrived` is there.
UploadCandidate FindUploadCandidate(const resp::RequestScanner& scanner, std::string_view arrived);

// Asks with `head`, all bytes before the large argument's own, and gives the client the answer.
std::unique_ptr<Operation> MakeUploadOperation(uint16_t slot, std::string_view head);

}  // namespace rcproxy::proxy
