"""The rcproxy under test, as a process: started on a free port, ended by SIGTERM, its output kept.

The binary is the one that Bazel built in the same configuration as the test (proxy/rcproxy among the runfiles),
or $RCPROXY_BINARY.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from testing import processes
from testing.resp_client import Disconnected, RespClient

# What the sanitizers print, and what glog prints for a failed CHECK.
_ALARM = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|runtime error:|Check failed|\*\*\* SIG"
)


def binary():
    for candidate in (os.environ.get("RCPROXY_BINARY"), "proxy/rcproxy", "bazel-bin/proxy/rcproxy"):
        if candidate and os.path.exists(candidate):
            return os.path.abspath(candidate)
    raise FileNotFoundError("there is no rcproxy binary; build //proxy:rcproxy or set RCPROXY_BINARY")


class RcproxyError(Exception):
    """The process did not start, did not end as it should, or printed an alarm."""


class RcproxyProcess:
    """One run of the binary. `flags` are a dict, name to value; addr is chosen unless it is given."""

    def __init__(self, startup_nodes=(), flags=None, extra_arguments=()):
        self.directory = tempfile.mkdtemp(prefix="rcproxy-test-")
        self.address = None
        self.process = None
        self._flags = dict(flags or {})
        if startup_nodes:
            self._flags.setdefault("startup_nodes", ",".join(startup_nodes))
        self._flags.setdefault("log_dir", self.directory)
        self._extra_arguments = list(extra_arguments)
        self._output_path = os.path.join(self.directory, "output")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        try:
            # A test that failed already says more than what its end may add.
            self.stop() if kind is None else self.end()
        finally:
            self.remove()

    def launch(self):
        """Starts the process without waiting for it to be ready."""
        if "addr" in self._flags:
            self.address = self._flags["addr"].split(",")[0]
        else:
            self.address = f"127.0.0.1:{processes.free_port()}"
        flags = {"addr": self.address, **self._flags}
        arguments = [f"--{name}={value}" for name, value in flags.items()] + self._extra_arguments
        with open(self._output_path, "wb") as output:
            self.process = processes.spawn([binary()] + arguments, stdout=output, stderr=subprocess.STDOUT)

    def start(self, timeout_s=60):
        """Starts it and waits until it answers PING; another port if somebody took ours meanwhile."""
        for _ in range(3):
            self.launch()
            if self.wait_until_ready(timeout_s):
                return self
            if "addr" in self._flags or "in use" not in self.output():
                break
        self.end()
        raise RcproxyError(f"rcproxy is not ready (exit code {self.process.poll()}):\n{self.output()[-4000:]}")

    def wait_until_ready(self, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with self.client(timeout_s=2) as client:
                    if client.command("PING") == "PONG":
                        return True
            except (OSError, Disconnected):
                pass
            time.sleep(0.02)
        return False

    def client(self, timeout_s=30):
        password = self._flags.get("requirepass")
        return RespClient(self.address, timeout_s, login=("default", password) if password else None)

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process.poll() is None

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def output(self):
        """What it printed, and its log files, in no particular order."""
        text = ""
        for name in sorted(os.listdir(self.directory)):
            path = os.path.join(self.directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, errors="replace") as part:
                    text += part.read()
        return text

    def stop(self, timeout_s=30):
        """SIGTERM; raises unless it ends with code 0 and nothing alarming was printed."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.end()
            raise RcproxyError(f"rcproxy did not end within {timeout_s} s of SIGTERM:\n{self.output()[-4000:]}")
        self.check_output()
        if code != 0:
            raise RcproxyError(f"rcproxy ended with code {code}:\n{self.output()[-4000:]}")

    def wait_for_exit(self, timeout_s=30):
        """The exit code of a process that is expected to end by itself."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.end()
            raise RcproxyError(f"rcproxy still runs after {timeout_s} s:\n{self.output()[-4000:]}")

    def check_output(self):
        output = self.output()
        alarm = _ALARM.search(output)
        if alarm:
            raise RcproxyError(f"rcproxy printed an alarm:\n{output[max(0, alarm.start() - 500):][:6000]}")

    def end(self):
        """Ends it in any case, without judging."""
        if self.process is not None:
            processes.end(self.process, grace_s=5)

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)
