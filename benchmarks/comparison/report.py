"""Turns the recorded runs into RESULTS.md."""

from benchmarks.comparison.summary import cell, markdown_table, ratio, spread

_COLUMNS = [  # Header, field of a run, digits.
    ("p50 ms", "p50_ms", 3),
    ("p99 ms", "p99_ms", 3),
    ("p99.9 ms", "p999_ms", 3),
]
_INTRODUCTION = """\
# Results

Made by the command below on the machine below; the numbers of another machine will differ, the ratios
less so. [README.md](README.md) says what each column means and how far to trust it.
"""


def values(runs, workload, proxy, field):
    return [run.get(field) for run in runs
            if run["workload"] == workload and run["proxy"] == proxy and "error" not in run]


def render(data):
    parts = [_INTRODUCTION, _facts(data["facts"]), _overview(data)]
    for workload in data["workloads"]:
        parts.append(f"## {workload['title']}\n")
        if workload["driver"] == "idle":
            parts.append(_idle_table(data, workload["name"]))
        else:
            parts.append(_table(data, workload["name"]))
        parts.append(_errors(data, workload["name"]))
    return "\n".join(part for part in parts if part) + "\n"


def _facts(facts):
    rows = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"{rows}\n\nCells are the median of all rounds and, in parentheses, the lowest and highest.\n"


def _overview(data):
    """One number per workload and proxy: its CPU time per request against the baseline's."""
    baseline = data["baseline"]
    proxies = [name for name in data["proxies"] if name != "direct"]
    rows = []
    for workload in data["workloads"]:
        if workload["driver"] == "idle":
            continue
        theirs = values(data["runs"], workload["name"], baseline, "proxy_us")
        rows.append([workload["name"]]
                    + [ratio(values(data["runs"], workload["name"], name, "proxy_us"), theirs)
                       for name in proxies])
    table = markdown_table(["CPU per request", *proxies], rows)
    return f"## Overview\n\nMedian CPU time of the proxy per request, as a multiple of {baseline}'s.\n\n{table}\n"


def _table(data, workload):
    header = ["proxy", "requests/s", f"of {data['baseline']}", *(name for name, _, _ in _COLUMNS),
              "proxy CPU us", "user", "system", "proxy busy", "nodes CPU us", "calls", "RSS MiB"]
    rows = []
    for proxy in data["proxies"]:
        def of(field, name=proxy):
            return values(data["runs"], workload, name, field)

        def middle(field, digits=2, of=of):
            found = spread(of(field))
            return "" if found is None else f"{found.median:.{digits}f}"

        speed = of("requests_per_second")
        if not speed:
            continue
        busy = spread(of("proxy_busy"))
        rows.append([proxy, cell(speed, 0),
                     ratio(speed, values(data["runs"], workload, data["baseline"],
                                         "requests_per_second")),
                     *(cell(of(field), digits) for _, field, digits in _COLUMNS),
                     cell(of("proxy_us")), middle("proxy_user_us"), middle("proxy_system_us"),
                     "" if busy is None else f"{busy.median:.0%}", cell(of("nodes_us")),
                     middle("system_calls"), middle("rss_mib", 1)])
    return markdown_table(header, rows) + "\n" if rows else "No usable run.\n"


def _idle_table(data, workload):
    rows = []
    for proxy in data["proxies"]:
        per_client = values(data["runs"], workload, proxy, "kib_per_client")
        if per_client:
            rows.append([proxy, cell(per_client),
                         cell(values(data["runs"], workload, proxy, "start_rss_mib"), 1),
                         cell(values(data["runs"], workload, proxy, "rss_mib"), 1),
                         cell(values(data["runs"], workload, proxy, "idle_cpu_percent"), 2)])
    return markdown_table(["proxy", "KiB/client", "RSS MiB before", "RSS MiB", "idle CPU %"], rows) + "\n"


def _errors(data, workload):
    lines = []
    for run in data["runs"]:
        if run["workload"] == workload and "error" in run:
            text = " ".join(run["error"].split())
            line = f"- {run['proxy']} could not: {text}"
            if line not in lines:
                lines.append(line)
        elif run["workload"] == workload and run.get("other_busy", 0) > 0.2:
            lines.append(f"- {run['proxy']}, round {run['round'] + 1}: other processes used "
                         f"{run['other_busy']:.0%} of a CPU")
    return "\n".join(lines) + "\n" if lines else ""
