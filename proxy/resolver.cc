#include "proxy/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <string>
#include <utility>

namespace rcproxy::proxy {

bool ResolveLiteral(const cluster::NodeAddress& address, SocketAddress* result) {
  *result = SocketAddress();
  auto* v4 = reinterpret_cast<sockaddr_in*>(&result->storage);
  if (inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    result->length = sizeof(*v4);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&result->storage);
  if (inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    result->length = sizeof(*v6);
    return true;
  }
  return false;
}

namespace {

SocketAddress LookUp(const cluster::NodeAddress& address) {
  SocketAddress result;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  if (getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found) != 0) return result;
  std::memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  result.length = found->ai_addrlen;
  freeaddrinfo(found);
  return result;
}

}  // namespace

void Resolver::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    questions_.clear();
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Resolver::Start(const cluster::NodeAddress& address, Resolved done) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    questions_.push_back({address, std::move(done)});
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  }
  wake_.notify_one();
}

void Resolver::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !questions_.empty(); });
    if (stopping_) return;
    Question question = std::move(questions_.front());
    questions_.pop_front();
    lock.unlock();
    question.done(LookUp(question.address));
    lock.lock();
  }
}

}  // namespace rcproxy::proxy
