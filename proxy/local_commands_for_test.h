// LocalCommands with a configuration and one client, asked in words and answering in bytes. Tests
// only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_errors.h"
#include "cluster/command_for_test.h"
#include "cluster/command_table.h"
#include "proxy/config.h"
#include "proxy/known_commands.h"
#include "proxy/local_commands.h"
#include "proxy/local_host.h"
#include "proxy/operation.h"
#include "proxy/server_facts.h"
#include "proxy/session.h"
#include "proxy/stats.h"

namespace rcproxy::proxy {

class LocalCommandsForTest final : private LocalHost, private SessionObserver {
 public:
  LocalCommandsForTest() {
    facts.config = &config;
    facts.workers = {&stats};
    facts.run_id = std::string(40, 'a');
    session.id = 7;
    session.authenticated = true;
    session.observer = this;
  }
  LocalCommandsForTest(const LocalCommandsForTest&) = delete;
  LocalCommandsForTest& operator=(const LocalCommandsForTest&) = delete;

  void RequirePassword(const std::string& password) {
    config.requirepass = password;
    session.authenticated = false;
  }

  // Does what a client connection does before it comes to a local command: looks it up, and checks
  // its arity and whether the client may run it.
  std::string AskWords(const std::vector<std::string>& words) {
    const cluster::CommandForTest owner(words);
    const resp::CommandView command = owner.view();
    const cluster::CommandSpec* spec = known.FindFor(command);
    if (spec == nullptr) return "-" + known.UnknownError(command) + "\r\n";
    if (!spec->ArityOk(command.size())) return "-" + cluster::ArityError(*spec) + "\r\n";
    if (!session.authenticated && !spec->Has(cluster::kFlagNoAuth)) {
      return "-NOAUTH Authentication required.\r\n";
    }
    std::string reply = "left over from before";
    after = commands.Run(*spec, command, &session, &reply);
    if (after == LocalCommands::After::kOperation) return Operate();
    return reply;
  }
  // "CLIENT SETNAME x"; '' stands for an empty word.
  std::string Ask(std::string_view line) { return AskWords(cluster::Words(line)); }

  // Runs an operation that asks the workers, or nodes that answer +PONG.
  std::string Operate() {
    const std::unique_ptr<Operation> operation = commands.TakeOperation();
    Round first;
    operation->Next({}, &first);
    if (first.finished()) return first.reply();
    const std::vector<std::string_view> answers(
        std::max<size_t>(first.questions().size(), 1),
        first.waits() ? std::string_view(answer) : node_reply);
    Round second;
    operation->Next(answers, &second);
    return second.reply();
  }

  std::string_view node_reply = "+PONG\r\n";
  KnownCommands known;
  Config config;
  Stats stats;
  ServerFacts facts;
  Session session;
  LocalCommands commands{facts, static_cast<LocalHost&>(*this)};
  LocalCommands::After after = LocalCommands::After::kContinue;
  bool resp3_known = true;
  std::string database_refused;
  int slots_served = 16384;
  WorkerClients* workers = nullptr;  // The only worker, where a test has one.
  std::string answer;                // Its last.
  ReplyMode reply_mode = ReplyMode::kOn;

 private:
  // LocalHost
  void AskWorkers(WorkerQuestion question, uint64_t) override {
    answer = workers == nullptr ? "" : question(*workers);
  }
  void AwaitTracking(int64_t, uint64_t) override {}
  bool Resp3Known() const override { return resp3_known; }
  std::string_view DatabaseRefused(uint16_t) const override { return database_refused; }
  int SlotsServed() const override { return slots_served; }
  int64_t NowNs() const override { return 1'000'000'000; }
  const KnownCommands& Commands() const override { return known; }
  Stats& WorkerStats() override { return stats; }
  // SessionObserver
  void OnSessionChanged() override {}
  void SetReplyMode(ReplyMode mode) override { reply_mode = mode; }
};

}  // namespace rcproxy::proxy
