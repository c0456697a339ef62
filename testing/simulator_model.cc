#include "testing/simulator_model.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "testing/scenario_text.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr std::string_view kEnd = "\r\n";

// Errors that say that nothing was executed: those of nodes, and rcproxy's own.
constexpr std::string_view kRefusals[] = {
    "-CLUSTERDOWN",
    "-TRYAGAIN",
    "-LOADING",
    "-MASTERDOWN",
    "-READONLY",
    "-ERR upstream unreachable",
    "-ERR upstream busy",
    "-ERR upstream redirects",
    "-ERR upstream overloaded",
};
constexpr std::string_view kUnknowns[] = {"-ERR upstream lost", "-ERR upstream reply"};

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

std::optional<std::string> BulkValue(std::string_view reply) {
  if (StartsWith(reply, "$-1") || StartsWith(reply, "_")) return std::nullopt;
  const size_t header = reply.find(kEnd) + kEnd.size();
  return std::string(reply.substr(header, reply.size() - header - kEnd.size()));
}

SimulatedRequest NewRequest(SimulatedRequest::Kind kind, const std::vector<std::string>& keys) {
  SimulatedRequest request;
  request.kind = kind;
  request.keys = keys;
  request.multiple = keys.size() > 1;
  return request;
}

std::string Show(const std::optional<std::string>& value) {
  return value.has_value() ? Concat("\"", Printable(*value), "\"") : "nothing";
}

}  // namespace

Outcome ClassifyReply(std::string_view reply) {
  if (!StartsWith(reply, "-")) return Outcome::kDone;
  for (std::string_view text : kRefusals) {
    if (StartsWith(reply, text)) return Outcome::kRefused;
  }
  for (std::string_view text : kUnknowns) {
    if (StartsWith(reply, text)) return Outcome::kUnknown;
  }
  return Outcome::kUnexpected;
}

int64_t ReplySize(std::string_view bytes) {
  const size_t line = bytes.find(kEnd);
  if (line == bytes.npos) return 0;
  const int64_t header = static_cast<int64_t>(line + kEnd.size());
  if (bytes[0] == '+' || bytes[0] == '-' || bytes[0] == '_') return header;
  const std::optional<int64_t> number = ParseNumber(bytes.substr(1, line - 1));
  if (!number.has_value()) return -1;
  if (bytes[0] == ':' || *number < 0) return header;
  if (bytes[0] == '$') {
    const int64_t size = header + *number + static_cast<int64_t>(kEnd.size());
    return size <= static_cast<int64_t>(bytes.size()) ? size : 0;
  }
  if (bytes[0] != '*' && bytes[0] != '%' && bytes[0] != '>') return -1;
  int64_t size = header;
  for (int64_t i = bytes[0] == '%' ? -*number : 0; i < *number; ++i) {
    const int64_t element = ReplySize(bytes.substr(size));
    if (element <= 0) return element;
    size += element;
  }
  return size;
}

std::vector<std::string_view> ReplyElements(std::string_view reply) {
  std::vector<std::string_view> elements;
  if (reply.empty() || (reply[0] != '*' && reply[0] != '>')) return elements;
  reply.remove_prefix(reply.find(kEnd) + kEnd.size());
  while (!reply.empty()) {
    const int64_t size = ReplySize(reply);
    CHECK_GT(size, 0);
    elements.push_back(reply.substr(0, size));
    reply.remove_prefix(size);
  }
  return elements;
}

size_t SimulatorModel::AddWrite(const std::string& key, std::optional<std::string> value) {
  History& history = histories_[key];
  if (value.has_value()) history.index[*value] = history.writes.size();
  history.writes.push_back({.value = std::move(value)});
  return history.writes.size() - 1;
}

SimulatedRequest SimulatorModel::Append(const std::string& key) {
  const std::string token = Concat(key, "/", client_, ".", next_token_++, ";");
  SimulatedRequest request = NewRequest(SimulatedRequest::Kind::kAppend, {key});
  request.args = {"APPEND", key, token};
  request.positions = {AddWrite(key, token)};
  return request;
}

SimulatedRequest SimulatorModel::Set(const std::vector<std::string>& keys, size_t padding) {
  SimulatedRequest request = NewRequest(SimulatedRequest::Kind::kSet, keys);
  request.args = {keys.size() > 1 ? "MSET" : "SET"};
  for (const std::string& key : keys) {
    const std::string value =
        Concat(key, "/", client_, ".", next_token_++, ";") + std::string(padding, 'x');
    request.args.push_back(key);
    request.args.push_back(value);
    request.positions.push_back(AddWrite(key, value));
  }
  return request;
}

SimulatedRequest SimulatorModel::Delete(const std::vector<std::string>& keys) {
  SimulatedRequest request = NewRequest(SimulatedRequest::Kind::kDelete, keys);
  request.args = {next_token_ % 2 == 0 ? "DEL" : "UNLINK"};
  for (const std::string& key : keys) {
    request.args.push_back(key);
    request.positions.push_back(AddWrite(key, std::nullopt));
  }
  return request;
}

