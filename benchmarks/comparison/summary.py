"""Several rounds of the same measurement in one cell: the median, and how far the rounds lie apart."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float

    def text(self, digits=None):
        """ "12.3 (12.1-12.9)"; a single value has no range."""
        middle = number(self.median, digits)
        if self.low == self.high:
            return middle
        return f"{middle} ({number(self.low, digits)}-{number(self.high, digits)})"


def spread(values):
    """The Spread of all values that are not None; None when there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known))


def number(value, digits=None):
    """Three significant digits are as many as a benchmark deserves, unless `digits` says otherwise."""
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def cell(values, digits=None):
    found = spread(values)
    return "" if found is None else found.text(digits)


def ratio(values, baseline_values):
    """Median over median, as text; empty when either is missing."""
    ours, theirs = spread(values), spread(baseline_values)
    if ours is None or theirs is None or theirs.median == 0:
        return ""
    return f"{ours.median / theirs.median:.2f}"


def rotation(names, round_index):
    """Each round starts elsewhere in the list, so that no competitor always has the first (coldest)
    or the last (warmest) place."""
    if not names:
        return []
    start = round_index % len(names)
    return names[start:] + names[:start]


def markdown_table(header, rows):
    """The first column is text, all others are numbers."""
    lines = ["| " + " | ".join(header) + " |",
             "| --- |" + " ---: |" * (len(header) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
