// Free list of objects of one type: after warm-up, New and Delete touch no allocator; the last one
// deleted is reused first.
//
// Owner: Worker. Thread: one. Invariant: live() objects have been created and not deleted; the
// destructor requires 0.
#pragma once

#include <glog/logging.h>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace rcproxy {

template <class T>
class ObjectPool {
 public:
  ObjectPool() = default;
  ~ObjectPool() { CHECK_EQ(live_, 0u); }
  ObjectPool(const ObjectPool&) = delete;
  ObjectPool& operator=(const ObjectPool&) = delete;

  template <class... Args>
  T* New(Args&&... args) {
    if (free_ == nullptr) Grow();
    Node* node = std::exchange(free_, free_->next);
    if (free_ != nullptr) {  // The next call reads it at once.
      __builtin_prefetch(free_, /*for writing*/ 1);
      if constexpr (sizeof(T) > 64) __builtin_prefetch(reinterpret_cast<char*>(free_) + 64, 1);
    }
    ++live_;
    return new (node->storage) T(std::forward<Args>(args)...);
  }
  void Delete(T* object) {
    object->~T();
    Node* node = reinterpret_cast<Node*>(object);
    node->next = std::exchange(free_, node);
    DCHECK_GT(live_, 0u);
    --live_;
  }
  size_t live() const { return live_; }
  size_t capacity_bytes() const { return slabs_.size() * kSlab * sizeof(Node); }

 private:
  static constexpr size_t kSlab = 64;
  union Node {
    Node* next;
    alignas(T) char storage[sizeof(T)];
  };
  void Grow() {
    slabs_.push_back(std::make_unique<Node[]>(kSlab));
    for (size_t i = kSlab; i-- > 0;) {
      slabs_.back()[i].next = std::exchange(free_, &slabs_.back()[i]);
    }
  }

  Node* free_ = nullptr;
  size_t live_ = 0;
  std::vector<std::unique_ptr<Node[]>> slabs_;
};

}  // namespace rcproxy