SimulatedRequest SimulatorModel::Increment(const std::string& key) {
  SimulatedRequest request = NewRequest(SimulatedRequest::Kind::kIncrement, {key});
  request.args = {"INCR", key};
  request.positions = {AddWrite(key, std::nullopt)};
  return request;
}

SimulatedRequest SimulatorModel::Get(const std::vector<std::string>& keys) {
  SimulatedRequest request = NewRequest(SimulatedRequest::Kind::kGet, keys);
  request.args = {keys.size() > 1 ? "MGET" : "GET"};
  for (const std::string& key : keys) {
    request.args.push_back(key);
    request.positions.push_back(histories_[key].writes.size());
  }
  return request;
}

SimulatedRequest SimulatorModel::Count(const std::string& command,
                                       const std::vector<std::string>& keys) {
  SimulatedRequest request = Get(keys);
  request.kind = SimulatedRequest::Kind::kCount;
  request.args[0] = command;
  return request;
}

SimulatedRequest SimulatorModel::Echo(const std::string& command) {
  SimulatedRequest request;
  request.kind = SimulatedRequest::Kind::kEcho;
  request.args = {command, Concat("echo/", client_, ".", next_token_++)};
  return request;
}

SimulatedRequest SimulatorModel::Hello(bool resp3) {
  SimulatedRequest request;
  request.kind = SimulatedRequest::Kind::kHello;
  request.args = {"HELLO", resp3 ? "3" : "2"};
  request.resp3 = resp3;
  return request;
}

std::string SimulatorModel::Check(const SimulatedRequest& request, std::string_view reply) {
  using Kind = SimulatedRequest::Kind;
  const Outcome outcome = ClassifyReply(reply);
  if (outcome == Outcome::kUnexpected) return "such an error is not for clients";
  if (outcome != Outcome::kDone) {
    if (request.positions.empty()) return "answered by an error, although no node is needed";
    // Of a split command other parts may have been executed.
    const bool refused = outcome == Outcome::kRefused && !request.multiple;
    return Settle(request, refused ? State::kRefused : State::kUnknown);
  }
  switch (request.kind) {
    case Kind::kEcho:
      return BulkValue(reply) == request.args[1] ? "" : "not what was sent";
    case Kind::kHello:
      return reply[0] == (request.resp3 ? '%' : '*') ? "" : "not in the protocol asked for";
    case Kind::kGet:
      return CheckRead(request, reply);
    case Kind::kSet:
      if (reply != "+OK\r\n") return "not the reply to a SET";
      return Settle(request, State::kDone);
    case Kind::kAppend:
    case Kind::kDelete:
    case Kind::kIncrement:
    case Kind::kCount:
      return CheckInteger(request, reply);
  }
  return "";
}

std::string SimulatorModel::CheckInteger(const SimulatedRequest& request, std::string_view reply) {
  const std::optional<int64_t> value =
      reply[0] == ':' ? ParseNumber(reply.substr(1, reply.size() - 3)) : std::nullopt;
  if (!value.has_value()) return "not an integer";
  const bool counts = request.kind == SimulatedRequest::Kind::kDelete ||
                      request.kind == SimulatedRequest::Kind::kCount;
  if (counts && (*value < 0 || *value > static_cast<int64_t>(request.keys.size()))) {
    return "counted more keys than were named";
  }
  const std::string problem = Settle(request, State::kDone);
  if (!problem.empty() || request.kind != SimulatedRequest::Kind::kIncrement) return problem;
  return CheckSum(request.keys[0], request.positions[0] + 1, *value);
}

std::string SimulatorModel::CheckRead(const SimulatedRequest& request, std::string_view reply) {
  std::vector<std::string_view> values = {reply};
  if (request.multiple) values = ReplyElements(reply);
  if (values.size() != request.keys.size()) return "not the number of keys that were asked";
  for (size_t i = 0; i < values.size(); ++i) {
    const bool null = values[i][0] == '_' || StartsWith(values[i], "$-1");
    if (null && (values[i][0] == '_') != request.resp3) return "a null of the other protocol";
    if (!null && values[i][0] != '$') return "not a string";
    const std::string problem =
        CheckValue(request.keys[i], request.positions[i], BulkValue(values[i]));
    if (!problem.empty()) return Concat("key ", request.keys[i], ": ", problem);
  }
  return "";
}

std::string SimulatorModel::Settle(const SimulatedRequest& request, State state) {
  if (request.kind == SimulatedRequest::Kind::kGet ||
      request.kind == SimulatedRequest::Kind::kCount || request.positions.empty()) {
    return "";
  }
  for (size_t i = 0; i < request.keys.size(); ++i) {
    Write& write = histories_[request.keys[i]].writes[request.positions[i]];
    CHECK(write.state == State::kPending);
    write.state = state;
    if (write.shown && state == State::kRefused) return "refused, but it had been executed";
    const bool may_have_shown =
        !strict_ || (sets_may_repeat_ && request.kind == SimulatedRequest::Kind::kSet);
    if (write.shown && state == State::kDone && !may_have_shown) {
      return Concat("an earlier read had shown it already: ", Show(write.value));
    }
  }
  return "";
}

