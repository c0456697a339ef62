"""docs/LIMITS.md says what the source says."""

import pathlib
import subprocess
import sys
import unittest



class LimitsPageTest(unittest.TestCase):
    def test_page_is_up_to_date(self):
        run = subprocess.run([sys.executable, "tools/gen_limits.py", "--check"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_every_flag_and_counter_is_on_the_page(self):
        page = pathlib.Path("docs/LIMITS.md").read_text()
        for name in ("`--maxclients`", "`--request_timeout`", "`redirects_moved`", "`clients_connected`"):
            self.assertIn(name, page)


if __name__ == "__main__":
    unittest.main()
