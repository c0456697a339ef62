#include "testing/simulator_client.h"

#include <algorithm>
#include <utility>

#include "testing/scenario_text.h"
#include "testing/sim_text.h"

namespace rcproxy::sim {
namespace {

constexpr int kKeysOfOneCommandMax = 6;

}  // namespace

SimulatorClient::SimulatorClient(int number, const ClientHabits& habits, ModelRules rules,
                                 SimWorld& world)
    : number_(number),
      habits_(habits),
      strict_(rules.strict),
      world_(world),
      random_(world.schedule().random().Next()),
      model_(number, rules) {
  next_ns_ = world.now_ns() + random_.Between(0, habits_.pause_max_ns);
}

void SimulatorClient::Connect() {
  peer_ = world_.NewClient();
  resp3_ = false;
  reading_ = true;
}

void SimulatorClient::SetReading(bool reading) {
  if (reading && !reading_) could_answer_ns_ = world_.now_ns();
  reading_ = reading;
  peer_->SetReading(reading);
}

std::string SimulatorClient::Step() {
  const std::string problem = CheckReplies();
  if (!problem.empty() || world_.now_ns() < next_ns_) return problem;
  next_ns_ = world_.now_ns() + random_.Between(1, habits_.pause_max_ns);
  if (peer_ == nullptr) Connect();
  if (random_.OneIn(habits_.leave_one_in)) {
    Leave();
  } else if (random_.OneIn(habits_.stop_reading_one_in)) {
    SetReading(false);
  } else {
    SetReading(true);
    const size_t awaited_max = habits_.waits ? 1 : 2 * habits_.pipeline_max;
    if (requests_.size() < awaited_max) SendPipeline();
  }
  return "";
}

void SimulatorClient::Hurry(int64_t max_ns) {
  next_ns_ = std::min(next_ns_, world_.now_ns() + random_.Between(1, max_ns));
}

void SimulatorClient::Leave() {
  if (peer_ == nullptr) return;
  random_.OneIn(2) ? peer_->Close() : peer_->Reset();
  peer_ = nullptr;
  for (const SimulatedRequest& request : requests_) model_.Lose(request);
  requests_.clear();
}

void SimulatorClient::CalmDown() {
  next_ns_ = SimSchedule::kNever;
  if (peer_ != nullptr) SetReading(true);
}

std::string SimulatorClient::CheckReplies() {
  if (peer_ == nullptr) return "";
  std::string received = peer_->Take();
  std::string_view rest = received;
  while (!rest.empty()) {
    const int64_t size = ReplySize(rest);
    if (size == 0) break;
    const std::string problem =
        size < 0 ? "received what is no reply" : CheckNext(rest.substr(0, size));
    if (!problem.empty()) {
      return Concat("client ", number_, ": ", problem,
                    "\n  reply: ", Printable(size < 0 ? rest : rest.substr(0, size)));
    }
    rest.remove_prefix(size);
  }
  const bool in_reply = !rest.empty();
  peer_->PutBack(rest);
  if (!peer_->closed_by_peer()) return "";
  if (in_reply && !peer_->reset_by_peer() && requests_.empty()) return "the end inside a reply";
  ++closed_by_subject_;
  Leave();
  return "";
}

std::string SimulatorClient::CheckNext(std::string_view reply) {
  if (requests_.empty() || reply.front() == '>') return "a reply that nobody asked for";
  const SimulatedRequest request = std::move(requests_.front());
  requests_.pop_front();
  NoteReply(request);
  std::string problem = model_.Check(request, reply);
  if (ClassifyReply(reply) != Outcome::kDone) {
    ++errors_;
    if (must_succeed_ && problem.empty()) problem = "an error although the cluster is well";
  }
  if (problem.empty()) return "";
  return Concat(problem, "\n  command: ", Printable(EncodeCommand(request.args)));
}

void SimulatorClient::NoteReply(const SimulatedRequest& request) {
  const int64_t now_ns = world_.now_ns();
  const int64_t taken_ns = now_ns - std::max(request.sent_ns, could_answer_ns_);
  could_answer_ns_ = now_ns;
  if (!reading_ || taken_ns <= slowest_reply_ns_) return;
  slowest_reply_ns_ = taken_ns;
  slowest_command_ = Concat("client ", number_, " at ", now_ns / kMicrosecond,
                            " us: ", Printable(EncodeCommand(request.args)).substr(0, 100));
}

void SimulatorClient::SendPipeline() {
  std::string bytes;
  const int64_t size = random_.Between(1, habits_.pipeline_max);
  for (int64_t i = 0; i < size; ++i) Send(RandomRequest(), &bytes);
  peer_->Write(bytes);
}

void SimulatorClient::SendProbe() {
  if (peer_ == nullptr) Connect();
  must_succeed_ = true;
  std::string bytes;
  for (int i = 0; i < habits_.keys; ++i) {
    Send(model_.Append(Key('a', i)), &bytes);
    Send(model_.Get({Key('a', i), Key('s', i), Key('i', i)}), &bytes);
    Send(model_.Increment(Key('i', i)), &bytes);
    Send(model_.Set({Key('s', i)}, 10), &bytes);
  }
  peer_->Write(bytes);
}

void SimulatorClient::Send(SimulatedRequest request, std::string* bytes) {
  if (request.kind == SimulatedRequest::Kind::kHello) {
    resp3_ = request.resp3;
  } else {
    request.resp3 = resp3_;
  }
  request.sent_ns = world_.now_ns();
  *bytes += EncodeCommand(request.args);
  requests_.push_back(std::move(request));
  ++commands_;
}

std::string SimulatorClient::Key(char kind, uint64_t index) const {
  // The first letter is the model's.
  return habits_.tagged ? Concat(kind, "{", number_, "}", index)
                        : Concat(kind, "(", number_, ")", index);
}

bool SimulatorClient::Owns(std::string_view key) const {
  const std::string mine = Key('a', 0);
  return key.substr(1, mine.size() - 2) == std::string_view(mine).substr(1, mine.size() - 2);
}

std::vector<std::string> SimulatorClient::AllKeys() const {
  std::vector<std::string> keys;
  for (int i = 0; i < habits_.keys; ++i) {
    for (char kind : {'a', 's', 'i'}) keys.push_back(Key(kind, i));
  }
  return keys;
}

std::vector<std::string> SimulatorClient::RandomKeys(char kind) {
  std::vector<std::string> keys;
  for (int64_t i = random_.Between(1, kKeysOfOneCommandMax); i > 0; --i) {
    std::string key = RandomKey(kind);
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    keys.push_back(std::move(key));
  }
  return keys;
}

std::vector<std::string> SimulatorClient::MixedKeys(char kind) {
  std::vector<std::string> keys = RandomKeys(kind);
  for (std::string& key : RandomKeys('a')) keys.push_back(std::move(key));
  if (!strict_) return keys;
  // An importing node that has not got a key answers one that is named twice by TRYAGAIN, and the
  // younger commands of the pipeline pass by.
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

SimulatedRequest SimulatorClient::RandomRequest() {
  if (random_.OneIn(100)) return model_.Hello(/*resp3=*/random_.OneIn(2));
  const char kinds[] = {'a', 's', 'i'};
  const char kind = kinds[random_.Below(3)];
  switch (random_.Below(12)) {
    case 0:
    case 1:
    case 2:
      return model_.Append(RandomKey('a'));
    case 3:
    case 4: {
      const size_t most = habits_.padding_max * (random_.OneIn(50) ? 100 : 1);
      return model_.Set({RandomKey('s')}, random_.Below(most + 1));
    }
    case 5:
      return model_.Set(RandomKeys('s'), random_.Below(50));
    case 6:
      return model_.Delete(RandomKeys('s'));
    case 7:
      return model_.Increment(RandomKey('i'));
    case 8:
    case 9:
      return model_.Get({RandomKey(kind)});
    case 10: {
      const std::vector<std::string> keys = MixedKeys(kind);
      return random_.OneIn(4) ? model_.Count(random_.OneIn(2) ? "EXISTS" : "TOUCH", keys)
                              : model_.Get(keys);
    }
    default:
      return model_.Echo(random_.OneIn(2) ? "ECHO" : "PING");
  }
}

}  // namespace rcproxy::sim
