// Doubly linked list whose links live in the elements: linking allocates nothing and an element can
// leave in O(1).
//
// Owner: whoever owns the list; elements are never owned by it. Thread: that of the worker.
// Invariants: 1. a link is in at most one list; 2. an element may be destroyed only when unlinked
// (checked).
#pragma once

#include <glog/logging.h>

#include <cstddef>

namespace rcproxy {

// Base for an element; `Tag` allows an element to be in several lists at a time.
template <class Tag>
class ListLink {
 public:
  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { DCHECK(!IsLinked()); }

  bool IsLinked() const { return next_ != nullptr; }

  void Unlink() {
    DCHECK(IsLinked());
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = nullptr;
  }

 private:
  template <class T, class U>
  friend class IntrusiveList;
  ListLink* next_ = nullptr;
  ListLink* prev_ = nullptr;
};

template <class T, class Tag>
class IntrusiveList {
 public:
  using Link = ListLink<Tag>;

  IntrusiveList() { root_.next_ = root_.prev_ = &root_; }
  ~IntrusiveList() {
    DCHECK(IsEmpty());
    root_.next_ = root_.prev_ = nullptr;
  }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool IsEmpty() const { return root_.next_ == &root_; }
  T* Front() const { return IsEmpty() ? nullptr : static_cast<T*>(root_.next_); }
  T* Back() const { return IsEmpty() ? nullptr : static_cast<T*>(root_.prev_); }

  // The element after `element`, or nullptr at the end. Requires: `element` is in this list.
  T* Next(const T* element) const {
    Link* next = static_cast<const Link*>(element)->next_;
    return next == &root_ ? nullptr : static_cast<T*>(next);
  }

  // The element before `element`, or nullptr at the front.
  T* Previous(const T* element) const {
    Link* previous = static_cast<const Link*>(element)->prev_;
    return previous == &root_ ? nullptr : static_cast<T*>(previous);
  }

  void PushBack(T* element) { Insert(element, root_.prev_); }
  void PushFront(T* element) { Insert(element, &root_); }
  void InsertAfter(T* element, T* position) { Insert(element, position); }

  T* PopFront() {
    T* front = Front();
    if (front != nullptr) static_cast<Link*>(front)->Unlink();
    return front;
  }

  // Has what PopFront gives after the next brought into the cache. For long lists of objects that
  // have been left alone for a while.
  void PrefetchSecond() const {
    Link* const link = root_.next_->next_;
    if (link == &root_) return;
    const char* const second = reinterpret_cast<const char*>(static_cast<T*>(link));
    __builtin_prefetch(second, /*for writing*/ 1);
    if constexpr (sizeof(T) > 64) __builtin_prefetch(second + 64, 1);
  }

  // Moves all elements of `other` to the end of this list, in order.
  void TakeAll(IntrusiveList* other) {
    while (T* element = other->PopFront()) PushBack(element);
  }

 private:
  void Insert(Link* link, Link* after) {
    DCHECK(!link->IsLinked());
    link->prev_ = after;
    link->next_ = after->next_;
    after->next_->prev_ = link;
    after->next_ = link;
  }

  Link root_;
};

}  // namespace rcproxy
