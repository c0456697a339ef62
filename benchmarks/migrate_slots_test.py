"""What migrate_slots.py understands of a cluster's description, and whom it refuses."""

import unittest

from benchmarks import migrate_slots


class ParsingTest(unittest.TestCase):
    def test_primaries_of_cluster_nodes(self):
        line = "abc 10.0.0.1:7001@17001,host master - 0 0 1 connected 0-5 7"
        self.assertEqual(migrate_slots.parse_node_line(line, "x"), ("abc", "10.0.0.1", 7001))
        line = "abc :7001@17001 myself,master - 0 0 1 connected"
        self.assertEqual(migrate_slots.parse_node_line(line, "x"), ("abc", "x", 7001))
        line = "abc ::1:7001@17001 master - 0 0 1 connected"
        self.assertEqual(migrate_slots.parse_node_line(line, "x"), ("abc", "::1", 7001))

    def test_others_are_left_out(self):
        for flags in ("slave", "master,fail", "master,fail?", "handshake", "master,noaddr"):
            line = f"abc 10.0.0.1:7001@17001 {flags} - 0 0 1 connected"
            self.assertIsNone(migrate_slots.parse_node_line(line, "x"))

    def test_slots(self):
        self.assertEqual(migrate_slots.parse_slots(["0-3", "9", "[9->-abc]"]), [0, 1, 2, 3, 9])
        self.assertEqual(migrate_slots.parse_slots([]), [])


class LoopbackTest(unittest.TestCase):
    def test_only_loopback_needs_no_confirmation(self):
        for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"):
            self.assertTrue(migrate_slots.is_loopback(host), host)
        for host in ("10.0.0.1", "example.org", "", "0.0.0.0"):
            self.assertFalse(migrate_slots.is_loopback(host), host)


if __name__ == "__main__":
    unittest.main()
