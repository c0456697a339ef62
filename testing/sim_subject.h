// What scenarios and the simulator need from the program that they test, and nothing more: so that
// they can be written, and tested themselves, without it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/sim_io.h"

namespace rcproxy::sim {

// Neighbouring slots that one node serves.
struct OwnedSlots {
  int first;
  int last;
  std::string owner;  // "ip:port"; empty: nobody.
};

class SystemUnderTest {
 public:
  virtual ~SystemUnderTest() = default;

  // A connected client; the descriptor is the subject's from now on.
  virtual void AcceptClient(int fd) = 0;
  // One turn of the loop: one Poll of its Io and what follows from it.
  virtual void Turn() = 0;
  // It knows the cluster, so that commands on keys can be served.
  virtual bool IsReady() const = 0;
  // Where commands go, for all slots in order; none: it does not tell.
  virtual std::vector<OwnedSlots> Map() const { return {}; }
  // The value of a counter, or nothing when there is none of that name.
  virtual std::optional<uint64_t> Counter(std::string_view name) const = 0;
  // Checks what can be checked between turns; dies when it is violated.
  virtual void CheckInvariants() const {}
  // What is in use although there is no client: "" when nothing is.
  virtual std::string Leaks() const = 0;
  // Begins the orderly end; turns go on until it has stopped, then it may be destroyed.
  virtual void Stop() = 0;
  virtual bool IsStopped() const = 0;
};

struct SubjectOptions {
  std::vector<std::string> startup_nodes;  // "ip:port" or "name:port"
  // What a name stands for now: "ip:port", or "" for nothing.
  std::function<std::string(const std::string& name)> look_up;
  std::map<std::string, std::string> settings;
};

// Returns nullptr for settings that are not understood.
using SubjectFactory =
    std::function<std::unique_ptr<SystemUnderTest>(SimIo& io, const SubjectOptions& options)>;

}  // namespace rcproxy::sim
