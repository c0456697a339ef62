// Free list of objects that stay constructed, so that the arrays inside them keep their capacity:
// after warm-up, neither the object nor what it holds is allocated again.
//
// Owner: Worker. Thread: one. Invariant: an object handed out is not on the free list; the user
// leaves it in a state fit for the next one.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace rcproxy::proxy {

template <class T>
class RecyclePool {
 public:
  T* New() {
    if (free_.empty()) {
      all_.push_back(std::make_unique<T>());
      free_.reserve(all_.size());
      return all_.back().get();
    }
    T* object = free_.back();
    free_.pop_back();
    return object;
  }
  void Recycle(T* object) { free_.push_back(object); }
  size_t live() const { return all_.size() - free_.size(); }

 private:
  std::vector<std::unique_ptr<T>> all_;
  std::vector<T*> free_;
};

}  // namespace rcproxy::proxy
