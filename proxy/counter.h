// A number that one thread counts and any thread may read: plain loads and stores without a locked
// instruction. A reader may be a few increments behind but never sees a torn value.
#pragma once

#include <atomic>
#include <cstdint>

namespace rcproxy::proxy {

class Counter {
 public:
  void Add(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  void Sub(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace rcproxy::proxy
