"""One timed run of one workload against one freshly started proxy."""

import dataclasses
import time

from benchmarks.comparison import competitors, drivers, system_calls, usage
from benchmarks.comparison.servers import wait_until_idle

_WARM_UP_SECONDS = 0.5


@dataclasses.dataclass
class Setting:
    """What is the same for all runs."""

    servers: object
    directory: str
    seconds: float
    workers: int
    proxy_cpu: int
    load_cpu: int
    load_binary: str
    calls_tool: str


def run(workload, competitor, setting):
    """A dict of results; {"error": text} when the proxy cannot do the workload."""
    servers = setting.servers
    running = None
    try:
        running = competitors.Running(competitor, servers.ports(competitor.backend),
                                      setting.directory, setting.workers, setting.proxy_cpu)
        running.wait_until_ready()
        if workload.driver == "idle":
            return drivers.measure_idle(workload, running)
        with drivers.connected(workload.crowd, running.port):
            load = _calibrate(workload, running, setting)
            wait_until_idle(lambda: servers.sample(competitor.backend))
            return _timed(load, running, servers)
    except (drivers.DriverError, RuntimeError, OSError) as error:
        return {"error": str(error)[:300]}
    finally:
        if running:
            running.stop()


def count_calls(workload, competitor, setting):
    """System calls of the proxy per request, in a run of its own; None when they cannot be had."""
    if not setting.calls_tool or competitor.is_direct or workload.driver != "redis-benchmark":
        return None
    running = competitors.Running(competitor, setting.servers.ports(competitor.backend),
                                  setting.directory, setting.workers, setting.proxy_cpu)
    try:
        running.wait_until_ready()
        requests = max(workload.clients * workload.pipeline * 4,
                       200 if workload.value_bytes > 1 << 19 else 20_000)
        with system_calls.Count(running.pid, setting.calls_tool, setting.directory) as count:
            drivers.run_redis_benchmark(workload, running.port, requests, setting.load_cpu)
        return count.calls / requests if count.calls is not None else None
    except (drivers.DriverError, RuntimeError, OSError):
        return None
    finally:
        running.stop()


def _calibrate(workload, running, setting):
    """Warms the proxy up, and returns what runs the load for about setting.seconds."""
    port, cpu = running.port, setting.load_cpu
    if workload.driver != "redis-benchmark":
        drivers.run_load(workload, port, _WARM_UP_SECONDS, cpu, setting.load_binary)
        return lambda: drivers.run_load(workload, port, setting.seconds, cpu, setting.load_binary)
    batch = workload.clients * workload.pipeline
    first = drivers.run_redis_benchmark(workload, port, max(2 * batch, 50), cpu)
    guess = int(max(2 * batch, first["requests_per_second"] * _WARM_UP_SECONDS))
    warm = drivers.run_redis_benchmark(workload, port, guess, cpu)
    requests = int(max(2 * batch, warm["requests_per_second"] * setting.seconds))
    return lambda: drivers.run_redis_benchmark(workload, port, requests, cpu)


def _timed(load, running, servers):
    backend = running.backend
    counters_before = servers.counters(backend)
    nodes_before = servers.sample(backend)
    proxy_before = usage.sample(running.pid) if running.pid else None
    busy_before, generator_before = usage.machine_busy_seconds(), usage.child_cpu_seconds()
    start = time.monotonic()
    result = load()
    seconds = time.monotonic() - start
    generator = usage.child_cpu_seconds() - generator_before
    busy = usage.machine_busy_seconds() - busy_before
    proxy_after = usage.sample(running.pid) if running.pid else None
    nodes = usage.cpu_seconds(nodes_before, servers.sample(backend))[0]

    per_request = 1e6 / result["requests"]
    proxy = 0.0
    if running.pid:
        proxy, user, system = usage.cpu_seconds(proxy_before, proxy_after)
        result.update(proxy_us=proxy * per_request, proxy_user_us=user * per_request,
                      proxy_system_us=system * per_request, proxy_busy=proxy / seconds,
                      rss_mib=proxy_after.rss_kib / 1024)
    result["nodes_us"] = nodes * per_request
    # What neither the proxy, the nodes nor the load generator used, as a share of one CPU.
    result["other_busy"] = max(0.0, (busy - proxy - nodes - generator) / seconds)
    result.update(_checked(counters_before, servers.counters(backend)))
    return result


def _checked(before, after):
    """Error replies of the nodes make a run useless; so do reads that miss."""
    used = {name: after[name] - before[name] for name in after}
    if used["total_error_replies"]:
        raise drivers.DriverError(f"the nodes answered {used['total_error_replies']} errors")
    looked = used["keyspace_hits"] + used["keyspace_misses"]
    return {"hit_ratio": used["keyspace_hits"] / looked if looked else None}
