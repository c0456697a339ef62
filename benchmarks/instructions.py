"""Instructions per operation of instruction_probe, counted by callgrind, and how they compare with those recorded."""

import os
import re
import shutil
import subprocess
import tempfile

TOLERANCE = 0.03
RECORD = "benchmarks/record_instructions"

# Which copy of memcpy and its like the C library takes depends on the machine. With these it is the same one
# on every x86-64, so that the numbers are.
_ONE_C_LIBRARY = ("glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,"
                  "-SSSE3,-SSE4_1,-SSE4_2,-Fast_Unaligned_Copy")


class InstructionsError(Exception):
    """Nothing could be counted; the text says why and what to do."""


def count(probe, valgrind="valgrind"):
    """Runs the probe. Returns {operation: instructions per operation}, in the probe's order."""
    valgrind_path = shutil.which(valgrind)
    if valgrind_path is None:
        raise InstructionsError(f"{valgrind} is missing, and without it no instructions are counted: "
                                "run tools/install_packages test")
    with tempfile.TemporaryDirectory() as folder:
        profile = os.path.join(folder, "profile")
        command = [valgrind_path, "--tool=callgrind", f"--callgrind-out-file={profile}", "--combine-dumps=yes",
                   "--zero-before=MeasurementBegins", "--dump-before=MeasurementEnds", probe]
        ran = subprocess.run(command, env={"GLIBC_TUNABLES": _ONE_C_LIBRARY}, capture_output=True, text=True,
                             timeout=50, check=False)  # fmt: skip
        if ran.returncode != 0:
            raise InstructionsError(f"{' '.join(command)}: code {ran.returncode}\n{ran.stderr}")
        with open(profile, encoding="utf-8", errors="replace") as file:
            return per_operation(ran.stdout, file.read())


def per_operation(output, profile):
    """`output`: a line "NAME n" for each measurement. `profile`: callgrind's parts, one for each, and a rest."""
    totals = [int(number) for number in re.findall(r"^totals: (\d+)$", profile, re.MULTILINE)]
    lines = [line.split() for line in output.splitlines()]
    if not lines or len(lines) % 2 or len(totals) not in (len(lines), len(lines) + 1):
        raise InstructionsError(f"{len(lines)} measurements, but {len(totals)} parts of a profile")
    found = {}
    for i in range(0, len(lines), 2):
        (name, few), (same_name, many) = lines[i], lines[i + 1]
        if name != same_name or int(few) >= int(many):
            raise InstructionsError(f"measurements that are no pair: {lines[i]}, {lines[i + 1]}")
        found[name] = (totals[i + 1] - totals[i]) / (int(many) - int(few))
    return found


def read_record(text):
    """Returns {operation: (instructions, what it is)}."""
    record = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, instructions, description = line.split("\t")
            record[name] = (float(instructions), description)
    return record


def write_record(text, counted):
    """The file `text` with new numbers: comments and descriptions stay, operations are the probe's."""
    known = read_record(text)
    lines = [line for line in text.splitlines() if line.startswith("#")]
    for name, instructions in counted.items():
        lines.append(f"{name}\t{instructions:.1f}\t{known[name][1] if name in known else 'to be described'}")
    return "\n".join(lines) + "\n"


def compare(record, counted):
    """Returns a table of all operations, and a list of problems: texts that say what is wrong."""
    table, problems = [], []
    for name in [*record, *(name for name in counted if name not in record)]:
        if name not in counted:
            problems.append(f"{name} is recorded but not counted any more")
        elif name not in record:
            problems.append(f"{name} is not recorded: {counted[name]:.1f} instructions")
        else:
            before, now = record[name][0], counted[name]
            change = (now - before) / before
            table.append(f"{name:24} {before:9.1f} {now:9.1f} {change:+7.1%}")
            if change > TOLERANCE:
                problems.append(f"{name} takes {now:.1f} instructions instead of {before:.1f} ({change:+.1%}): "
                                f"{record[name][1]}")
    return table, problems
