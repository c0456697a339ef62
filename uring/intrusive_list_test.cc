#include "uring/intrusive_list.h"

#include <deque>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy {
namespace {

struct RedTag {};
struct BlueTag {};
struct Item : ListLink<RedTag>, ListLink<BlueTag> {
  explicit Item(int number = 0) : value(number) {}
  int value;
};
using Red = IntrusiveList<Item, RedTag>;
using Blue = IntrusiveList<Item, BlueTag>;

std::vector<int> Values(const Red& list) {
  std::vector<int> values;
  for (const Item* item = list.Front(); item != nullptr; item = list.Next(item)) {
    values.push_back(item->value);
  }
  return values;
}

void Drain(Red& list) {
  while (list.PopFront() != nullptr) {
  }
}

TEST(IntrusiveListTest, IsEmptyAtFirst) {
  Red list;
  EXPECT_TRUE(list.IsEmpty());
  EXPECT_EQ(list.Front(), nullptr);
  EXPECT_EQ(list.Back(), nullptr);
  EXPECT_EQ(list.PopFront(), nullptr);
}

TEST(IntrusiveListTest, KeepsOrderOfInsertion) {
  Item one(1), two(2), three(3), four(4);
  Red list;
  list.PushBack(&two);
  list.PushBack(&four);
  list.PushFront(&one);
  list.InsertAfter(&three, &two);
  EXPECT_EQ(Values(list), (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(list.Front(), &one);
  EXPECT_EQ(list.Back(), &four);
  EXPECT_EQ(list.PopFront(), &one);
  EXPECT_FALSE(static_cast<ListLink<RedTag>&>(one).IsLinked());
  Drain(list);
}

TEST(IntrusiveListTest, AnElementLeavesFromTheMiddle) {
  Item one(1), two(2), three(3);
  Red list;
  for (Item* item : {&one, &two, &three}) list.PushBack(item);
  static_cast<ListLink<RedTag>&>(two).Unlink();
  EXPECT_EQ(Values(list), (std::vector<int>{1, 3}));
  list.PushBack(&two);
  EXPECT_EQ(Values(list), (std::vector<int>{1, 3, 2}));
  Drain(list);
}

TEST(IntrusiveListTest, AnElementMayBeInListsOfDifferentTags) {
  Item item(7);
  Red red;
  Blue blue;
  red.PushBack(&item);
  blue.PushBack(&item);
  EXPECT_EQ(red.PopFront(), &item);
  EXPECT_EQ(blue.Front(), &item);
  EXPECT_EQ(blue.PopFront(), &item);
}

TEST(IntrusiveListTest, TakeAllAppendsInOrder) {
  Item one(1), two(2), three(3);
  Red first, second;
  first.PushBack(&one);
  second.PushBack(&two);
  second.PushBack(&three);
  first.TakeAll(&second);
  EXPECT_TRUE(second.IsEmpty());
  EXPECT_EQ(Values(first), (std::vector<int>{1, 2, 3}));
  Drain(first);
}

TEST(IntrusiveListTest, BehavesLikeADeque) {
  const uint32_t seed = 77;
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<Item> items(50);
  for (int i = 0; i < 50; ++i) items[i].value = i;
  Red list;
  std::deque<int> model;
  for (int step = 0; step < 5000; ++step) {
    Item& item = items[random() % items.size()];
    auto& link = static_cast<ListLink<RedTag>&>(item);
    if (link.IsLinked()) {
      link.Unlink();
      std::erase(model, item.value);
    } else if (random() % 2 == 0) {
      list.PushBack(&item);
      model.push_back(item.value);
    } else {
      list.PushFront(&item);
      model.push_front(item.value);
    }
    ASSERT_EQ(Values(list), std::vector<int>(model.begin(), model.end()));
  }
  Drain(list);
}

}  // namespace
}  // namespace rcproxy
