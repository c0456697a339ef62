"""One redis-server without a cluster, on a free port of loopback: what rcproxy is compared with."""

import itertools
import time

from testing import processes
from testing.resp_client import Disconnected, RespClient


class StandaloneServer:
    def __init__(self):
        for _ in range(3):  # Somebody may take the port first.
            port = processes.free_port()
            self.address = f"127.0.0.1:{port}"
            options = {
                "--save": "",
                "--bind": "127.0.0.1",
                "--loglevel": "warning",
                # rcproxy keeps no slow log, and on a busy machine any command may be slow.
                "--slowlog-log-slower-than": -1,
            }
            self._process = processes.spawn(["redis-server", "--port", port, *itertools.chain(*options.items())])
            if self._is_ready():
                return
            self.stop()
        raise RuntimeError("redis-server does not answer")

    def stop(self):
        processes.end(self._process)

    def _is_ready(self):
        for _ in range(200):
            try:
                with RespClient(self.address) as client:
                    return client.command("PING") == "PONG"
            except (OSError, Disconnected):
                time.sleep(0.02)
        return False
