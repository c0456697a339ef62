// The kernels that tests of the ring play, from the newest to the oldest that is supported.
#pragma once

#include <ostream>
#include <vector>

#include "uring/features.h"

namespace rcproxy::uring {

struct RingMask {
  const char* name;
  Features allowed;
};

inline std::ostream& operator<<(std::ostream& stream, const RingMask& mask) {
  return stream << mask.name;
}

inline std::vector<RingMask> RingMasks() {
  const auto without = [](auto... members) {
    Features features = Features::All();
    ((features.*members = false), ...);
    return features;
  };
  return {
      {"Everything", without()},
      {"CooperativeTaskWork", without(&Features::single_issuer_defer)},
      {"SingleReceives", without(&Features::multishot_receive)},
      {"WholeBuffers", without(&Features::incremental_buffers, &Features::min_wait)},
      {"Linux60", without(&Features::single_issuer_defer, &Features::incremental_buffers,
                          &Features::min_wait, &Features::send_zero_copy)},
      {"Linux519",
       without(&Features::single_issuer_defer, &Features::incremental_buffers, &Features::min_wait,
               &Features::send_zero_copy, &Features::multishot_receive)},
      {"SinglesOnly", without(&Features::single_issuer_defer, &Features::incremental_buffers,
                              &Features::multishot_receive, &Features::multishot_accept)},
  };
}

}  // namespace rcproxy::uring
