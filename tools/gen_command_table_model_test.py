"""The generator joins its files, and refuses what they leave open."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

_ROOT = pathlib.Path(os.getcwd())
sys.path.insert(0, str(_ROOT / "tools"))

import gen_command_table_model as model  # noqa: E402  (the path has to be set before)


class ModelTest(unittest.TestCase):
    def setUp(self):
        self.data = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        self.addCleanup(shutil.rmtree, self.data)
        for file in (_ROOT / "cluster" / "data").iterdir():
            shutil.copyfile(file, self.data / file.name)

    def edit(self, name, old, new):
        text = (self.data / name).read_text()
        self.assertIn(old, text)
        (self.data / name).write_text(text.replace(old, new))

    def append(self, name, line):
        with open(self.data / name, "a") as file:
            file.write(line + "\n")

    def refused(self, pattern):
        with self.assertRaisesRegex(model.DataError, pattern):
            model.load(self.data)

    def command(self, name):
        container, _, subcommand = name.partition("|")
        found = next(command for command in model.load(self.data) if command.name == container)
        return next(s for s in found.subcommands if s.name == name) if subcommand else found

    def test_joins_server_row_and_override(self):
        self.assertEqual(self.command("get").flags, {"Read", "ReplicaOk", "Idempotent"})
        self.assertEqual(self.command("zrank").arity, -3)
        self.assertEqual(model.keys_text(self.command("sort").keys), "1+movable:sort")
        self.assertEqual(self.command("xreadgroup").keys[0].index, 4)  # Only the server says that.

    def test_makes_containers_that_have_no_row(self):
        self.assertEqual(self.command("ft.config").route, "kContainer")

    def test_a_line_for_a_command_decides_before_one_for_its_route(self):
        self.append("not_yet.tsv", "blpop\tspecial advice")
        self.append("not_yet.tsv", "route:kBlocking\tgeneral advice")
        self.assertEqual(self.command("blpop").note, "special advice")
        self.assertEqual(self.command("brpop").note, "general advice")
        self.assertIn("NotYet", self.command("brpop").flags)

    def test_refuses_a_server_command_without_a_row(self):
        self.edit("commands.tsv", "\nGET\tstring", "\nGOT\tstring")
        self.refused("no row for get")

    def test_refuses_a_difference_without_an_override(self):
        self.edit("overrides.tsv", "zrank\tarity", "zrank\tmerge")
        self.refused("zrank: arity 3 or -3")

    def test_refuses_keys_that_differ(self):
        self.edit("commands.tsv", "\nGET\tstring\t1.0.0\t2\t1\t", "\nGET\tstring\t1.0.0\t2\t1..-1\t")
        self.refused("get: keys 1 or 1..-1")

    def test_refuses_rows_that_meet_no_command(self):
        self.append("notes.tsv", "nosuch\ttext")
        self.refused("notes.tsv: unknown command nosuch")

    def test_refuses_an_override_without_a_reason(self):
        self.append("overrides.tsv", "get\troute\tkLocal\t")
        self.refused("no reason: get")

    def test_refuses_a_fan_out_without_a_merge(self):
        self.append("overrides.tsv", "get\troute\tkAllPrimaries\tfor this test")
        self.refused("get: route kAllPrimaries with merge kNone")

    def test_refuses_a_refusal_without_advice(self):
        self.append("overrides.tsv", "get\troute\tkRefuse\tfor this test")
        self.refused("get: a refused command needs a note")

    def test_refuses_an_unknown_key_notation(self):
        self.edit("commands.tsv", "\nBF.ADD\tmodule:bloom\tmod\t3\t1\t", "\nBF.ADD\tmodule:bloom\tmod\t3\t?\t")
        self.refused("unknown key notation")

    def test_refuses_a_command_twice(self):
        row = next(line for line in (self.data / "commands.tsv").read_text().splitlines()
                   if line.startswith("BF.ADD\t"))  # fmt: skip
        self.append("commands.tsv", row)
        self.refused("bf.add twice")


if __name__ == "__main__":
    unittest.main()
