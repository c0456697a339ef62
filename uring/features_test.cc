#include "uring/features.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace rcproxy::uring {
namespace {

TEST(FeaturesTest, TheProbeFindsWhatIsRequired) {
  const absl::StatusOr<Features> features = ProbeFeatures();
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_TRUE(features->provided_rings);
  EXPECT_TRUE(features->multishot_accept);
  EXPECT_TRUE(features->single_issuer_defer || features->cooperative);
  RecordProperty("features", features->ToString());
}

TEST(FeaturesTest, TheProbeIsRepeatable) {
  const absl::StatusOr<Features> first = ProbeFeatures();
  const absl::StatusOr<Features> second = ProbeFeatures();
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

TEST(FeaturesTest, MasksAndText) {
  Features mask = Features::All();
  mask.min_wait = false;
  const Features both = Features::All().Intersect(mask);
  EXPECT_EQ(both, mask);
  EXPECT_TRUE(both.bundles);
  EXPECT_NE(both.ToString().find("no:min_wait"), std::string::npos);
  EXPECT_EQ(Features::All().ToString().find("no:"), std::string::npos);
  EXPECT_EQ(Features().Intersect(Features::All()), Features());
}

// Lets io_uring_setup fail with `error` for this thread, as a container's seccomp profile does.
bool ForbidIoUring(int error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = 4, .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

void ExpectRefusal(int error, const char* hint) {
  std::thread thread([error, hint] {  // The filter binds this thread only.
    if (!ForbidIoUring(error)) return;
    const absl::StatusOr<Features> features = ProbeFeatures();
    ASSERT_FALSE(features.ok());
    EXPECT_NE(features.status().message().find(hint), absl::string_view::npos) << features.status();
  });
  thread.join();
}

TEST(FeaturesTest, SaysWhatForbidsIoUring) { ExpectRefusal(EPERM, "kernel.io_uring_disabled"); }

TEST(FeaturesTest, SaysWhatHidesIoUring) { ExpectRefusal(ENOSYS, "seccomp"); }

}  // namespace
}  // namespace rcproxy::uring
