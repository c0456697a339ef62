#include "uring/object_pool.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy {
namespace {

struct Counted {
  Counted(int* alive, std::string name) : alive_count(alive), text(std::move(name)) {
    ++*alive_count;
  }
  ~Counted() { --*alive_count; }
  int* alive_count;
  std::string text;
};

TEST(ObjectPoolTest, ConstructsAndDestroys) {
  int alive = 0;
  ObjectPool<Counted> pool;
  Counted* const object = pool.New(&alive, "a name that is too long for the small buffer");
  EXPECT_EQ(alive, 1);
  EXPECT_EQ(pool.live(), 1u);
  EXPECT_EQ(object->text, "a name that is too long for the small buffer");
  pool.Delete(object);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(pool.live(), 0u);
}

TEST(ObjectPoolTest, ReusesTheLastDeletedAndGrowsOnlyWhenFull) {
  int alive = 0;
  ObjectPool<Counted> pool;
  std::vector<Counted*> objects;
  for (int i = 0; i < 200; ++i) objects.push_back(pool.New(&alive, std::to_string(i)));
  EXPECT_EQ(std::set<Counted*>(objects.begin(), objects.end()).size(), 200u);
  const size_t capacity = pool.capacity_bytes();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(objects[i]->text, std::to_string(i));
  Counted* const last = objects.back();
  for (Counted* object : objects) pool.Delete(object);
  EXPECT_EQ(pool.New(&alive, "again"), last);
  EXPECT_EQ(pool.capacity_bytes(), capacity);
  pool.Delete(last);
  EXPECT_EQ(alive, 0);
}

TEST(ObjectPoolTest, RespectsAlignment) {
  struct alignas(64) Wide {
    char byte = 0;
  };
  ObjectPool<Wide> pool;
  Wide* const first = pool.New();
  Wide* const second = pool.New();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(second) % 64, 0u);
  pool.Delete(first);
  pool.Delete(second);
}

TEST(ObjectPoolDeathTest, AnObjectMustNotOutliveItsPool) {
  EXPECT_DEATH(
      {
        ObjectPool<int> pool;
        pool.New(1);
      },
      "live_");
}

}  // namespace
}  // namespace rcproxy
