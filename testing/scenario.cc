#include "testing/scenario.h"

#include <glog/logging.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "testing/scenario_text.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

// How long a step waits for what it expects, and how long silence has to last.
constexpr int64_t kPatienceNs = 20 * kSecond;
constexpr int64_t kSilenceNs = 10 * kMillisecond;

// The text behind the first `words` words.
std::string_view Behind(std::string_view text, int words) {
  const char* space = " \t";
  for (; words > 0; --words) {
    text.remove_prefix(std::min(text.find_first_not_of(space), text.size()));
    text.remove_prefix(std::min(text.find_first_of(space), text.size()));
  }
  text.remove_prefix(std::min(text.find_first_not_of(space), text.size()));
  return text;
}

std::string Usage(std::string_view usage) { return Concat("usage: ", usage); }

}  // namespace

Scenario::Scenario(std::string_view text, uint64_t seed, SubjectFactory factory)
    : text_(text), world_(seed, std::move(factory)) {}

const std::map<std::string_view, Scenario::Step>& Scenario::Steps() {
  static const auto& steps = *new std::map<std::string_view, Step>{
      {"cluster", &Scenario::Cluster},     {"replica", &Scenario::Replica},
      {"script", &Scenario::Script},       {"data", &Scenario::Data},
      {"migrate", &Scenario::Migrate},     {"migrating", &Scenario::Migrating},
      {"move", &Scenario::Move},           {"migrated", &Scenario::Migrated},
      {"failover", &Scenario::Failover},   {"gossip", &Scenario::Gossip},
      {"databases", &Scenario::Databases}, {"password", &Scenario::Password},
      {"option", &Scenario::Option},       {"startup", &Scenario::Startup},
      {"link", &Scenario::Link},           {"buffers", &Scenario::Buffers},
      {"start", &Scenario::Start},         {"wait", &Scenario::Wait},
      {"expect", &Scenario::Expect},       {"executed", &Scenario::Executed},
      {"client", &Scenario::Client},       {"node", &Scenario::Node},
  };
  return steps;
}

std::string Scenario::Run() {
  int number = 0;
  std::string_view rest = text_;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = StripComment(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (line.empty()) continue;
    const std::string problem = RunLine(line);
    if (!problem.empty()) return Concat("line ", number, ": ", line, "\n  ", problem);
  }
  return AtEnd();
}

std::string Scenario::RunLine(std::string_view line) {
  const Words words = SplitWords(line);
  const auto step = Steps().find(words[0]);
  if (step == Steps().end()) return "unknown step";
  return (this->*step->second)(words, Behind(line, 1));
}

std::string Scenario::AtEnd() {
  if (!world_.started()) return "";
  for (auto& [name, client] : clients_) {
    if (!client->received().empty()) {
      return Concat("at the end: client ", name, " has received ", Printable(client->received()));
    }
    client->Close();
  }
  for (FakeNode* node : world_.cluster().nodes()) {
    if (!node->pending().empty()) {
      return Concat("at the end: node ", node->name(), " has been asked ",
                    Printable(EncodeCommand(node->pending().front().args)));
    }
  }
  world_.RunFor(kSecond);
  const std::string left = world_.StopSubject();
  return left.empty() ? "" : Concat("at the end: ", left);
}

std::string Scenario::EnsureStarted() { return world_.started() ? "" : Start({"start"}, ""); }

FakeNode* Scenario::FindNode(std::string_view name) {
  return names_.count(std::string(name)) == 0 ? nullptr : &world_.cluster().node(name);
}

std::string Scenario::WithAddresses(std::string_view text) {
  std::string result(text);
  for (const std::string& name : names_) {
    const std::string mark = "@" + name;
    size_t at = 0;
    while ((at = result.find(mark, at)) != std::string::npos) {
      const std::string address = FindNode(name)->Address();
      result.replace(at, mark.size(), address);
      at += address.size();
    }
  }
  return result;
}

std::string Scenario::Start(const Words& words, std::string_view) {
  if (world_.started()) return "already started";
  if (!world_.StartSubject()) return "the options were not understood";
  if (words.size() > 1 && words[1] == "unready") return "";
  const bool ready = world_.RunUntil([this] { return world_.subject().IsReady(); }, kPatienceNs);
  return ready ? "" : "not ready in time";
}

std::string Scenario::Wait(const Words& words, std::string_view) {
  const std::optional<int64_t> duration =
      words.size() == 2 ? ParseDuration(words[1]) : std::nullopt;
  if (!duration.has_value()) return Usage("wait 10ms");
  world_.RunFor(*duration);
  return "";
}

std::string Scenario::Expect(const Words& words, std::string_view) {
  if (words.size() < 3 || words.size() % 2 == 0) return Usage("expect counter value ...");
  if (!world_.started()) return "not started";
  for (size_t i = 1; i + 1 < words.size(); i += 2) {
    const std::optional<int64_t> wanted = ParseNumber(words[i + 1]);
    if (!wanted.has_value()) return Concat("not a number: ", words[i + 1]);
    if (!world_.subject().Counter(words[i]).has_value()) return Concat("no counter ", words[i]);
    auto value = [&] { return static_cast<int64_t>(*world_.subject().Counter(words[i])); };
    if (!world_.RunUntil([&] { return value() == *wanted; }, kSecond)) {
      return Concat(words[i], " is ", value());
    }
  }
  return "";
}

