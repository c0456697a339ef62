// One Worker of the proxy as the system under test of scenarios and simulations.
#pragma once

#include <memory>

#include "testing/sim_subject.h"

namespace rcproxy::sim {

// A SubjectFactory. Settings are the numbers and words of proxy::Config by name; counters are those
// of proxy::Stats.
std::unique_ptr<SystemUnderTest> MakeProxy(SimIo& io, const SubjectOptions& options);

}  // namespace rcproxy::sim
