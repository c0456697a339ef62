"""BullMQ, a job queue for Node.js, through rcproxy on a real cluster: every job is done, and done once."""

import os
import shutil
import subprocess
import tempfile
import unittest

from testing.integration_base import IntegrationTest

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bullmq")


def install():
    """A directory with the script and its packages. Skips the test when they cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise unittest.SkipTest("BullMQ: there is no node or no npm on this machine")
    directory = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
    for name in ("package.json", "jobs.js"):
        shutil.copy(os.path.join(SOURCES, name), directory)
    environment = {**os.environ, "npm_config_cache": os.path.join(directory, "cache")}
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
    try:
        result = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120)
        reason = (result.stdout + result.stderr)[-500:] if result.returncode else ""
    except subprocess.TimeoutExpired:
        reason = "npm install took longer than two minutes"
    if reason:
        raise unittest.SkipTest(f"BullMQ: its package cannot be had: {reason}")
    return directory


class BullMqTest(IntegrationTest):
    @classmethod
    def setUpClass(cls):
        cls.directory = install()
        super().setUpClass()

    def test_every_job_is_done_once(self):
        host, _, port = self.proxy.address.rpartition(":")
        result = subprocess.run(
            ["node", os.path.join(self.directory, "jobs.js"), host, port, "500"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        print(result.stdout, result.stderr)
        self.assertEqual(result.returncode, 0)
        self.assertIn("544 jobs done", result.stdout)


if __name__ == "__main__":
    unittest.main()