void SimulatorModel::Lose(const SimulatedRequest& request) {
  Settle(request, State::kUnknown);  // Can not fail for an unknown outcome.
}

std::string SimulatorModel::CheckValue(const std::string& key, size_t position,
                                       const std::optional<std::string>& value) {
  if (key[0] == 'a') return CheckTokens(key, position, value.value_or(""));
  if (key[0] == 's') return CheckLast(key, position, value);
  const std::optional<int64_t> number = ParseNumber(value.value_or("0"));
  return number.has_value() ? CheckSum(key, position, *number) : "not a number";
}

// Whether a write may be seen by a read. `later`: it was issued after the read.
bool SimulatorModel::MayShow(Write& write, bool later) {
  if (write.state == State::kRefused) return false;
  if (write.state == State::kUnknown) return true;
  if (!later) return true;
  if (write.state == State::kDone) return !strict_;
  write.shown = true;
  return true;
}

std::string SimulatorModel::CheckTokens(const std::string& key, size_t position,
                                        std::string_view value) {
  std::vector<Write>& history = histories_[key].writes;
  std::set<size_t> seen;
  std::vector<size_t> done;
  while (!value.empty()) {
    const size_t size = std::min(value.find(';'), value.size() - 1) + 1;
    const std::string token(value.substr(0, size));
    value.remove_prefix(size);
    const auto it = histories_[key].index.find(token);
    if (it == histories_[key].index.end()) return Concat("was never written: ", Show(token));
    const size_t index = it->second;
    if (!seen.insert(index).second) return Concat("written twice: ", Show(token));
    if (!MayShow(history[index], index >= position)) return Concat("must not show: ", Show(token));
    if (history[index].state == State::kDone) done.push_back(index);
  }
  std::vector<size_t> expected;
  for (size_t i = 0; i < std::min(position, history.size()); ++i) {
    if (history[i].state == State::kDone) expected.push_back(i);
  }
  // Where commands may overtake each other, only the final value has to be complete.
  if (!strict_ && position != kFinal) return "";
  if (!strict_) std::sort(done.begin(), done.end());
  if (done == expected) return "";
  for (size_t index : expected) {
    if (seen.count(index) == 0) return Concat("is lost: ", Show(history[index].value));
  }
  return "writes are in another order than they were issued in";
}

std::string SimulatorModel::CheckLast(const std::string& key, size_t position,
                                      const std::optional<std::string>& value) {
  std::vector<Write>& history = histories_[key].writes;
  std::optional<std::string> last;
  for (size_t i = 0; i < std::min(position, history.size()); ++i) {
    if (history[i].state == State::kDone) last = history[i].value;
  }
  if (value == last) return "";
  bool absent_possible = !strict_;
  for (size_t i = 0; i < history.size(); ++i) {
    Write& write = history[i];
    if (!value.has_value() && !write.value.has_value()) {
      absent_possible = absent_possible || MayShow(write, i >= position);
    }
    if (!value.has_value() || write.value != value) continue;
    if (write.state == State::kDone && i < position && strict_) {
      return Concat("is old: ", Show(value), ", the last write was ", Show(last));
    }
    return MayShow(write, i >= position) ? "" : Concat("must not show: ", Show(value));
  }
  if (!value.has_value() && absent_possible) return "";
  return Concat("is ", Show(value), ", the last write was ", Show(last));
}

std::string SimulatorModel::CheckSum(const std::string& key, size_t position, int64_t value) {
  const std::vector<Write>& history = histories_[key].writes;
  int64_t low = 0, high = 0;
  for (size_t i = 0; i < history.size(); ++i) {
    const State state = history[i].state;
    low += i < position && state == State::kDone;
    const bool earlier_done = i < position && state == State::kDone;
    // A later one may have gone first only if its outcome is, or will be, unknown.
    const bool perhaps = state == State::kUnknown || (i >= position && state != State::kRefused) ||
                         (!strict_ && state == State::kPending);
    high += earlier_done || perhaps;
  }
  if (!strict_ && position != kFinal) low = 0;
  if (value >= low && value <= high) return "";
  return Concat("the sum is ", value, ", not ", low, "..", high);
}

std::string SimulatorModel::CheckStored(const std::string& key,
                                        const std::optional<std::string>& value) {
  return CheckValue(key, kFinal, value);
}

std::vector<std::string> SimulatorModel::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, history] : histories_) keys.push_back(key);
  return keys;
}

size_t SimulatorModel::DeletionsMax(const std::string& key) const {
  const auto history = histories_.find(key);
  if (history == histories_.end()) return 0;
  return std::ranges::count_if(history->second.writes, [](const Write& write) {
    return !write.value.has_value() && write.state != State::kRefused;
  });
}

bool SimulatorModel::MustNotBeExecuted(const std::string& key, const std::string& value) const {
  const auto history = histories_.find(key);
  if (history == histories_.end()) return true;
  const auto write = history->second.index.find(value);
  if (write == history->second.index.end()) return true;
  return history->second.writes[write->second].state == State::kRefused;
}

}  // namespace rcproxy::sim
