"""Runs one load generator against one address and reads what it reports.

Every driver returns a dict with requests, requests_per_second and, where it knows them, p50_ms,
p99_ms and p999_ms; DriverError when the run cannot be used.
"""

import contextlib
import json
import os
import re
import subprocess
import tempfile
import time

from benchmarks.comparison import usage
from testing.resp_client import Disconnected, RespClient, RespError

# The longest argument a program may be given is 128 KiB; larger values go through a file.
_ARGUMENT_BYTES_MAX = 100_000


class DriverError(Exception):
    """The run cannot be used."""


def redis_benchmark_command(workload, port, requests):
    """The argument list, and the value to be given on stdin or None."""
    command = ["x" * workload.value_bytes if part == "@" else part for part in workload.command]
    argv = ["redis-benchmark", "-h", usage.HOST, "-p", str(port), "-c", str(workload.clients),
            "-P", str(workload.pipeline), "-n", str(requests), "-r", str(workload.keys),
            "--precision", "3"]
    if workload.command[-1] == "@" and workload.value_bytes > _ARGUMENT_BYTES_MAX:
        return argv + ["-x"] + command[:-1], command[-1].encode()
    return argv + command, None


def parse_redis_benchmark(text):
    """Reads its human-readable output: --csv leaves out p99.9."""
    text = text.replace("\r", "\n")
    throughput = re.search(r"throughput summary: ([\d.]+) requests per second", text)
    if not throughput:
        raise DriverError("redis-benchmark printed no summary: " + text.strip()[-200:])
    result = {"requests_per_second": float(throughput.group(1))}
    columns = re.search(r"avg\s+min\s+p50\s+p95\s+p99\s+max\s*\n\s*([\d. ]+)", text)
    if columns:
        numbers = [float(field) for field in columns.group(1).split()]
        result["p50_ms"], result["p99_ms"] = numbers[2], numbers[4]
    # "99.902% <= 1.231 milliseconds (cumulative count 9991)": the first line at or above 99.9 %.
    tail = [float(ms) for percent, ms in re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds \(cum", text)
            if float(percent) >= 99.9]
    result["p999_ms"] = tail[0] if tail else None
    return result


def run_redis_benchmark(workload, port, requests, cpu, timeout_s=120):
    argv, value = redis_benchmark_command(workload, port, requests)
    text = _run(argv, cpu, timeout_s, value)
    return {"requests": requests, **parse_redis_benchmark(text)}


def parse_load(text):
    """The JSON line of //benchmarks:load."""
    try:
        report = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise DriverError("load printed no report: " + text.strip()[-200:]) from None
    bad = {name: report[name] for name in ("wrong", "errors", "lost", "unanswered") if report[name]}
    if bad:
        raise DriverError(f"load saw {bad}; first error: {report['first_error']}")
    return {"requests": report["requests"], "requests_per_second": report["requests_per_second"],
            "p50_ms": report["p50_us"] / 1000, "p99_ms": report["p99_us"] / 1000,
            "p999_ms": report["p999_us"] / 1000}


def run_load(workload, port, seconds, cpu, load_binary):
    argv = [load_binary, f"--addr={usage.HOST}:{port}", f"--clients={workload.clients}",
            f"--seconds={seconds}", f"--value_bytes={workload.value_bytes}", "--json"]
    if workload.driver == "rate":
        argv += [f"--rate={workload.rate}", "--read_ratio=0.9"]
    else:
        argv += ["--requests_per_connection=1", "--read_ratio=1"]
    return parse_load(_run(argv, cpu, seconds + 60))


def _run(argv, cpu, timeout_s, stdin_value=None):
    if cpu is not None:
        argv = ["taskset", "-c", str(cpu), *argv]
    with tempfile.TemporaryFile() as stdin:
        stdin.write(stdin_value or b"")
        stdin.seek(0)
        try:
            done = subprocess.run(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise DriverError(f"{os.path.basename(argv[0])} did not end in {timeout_s} s") from None
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0 or "Error from server" in text:
        raise DriverError(f"exit status {done.returncode}: {text.strip()[-300:]}")
    return text


@contextlib.contextmanager
def connected(count, port):
    """So many clients, each of which has asked once."""
    clients = []
    try:
        for index in range(count):
            client = RespClient(f"{usage.HOST}:{port}", timeout_s=20)
            clients.append(client)
            reply = client.command("GET", f"v64:{index:012d}")
            if isinstance(reply, RespError):
                raise DriverError(f"client {index}: {reply}")
        yield
    except (OSError, Disconnected) as error:
        raise DriverError(f"client {len(clients)}: {error}") from None
    finally:
        for client in clients:
            client.close()


def measure_idle(workload, running):
    """Opens clients, uses each once, and says what a client that waits costs."""
    before = usage.sample(running.pid)
    with connected(workload.clients, running.port):
        time.sleep(0.5)
        used = usage.sample(running.pid)
        time.sleep(2)
        later = usage.sample(running.pid)
    idle_cpu = usage.cpu_seconds(used, later)[0] / 2
    return {"rss_mib": used.rss_kib / 1024, "start_rss_mib": before.rss_kib / 1024,
            "kib_per_client": (used.rss_kib - before.rss_kib) / workload.clients,
            "idle_cpu_percent": 100 * idle_cpu}
