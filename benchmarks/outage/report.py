"""Turns the runs into the section of RESULTS.md about outages."""

from benchmarks.comparison.summary import cell, markdown_table

_INTRODUCTION = """\
## Outages

What clients see while something happens to the cluster behind. *cluster client*: no proxy; each client knows the
cluster itself, follows MOVED and ASK, and repeats what was lost, writes included (a proxy that never sends a write
twice gives an error instead). *without a success*: the longest time in which no request for the struck shard, or the
slots that moved, succeeded. *until full service*: from the moment at which the new owner accepted a write that was
sent to it directly until the last request ended that failed or took longer than 200 ms. Median of all rounds and, in
parentheses, the lowest and highest.
"""


def render(data):
    parts = [_INTRODUCTION, "\n".join(f"- {name}: {value}" for name, value in data["facts"].items()) + "\n"]
    for fault, title in data["faults"].items():
        parts.append(f"### {title[0].upper()}{title[1:]}\n")
        parts.append(_table(data, fault))
        parts.append(_errors(data, fault))
    return "\n".join(part for part in parts if part)


def _runs(data, fault, proxy):
    return [run for run in data["runs"] if run["fault"] == fault and run["proxy"] == proxy]


def _table(data, fault):
    header = ["proxy", "requests", "errors", "without a success ms", "slowest request ms", "until full service ms"]
    rows = []
    for proxy in data["proxies"]:
        runs = _runs(data, fault, proxy)
        if runs:
            rows.append([proxy, cell([run["requests"] for run in runs], 0),
                         cell([sum(run["errors"].values()) for run in runs], 0),
                         *(cell([run[field] for run in runs], 0) for field in ("gap_ms", "slowest_ms", "full_ms"))])
    return markdown_table(header, rows) + "\n" if rows else "No usable run.\n"


def _errors(data, fault):
    lines = []
    for proxy in data["proxies"]:
        texts = {}
        for run in _runs(data, fault, proxy):
            for text, count in run["errors"].items():
                texts[text] = texts.get(text, 0) + count
        lines += [f"- {proxy}: {count} × `{text}`" for text, count in sorted(texts.items())]
    return "\n".join(lines) + "\n" if lines else ""
