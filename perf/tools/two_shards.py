#!/usr/bin/env python3
"""How evenly do two shards share the work of one room with 1,000 members?

    perf/tools/two_shards.py [--rounds 5] [--rate 100,400] [--secs 6]

Load by target/release/loadgen, on the same two CPUs: only CPU time and counters mean anything here. Printed for each round: CPU
time of the two shards' threads while the room is full, what they delivered, and the letters between them for each event.
"""
import argparse
import os
import statistics
import subprocess
import time

import lib

MEMBERS = 1_000


def cpu_ms(pid):
    """CPU time of each shard's thread."""
    used = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as file:
            name = file.read().strip()
        if name.startswith("shard-"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                used[name] = used.get(name, 0) + int(file.read().split()[0]) / 1e6
    return [used[name] for name in sorted(used)]


def run(rate, secs):
    with lib.server(SHARDS="2") as server:
        def rows():
            return server.stats()["shards"]

        line = server.load("fanout", "--rate", rate, "--secs", secs, "--members", MEMBERS)
        load = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while sum(row["members"] for row in rows()) < MEMBERS:
            time.sleep(0.02)
        before, cpu_before = rows(), cpu_ms(server.pid)
        time.sleep(secs)
        after, cpu_after = rows(), cpu_ms(server.pid)
        load.wait()
    grown = {name: [now[name] - then[name] for now, then in zip(after, before)] for name in ("deliveries", "mesh_sent", "commands")}
    return [now - then for now, then in zip(cpu_after, cpu_before)], grown


def ratio(pair):
    return min(pair) / max(pair) if max(pair) else 1


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--rate", default="100,400")
    arguments.add_argument("--secs", type=int, default=6)
    chosen = arguments.parse_args()
    for rate in chosen.rate.split(","):
        ratios = []
        for _ in range(chosen.rounds):
            cpu, grown = run(rate, chosen.secs)
            events = sum(grown["deliveries"]) / MEMBERS
            ratios.append((ratio(cpu), ratio(grown["deliveries"])))
            print(f"{rate}/s: CPU {cpu[0]:.0f} and {cpu[1]:.0f} ms ({ratios[-1][0]:.2f}), deliveries {grown['deliveries']} "
                  f"({ratios[-1][1]:.2f}), {sum(grown['mesh_sent']) / max(events, 1):.2f} letters an event, commands {grown['commands']}")
        cpu, deliveries = zip(*ratios)
        print(f"{rate}/s: smaller to larger shard, median [lowest]: CPU {statistics.median(cpu):.2f} [{min(cpu):.2f}], "
              f"deliveries {statistics.median(deliveries):.2f} [{min(deliveries):.2f}]")


main()
