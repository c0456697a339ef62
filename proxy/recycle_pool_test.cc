#include "proxy/recycle_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rcproxy::proxy {
namespace {

TEST(RecyclePoolTest, AnObjectComesBackAsItWasLeft) {
  RecyclePool<std::vector<int>> pool;
  std::vector<int>* object = pool.New();
  object->assign(1000, 1);
  object->clear();
  pool.Recycle(object);
  ASSERT_EQ(pool.New(), object);
  EXPECT_GE(object->capacity(), 1000u);
}

TEST(RecyclePoolTest, TheLastOneReturnedIsTheFirstToGo) {
  RecyclePool<std::string> pool;
  std::string* first = pool.New();
  std::string* second = pool.New();
  pool.Recycle(first);
  pool.Recycle(second);
  EXPECT_EQ(pool.New(), second);
  EXPECT_EQ(pool.New(), first);
}

TEST(RecyclePoolTest, CountsWhatIsOut) {
  RecyclePool<int> pool;
  EXPECT_EQ(pool.live(), 0u);
  int* first = pool.New();
  int* second = pool.New();
  EXPECT_NE(first, second);
  EXPECT_EQ(pool.live(), 2u);
  pool.Recycle(first);
  EXPECT_EQ(pool.live(), 1u);
  pool.Recycle(second);
  EXPECT_EQ(pool.live(), 0u);
}

}  // namespace
}  // namespace rcproxy::proxy
