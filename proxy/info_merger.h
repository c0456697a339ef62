// Makes one INFO text of rcproxy's own and those of the nodes, as the rules say (info_rules.h).
//
// Pure; any thread. The texts may be anything: what is no field is passed over, what is no number
// counts as nothing, sums stay at the ends of their range. Time is about linear in the texts.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "proxy/info_rules.h"

namespace rcproxy::proxy {

// The sections `wanted`, in their order, each as far as `own` or some node has it. A section that
// is there twice in a text is one; a field that is there twice counts once.
std::string MergeInfo(std::string_view own, std::span<const std::string_view> nodes,
                      std::span<const InfoSection> wanted);

}  // namespace rcproxy::proxy
