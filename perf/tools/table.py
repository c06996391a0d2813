#!/usr/bin/env python3
"""The table of perf/run.sh: table.py DIRECTORY FIRST_SERVER OTHER...

`table.py --kept RESULT` ends with 0 when the rate of that run was kept: nothing lost or wrong, and a p99 below 100 ms.

Per figure: each server's median with the lowest and highest round, and the median of the per-round ratios other / first,
turned over where more is better, so that a ratio above 1 always means that the first server is ahead.
"""
import json
import pathlib
import statistics
import sys

from lib import spread

# Scenario: (figure as it is called here, where it is in the result, whether more is better).
CPU = ("CPU ns per delivery", "figures.server_cpu_ns_per_delivery", False)
P50, P99 = ("p50 ms", "latency_ms.delivery.p50", False), ("p99 ms", "latency_ms.delivery.p99", False)
FIGURES = {
    "connect": [
        ("CPU us per connection", "figures.server_cpu_us_per_connection", False),
        ("open p99 ms", "latency_ms.open.p99", False),
    ],
    "idle": [("RSS bytes per connection", "figures.server_rss_bytes_per_connection", False)],
    "fanout": [CPU, P50, P99, ("CPUs in use", "figures.server_cpus", False)],
    "sustain": [("commands per s", "commands_per_s", True), P99],
    "rooms": [CPU, P50, P99, ("CPUs in use", "figures.server_cpus", False)],
    "closed": [("commands per s", "commands_per_s", True), CPU, ("reply p99 ms", "latency_ms.reply.p99", False)],
    "contend": [
        ("CPU ns per decision", "figures.server_cpu_ns_per_decision", False),
        ("decisions per s", "figures.decisions_per_s", True),
    ],
}


def at(result, path):
    for key in path.split("."):
        result = result.get(key) if isinstance(result, dict) else None
    return result


def unclean(result):
    """Why the run does not count, or nothing."""
    if result["verdict"]["name"] != "clean":
        return result["verdict"]["name"]
    if result["figures"].get("rounds_won_by_many"):
        return "won by many"
    return "lost connections" if result["totals"].get("lost_connections") else None


def is_kept(result):
    p99 = at(result, P99[1])
    wrong = result["verdict"]["name"] == "violated" or result["totals"].get("lost_connections")
    return not wrong and p99 is not None and p99 < 100


def main():
    if sys.argv[1] == "--kept":
        sys.exit(0 if is_kept(json.loads(pathlib.Path(sys.argv[2]).read_text())) else 1)
    directory, first, *others = sys.argv[1], *sys.argv[2:]
    runs = {}
    for path in sorted(pathlib.Path(directory).glob("*.json")):
        shape, number, server = path.name.removesuffix(".json").rsplit(".", 2)
        runs.setdefault(shape, {}).setdefault(server, {})[int(number)] = json.loads(path.read_text())
    rows = [["shape", "figure", "server", "median [lowest..highest]", "ratio to " + first]]
    for shape, by_server in runs.items():
        scenario = next(iter(next(iter(by_server.values())).values()))["scenario"]
        for name, path, more in FIGURES.get("sustain" if shape == "sustain" else scenario, []):
            for server in [first, *others]:
                rounds = by_server.get(server, {})
                value = {number: at(result, path) for number, result in rounds.items() if at(result, path)}
                own = {number: at(result, path) for number, result in by_server.get(first, {}).items()}
                if not value:
                    rows.append([shape, name, server, "no result", ""])
                    continue
                pairs = [(value[number], own[number]) for number in value if own.get(number)]
                ratios = [mine / other if more else other / mine for other, mine in pairs]
                digits = 1 if statistics.median(value.values()) >= 10 else 3
                ratio = spread(ratios, 2) if server != first and ratios else ""
                rows.append([shape, name, server, spread(value.values(), digits), ratio])
        for server, rounds in by_server.items():
            bad = [unclean(result) for result in rounds.values() if unclean(result)]
            if bad:
                rows.append([shape, f"{len(bad)} of {len(rounds)} runs: {', '.join(sorted(set(bad)))}", server, "", ""])
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


main()
