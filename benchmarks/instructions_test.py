"""The gate: no step of a request's way takes more instructions than recorded, and the gate itself works."""

import os
import unittest

from benchmarks import instructions

_HERE = os.path.dirname(os.path.abspath(__file__))
_ADVICE = f"""
If this was not intended, make it cheaper. If it is worth its price, run {instructions.RECORD}, commit
benchmarks/instructions.tsv with the change, and say in the commit message what the instructions buy."""


class GateTest(unittest.TestCase):
    def test_no_operation_takes_more_than_recorded(self):
        with open(os.path.join(_HERE, "instructions.tsv"), encoding="utf-8") as file:
            record = instructions.read_record(file.read())
        counted = instructions.count(os.path.join(_HERE, "instruction_probe"))
        table, problems = instructions.compare(record, counted)
        print("operation                 recorded       now  change", *table, sep="\n", flush=True)
        if problems:
            self.fail("\n".join(["instructions per operation:", *problems]) + _ADVICE)


class ComparisonTest(unittest.TestCase):
    RECORD = instructions.read_record("# operation\tinstructions\twhat\nslot\t100.0\ta slot\nscan\t50.0\ta scan\n")

    def problems(self, **counted):
        return instructions.compare(self.RECORD, counted)[1]

    def test_up_to_three_percent_more_pass(self):
        self.assertEqual(self.problems(slot=103.0, scan=51.4), [])

    def test_more_than_three_percent_more_fail_by_name(self):
        self.assertEqual(self.problems(slot=103.1, scan=50),
                         ["slot takes 103.1 instructions instead of 100.0 (+3.1%): a slot"])

    def test_a_gain_passes_and_is_shown(self):
        table, problems = instructions.compare(self.RECORD, {"slot": 60.0, "scan": 50.0})
        self.assertEqual(problems, [])
        self.assertIn("-40.0%", table[0])

    def test_an_operation_that_is_gone_fails(self):
        self.assertEqual(self.problems(slot=100), ["scan is recorded but not counted any more"])

    def test_an_operation_that_is_not_recorded_fails(self):
        self.assertEqual(self.problems(slot=100, scan=50, new=7), ["new is not recorded: 7.0 instructions"])

    def test_nothing_counted_fails(self):
        self.assertEqual(len(self.problems()), 2)

    def test_recording_keeps_comments_and_descriptions(self):
        text = instructions.write_record("# head\nslot\t100.0\ta slot\nold\t1.0\tgone\n", {"slot": 90.04, "new": 3})
        self.assertEqual(text, "# head\nslot\t90.0\ta slot\nnew\t3.0\tto be described\n")


class CountTest(unittest.TestCase):
    def test_the_difference_belongs_to_the_operations_between(self):
        output = "slot 50\nslot 150\nscan 50\nscan 150\n"
        profile = "totals: 510\ntotals: 1510\ntotals: 90\ntotals: 190\ntotals: 7\n"
        self.assertEqual(instructions.per_operation(output, profile), {"slot": 10.0, "scan": 1.0})

    def test_parts_that_do_not_fit_are_not_guessed(self):
        for output, profile in [("", ""), ("slot 50\nslot 150\n", "totals: 510\n"), ("slot 50\n", "totals: 510\n"),
                                ("slot 50\nscan 150\n", "totals: 1\ntotals: 2\n")]:  # fmt: skip
            with self.subTest(output=output), self.assertRaises(instructions.InstructionsError):
                instructions.per_operation(output, profile)

    def test_without_valgrind_it_says_what_to_install(self):
        with self.assertRaisesRegex(instructions.InstructionsError, "install_packages test"):
            instructions.count("instruction_probe", valgrind="valgrind-that-does-not-exist")


if __name__ == "__main__":
    unittest.main()
