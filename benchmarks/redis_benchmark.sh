#!/bin/bash
# Runs redis-benchmark against a proxy or a server: its default tests without pipelining, then SET and
# GET of a million keys with 200 clients and pipelines of 16.
#
#   benchmarks/redis_benchmark.sh [host:port [requests]]     127.0.0.1:7700, 200000 by default
#
# It writes keys named key:*, counter:*, mylist, myset, myzset, myhash and the like.
set -euo pipefail

address="${1:-127.0.0.1:7700}"
requests="${2:-200000}"
host="${address%:*}"
port="${address##*:}"

command -v redis-benchmark >/dev/null || {
  echo "redis_benchmark.sh: redis-benchmark is missing; Debian has it in redis-tools" >&2
  exit 1
}

# PING_INLINE and PING_MBULK are answered by a proxy itself. lrange and mset are in the defaults; the
# keys of one mset are the same, so they are in one slot.
echo "== default tests, 50 clients, no pipelining"
redis-benchmark -h "$host" -p "$port" -n "$requests" -q

echo "== set and get, 200 clients, pipelines of 16, a million keys"
redis-benchmark -h "$host" -p "$port" -n "$((requests * 5))" -q -t set,get -P 16 -c 200 -r 1000000