std::string Scenario::Executed(const Words& words, std::string_view text) {
  FakeNode* node = words.size() > 3 ? FindNode(words[1]) : nullptr;
  if (node == nullptr) return Usage("executed NODE COUNT COMMAND...");
  const FakeArgs args = SplitWords(Behind(text, 2));
  const ExecutionLog& log = world_.cluster().log();
  const auto count = std::count_if(log.begin(), log.end(), [&](const ExecutedCommand& command) {
    return command.node == node && command.args == args;
  });
  return count == ParseNumber(words[2]) ? "" : Concat("executed ", count, " times");
}

SimPeer& Scenario::ClientNamed(const std::string& name) {
  SimPeer*& client = clients_[name];
  if (client == nullptr) client = world_.NewClient();
  return *client;
}

std::string Scenario::Client(const Words& words, std::string_view text) {
  if (words.size() < 3) return Usage("client NAME > COMMAND | < REPLY | closed | close ...");
  const std::string problem = EnsureStarted();
  if (!problem.empty()) return problem;
  SimPeer& client = ClientNamed(words[1]);
  const std::string& verb = words[2];
  const std::string argument = WithAddresses(Behind(text, 2));
  if (verb == ">") return ClientSends(client, argument);
  if (verb == "raw") {
    client.Write(SplitWords(argument).empty() ? "" : SplitWords(argument)[0]);
    return "";
  }
  if (verb == "<") {
    return argument == "nothing" ? ClientExpectsNothing(client) : ClientExpects(client, argument);
  }
  return ClientState(client, verb);
}

std::string Scenario::ClientSends(SimPeer& client, std::string_view text) {
  // Commands between bars are one write: a pipeline.
  std::string bytes;
  Words command;
  for (const std::string& word : SplitWords(text)) {
    if (word == "|") {
      bytes += EncodeCommand(command);
      command.clear();
    } else {
      command.push_back(word);
    }
  }
  client.Write(bytes + EncodeCommand(command));
  return "";
}

std::string Scenario::ClientExpects(SimPeer& client, std::string_view text) {
  const bool open_ended = text.size() > 3 && text.substr(text.size() - 3) == "...";
  if (open_ended) text.remove_suffix(3);
  const std::optional<std::string> reply = EncodeReply(text);
  if (!reply.has_value()) return "not a reply";
  const std::string wanted = open_ended ? reply->substr(0, reply->size() - 2) : *reply;
  auto complete = [&] {
    if (client.received().size() < wanted.size()) return false;
    return !open_ended || client.received().find("\r\n") != std::string::npos;
  };
  world_.RunUntil([&] { return complete() || client.closed_by_peer(); }, kPatienceNs);
  std::string received = client.Take();
  if (received.compare(0, wanted.size(), wanted) != 0) {
    return Concat("received ", Printable(received), client.closed_by_peer() ? " and the end" : "");
  }
  const size_t size = open_ended ? received.find("\r\n") + 2 : wanted.size();
  client.PutBack(received.substr(size));
  return "";
}

std::string Scenario::ClientExpectsNothing(SimPeer& client) {
  world_.RunUntil([&] { return !client.received().empty() || client.closed_by_peer(); },
                  kSilenceNs);
  if (client.closed_by_peer()) return "received the end";
  return client.received().empty() ? "" : Concat("received ", Printable(client.received()));
}

std::string Scenario::ClientState(SimPeer& client, const std::string& verb) {
  if (verb == "closed") {
    const bool closed = world_.RunUntil([&] { return client.closed_by_peer(); }, kPatienceNs);
    return closed ? "" : "still open";
  }
  if (verb == "close") {
    client.Close();
  } else if (verb == "shutdown") {
    client.ShutdownWrite();
  } else if (verb == "reset") {
    client.Reset();
  } else if (verb == "stop") {
    client.SetReading(false);
  } else if (verb == "read") {
    client.SetReading(true);
  } else {
    return "unknown verb of a client";
  }
  return "";
}

std::string Scenario::Node(const Words& words, std::string_view text) {
  FakeNode* node = words.size() > 2 ? FindNode(words[1]) : nullptr;
  if (node == nullptr) return Usage("node NAME < COMMAND | > REPLY | kill ...");
  const std::string& verb = words[2];
  const std::string argument = WithAddresses(Behind(text, 2));
  if (verb == "<") {
    return argument == "nothing" ? NodeExpectsNothing(*node) : NodeExpects(*node, argument);
  }
  if (verb == ">") return NodeReplies(*node, argument);
  return NodeState(*node, verb, argument);
}

std::string Scenario::NodeExpects(FakeNode& node, std::string_view text) {
  world_.RunUntil([&] { return !node.pending().empty(); }, kPatienceNs);
  if (node.pending().empty()) return "was not asked";
  const FakeNode::Pending asked = node.pending().front();
  node.pending().pop_front();
  if (asked.args != SplitWords(text)) {
    return Concat("was asked ", Printable(EncodeCommand(asked.args)));
  }
  unanswered_[&node].push_back(asked.connection);
  return "";
}

std::string Scenario::NodeExpectsNothing(FakeNode& node) {
  world_.RunUntil([&] { return !node.pending().empty(); }, kSilenceNs);
  if (node.pending().empty()) return "";
  return Concat("was asked ", Printable(EncodeCommand(node.pending().front().args)));
}

std::string Scenario::NodeReplies(FakeNode& node, std::string_view text) {
  std::deque<uint64_t>& unanswered = unanswered_[&node];
  if (unanswered.empty()) return "nobody waits for an answer";
  const bool raw = text.substr(0, 4) == "raw ";
  const std::optional<std::string> reply = raw ? Unescape(text.substr(4)) : EncodeReply(text);
  if (!reply.has_value()) return "not a reply";
  node.Reply(unanswered.front(), *reply);
  if (!raw) unanswered.pop_front();
  return "";
}

}  // namespace rcproxy::sim
