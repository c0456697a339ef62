#include "resp/transcript.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "resp/command_view.h"
#include "resp/reply_scanner.h"

namespace rcproxy::resp {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken invariant: %s\n", what);
  std::abort();
}

// A copy of exactly its size, at an address of its own: reading behind the end or through an old
// pointer is seen by the address sanitizer.
class ExactCopy {
 public:
  explicit ExactCopy(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_;
};

std::string CommandLine(const RequestScanner& scanner) {
  const CommandView command = scanner.command();
  std::string line = "command " + std::to_string(scanner.consumed());
  std::string encoded = "*" + std::to_string(command.size()) + "\r\n";
  for (size_t i = 0; i < command.size(); ++i) {
    line.append(" [").append(command[i]).append("]");
    encoded.append(command.Encoded(i));
    const std::string header = "$" + std::to_string(command[i].size()) + "\r\n";
    Require(command.Encoded(i) == header + std::string(command[i]) + "\r\n", "argument encoding");
  }
  Require(encoded == command.bytes(), "the command is the sum of its arguments");
  return line + "\n";
}

// Feeds one scanner: the bytes of the current command grow until it is complete.
class RequestReader {
 public:
  explicit RequestReader(const RequestLimits& limits) : limits_(limits) {}

  void Feed(std::string_view piece) {
    pending_.append(piece);
    while (!failed_ && !pending_.empty() && ScanOne()) {
    }
  }
  std::string Finish() {
    if (!failed_) text_ += "rest " + std::to_string(pending_.size()) + "\n";
    return text_;
  }

 private:
  bool ScanOne() {
    const ExactCopy input(pending_);
    const ScanStatus status = scanner_.Scan(input.view(), limits_);
    if (status == ScanStatus::kNeedMore) {
      Require(scanner_.size_hint() > pending_.size(), "the hint says that more is needed");
      Require(scanner_.size_hint() >= hint_, "the hint grows");
      hint_ = scanner_.size_hint();
      MoveAround();
      return false;
    }
    if (status == ScanStatus::kError) {
      text_ += "error " + std::string(scanner_.error()) + "\n";
      failed_ = true;
      return false;
    }
    Require(scanner_.consumed() <= pending_.size(), "consumed lies inside the input");
    Require(scanner_.consumed() > 0, "a result takes bytes");
    if (status == ScanStatus::kCommand) {
      Require(hint_ <= scanner_.consumed(), "the hint never exceeds the size");
      text_ += CommandLine(scanner_);
    } else {
      text_ += "empty " + std::to_string(scanner_.consumed()) + "\n";
    }
    pending_.erase(0, scanner_.consumed());
    scanner_.Reset();
    hint_ = 0;
    return true;
  }

  // A partial command's state goes from the worker's scanner to the client's: it must survive that.
  void MoveAround() {
    RequestScanner other;
    other.Swap(scanner_);
    scanner_ = std::move(other);
  }

  const RequestLimits limits_;
  RequestScanner scanner_;
  std::string pending_;
  std::string text_;
  size_t hint_ = 0;
  bool failed_ = false;
};

// Calls `feed` with each piece.
template <typename Feed>
void ForEachPiece(std::string_view stream, const Cuts& cuts, Feed feed) {
  size_t begin = 0;
  for (size_t cut : cuts) {
    feed(stream.substr(begin, cut - begin));
    begin = cut;
  }
  feed(stream.substr(begin));
}

class ReplyReader {
 public:
  void Feed(std::string_view piece) {
    while (!failed_ && !piece.empty()) {
      const ExactCopy input(piece);
      const ReplyScanner::Result result = scanner_.Scan(input.view());
      Require(result.consumed > 0 && result.consumed <= piece.size(), "consumed is in range");
      offset_ += result.consumed;
      piece.remove_prefix(result.consumed);
      switch (result.status) {
        case ReplyScanner::Status::kNeedMore:
          Require(piece.empty(), "all is consumed when more is needed");
          Require(scanner_.InsideFrame(), "a frame has begun");
          break;
        case ReplyScanner::Status::kFrame:
          Require(!scanner_.InsideFrame(), "the frame is complete");
          text_ += std::string("frame ") + scanner_.type() + " " + std::to_string(offset_) + "\n";
          break;
        case ReplyScanner::Status::kError:
          Require(!scanner_.error().empty(), "an error has a reason");
          text_ += "error " + std::string(scanner_.error()) + " " + std::to_string(offset_) + "\n";
          failed_ = true;
          break;
      }
    }
  }
  std::string Finish() {
    if (!failed_) text_ += scanner_.InsideFrame() ? "inside\n" : "idle\n";
    return text_;
  }

 private:
  ReplyScanner scanner_;
  std::string text_;
  size_t offset_ = 0;
  bool failed_ = false;
};

}  // namespace

Cuts CutEverywhere(size_t size) {
  Cuts cuts;
  for (size_t i = 1; i < size; ++i) cuts.push_back(i);
  return cuts;
}

std::string RequestTranscript(std::string_view stream, const Cuts& cuts,
                              const RequestLimits& limits) {
  RequestReader reader(limits);
  ForEachPiece(stream, cuts, [&reader](std::string_view piece) { reader.Feed(piece); });
  return reader.Finish();
}

std::string ReplyTranscript(std::string_view stream, const Cuts& cuts) {
  ReplyReader reader;
  ForEachPiece(stream, cuts, [&reader](std::string_view piece) { reader.Feed(piece); });
  return reader.Finish();
}

}  // namespace rcproxy::resp
