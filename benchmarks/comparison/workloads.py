"""What is asked of each proxy.

Keys are vSIZE:000000000000 with 12 digits, which is what redis-benchmark makes of __rand_int__; all
keys of a size are written beforehand, so that reads find a value.
"""

import dataclasses

KEYS = {64: 50_000, 16_384: 1_000, 1 << 20: 24}  # Value size -> number of keys.
_RANDOM = "__rand_int__"


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    driver: str  # "redis-benchmark", "rate", "churn" or "idle".
    clients: int = 50
    pipeline: int = 1
    value_bytes: int = 64
    command: tuple = ()  # "@" stands for a value.
    rate: int = 0
    crowd: int = 0  # Further clients that have asked once and stay connected.

    @property
    def keys(self):
        return KEYS[self.value_bytes]


def _key(size):
    return f"v{size}:{_RANDOM}"


def _get(name, title, size=64, **options):
    return Workload(name, "GET " + title, "redis-benchmark", value_bytes=size,
                    command=("GET", _key(size)), **options)


def _set(name, title, size=64, **options):
    return Workload(name, "SET " + title, "redis-benchmark", value_bytes=size,
                    command=("SET", _key(size), "@"), **options)


_ALL = [
    _get("get_p1", "64 B, 50 clients, pipeline 1"),
    _set("set_p1", "64 B, 50 clients, pipeline 1"),
    _get("get_p16", "64 B, 50 clients, pipeline 16", pipeline=16),
    _set("set_p16", "64 B, 50 clients, pipeline 16", pipeline=16),
    _get("get_p64", "64 B, 50 clients, pipeline 64", pipeline=64),
    _set("set_p64", "64 B, 50 clients, pipeline 64", pipeline=64),
    _get("get_c500", "64 B, 500 clients, pipeline 1", clients=500),
    _set("set_c500", "64 B, 500 clients, pipeline 1", clients=500),
    _get("get_16k", "16 KiB, 50 clients", size=16_384),
    _set("set_16k", "16 KiB, 50 clients", size=16_384),
    _get("get_1m", "1 MiB, 8 clients", size=1 << 20, clients=8),
    _set("set_1m", "1 MiB, 8 clients", size=1 << 20, clients=8),
    Workload("mget10", "MGET of 10 keys over all slots, 50 clients", "redis-benchmark",
             command=("MGET", *[_key(64)] * 10)),
    Workload("mset10", "MSET of 10 keys over all slots, 50 clients", "redis-benchmark",
             command=("MSET", *[_key(64), "@"] * 10)),
    Workload("mget100", "MGET of 100 keys over all slots, 50 clients", "redis-benchmark",
             command=("MGET", *[_key(64)] * 100)),
    _get("crowd_10000", "64 B, 98 clients, and 9,800 that are connected and idle", clients=98, crowd=9_800),
    Workload("rate", "9 GET : 1 SET of 64 B at 15,000 requests/s, 50 clients, replies checked",
             "rate", rate=15_000),
    Workload("churn", "connect, one GET, close; 50 clients", "churn"),
    Workload("idle_1000", "1,000 idle clients, each after one GET", "idle", clients=1_000),
    Workload("idle_10000", "10,000 idle clients, each after one GET", "idle", clients=10_000),
]
WORKLOADS = {workload.name: workload for workload in _ALL}


def select(names):
    unknown = [name for name in names or [] if name not in WORKLOADS]
    if unknown:
        raise ValueError(f"unknown workload {unknown[0]}; known: {', '.join(WORKLOADS)}")
    return [WORKLOADS[name] for name in names] if names else list(_ALL)


def preload(servers, workloads):
    for size in sorted({workload.value_bytes for workload in workloads}):
        keys = (b"v%d:%012d" % (size, index) for index in range(KEYS[size]))
        servers.preload(keys, b"x" * size)
