#include "proxy/descriptors.h"

#include <glog/logging.h>
#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace rcproxy::proxy {

namespace {

uint64_t Reserved(const Config& config) {
  return kReservedDescriptors * (1 + static_cast<uint64_t>(config.workers));
}

}  // namespace

absl::StatusOr<uint32_t> ClientsThatFit(const Config& config, uint64_t descriptors) {
  const uint64_t reserved = Reserved(config);
  if (descriptors <= reserved) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the limit of open files is ", descriptors, ", and --workers=", config.workers,
                     " need ", reserved, " beside those of clients: raise it (ulimit -n) to ",
                     reserved + config.maxclients));
  }
  return static_cast<uint32_t>(std::min<uint64_t>(config.maxclients, descriptors - reserved));
}

absl::Status FitToDescriptors(Config* config) {
  const rlim_t needed = config->maxclients + Reserved(*config);
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  const absl::StatusOr<uint32_t> clients = ClientsThatFit(*config, limit.rlim_cur);
  if (!clients.ok()) return clients.status();
  if (*clients < config->maxclients) {
    LOG(WARNING) << "the limit of open files is " << limit.rlim_cur << ": at most " << *clients
                 << " clients instead of --maxclients=" << config->maxclients
                 << "; raise it (ulimit -n) to at least " << needed;
  }
  config->maxclients = *clients;
  return absl::OkStatus();
}

}  // namespace rcproxy::proxy
