"""What several rounds become in a table."""

import unittest

from benchmarks.comparison import summary


class SpreadTest(unittest.TestCase):
    def test_median_and_range(self):
        self.assertEqual(summary.spread([3.0, 1.0, 2.0]), summary.Spread(2.0, 1.0, 3.0))
        self.assertEqual(summary.spread([1.0, 4.0]).median, 2.5)

    def test_rounds_without_a_value_do_not_count(self):
        self.assertEqual(summary.spread([None, 5.0]), summary.Spread(5.0, 5.0, 5.0))
        self.assertIsNone(summary.spread([None]))
        self.assertIsNone(summary.spread([]))

    def test_cells(self):
        self.assertEqual(summary.cell([1.234, 1.111, 1.9]), "1.23 (1.11-1.90)")
        self.assertEqual(summary.cell([12345.6], 0), "12,346")
        self.assertEqual(summary.cell([None]), "")

    def test_numbers_have_three_significant_digits(self):
        self.assertEqual(summary.number(1.005), "1.00")
        self.assertEqual(summary.number(12.34), "12.3")
        self.assertEqual(summary.number(123.4), "123")

    def test_ratio_of_medians(self):
        self.assertEqual(summary.ratio([2.0, 4.0, 3.0], [1.0, 2.0, 1.5]), "2.00")
        self.assertEqual(summary.ratio([], [1.0]), "")
        self.assertEqual(summary.ratio([1.0], [0.0]), "")


class RotationTest(unittest.TestCase):
    def test_every_round_starts_elsewhere(self):
        rounds = [summary.rotation(["a", "b", "c"], index) for index in range(4)]
        self.assertEqual([order[0] for order in rounds], ["a", "b", "c", "a"])
        self.assertTrue(all(sorted(order) == ["a", "b", "c"] for order in rounds))

    def test_nothing_to_rotate(self):
        self.assertEqual(summary.rotation([], 3), [])


class TableTest(unittest.TestCase):
    def test_markdown(self):
        self.assertEqual(summary.markdown_table(["proxy", "n"], [["x", "1"]]),
                         "| proxy | n |\n| --- | ---: |\n| x | 1 |")


if __name__ == "__main__":
    unittest.main()
