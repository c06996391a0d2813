#!/usr/bin/env python3
"""What does a cluster cost: 200 rooms of two members, commands at a fixed rate, one shard a server, Redis with everysec.

    perf/tools/cluster.py [--rounds 2] [--rate 2000] [--secs 10]

In turn: a server alone, one node, two nodes of which one has all sockets and about half of the rooms. Printed for each: CPU time
of each server and of Redis over the whole run, calls of Redis, replies in milliseconds, the generator's own lag.
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

import lib

KINDS = {"alone": [None], "one node": ["a"], "two nodes": ["a", "b"]}
CALLS = ("eval", "xadd", "xread", "xtrim")
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    """CPU time of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextlib.contextmanager
def redis(folder):
    """A Redis on a socket in this folder."""
    path = f"{folder}/redis.sock"
    words = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
    process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(path):
            time.sleep(0.02)
        yield process, path
    finally:
        process.terminate()
        process.wait()


def calls(path):
    """How often each command was called, inside scripts too."""
    told = subprocess.run(["redis-cli", "-s", path, "info", "commandstats"], capture_output=True, text=True, check=True).stdout
    lines = (line[8:].split(":calls=") for line in told.splitlines() if line.startswith("cmdstat_"))
    return {name: int(rest.split(",")[0]) for name, rest in lines}


def has_parts(node, nodes):
    """Whether the node has what it should have."""
    told = node.stats()["cluster"]
    return 0 < told["parts_owned"] == told["parts_wanted"] and told["nodes"] == nodes and told["parts_ownerless"] == 0


def run(names, rate, secs):
    """One line of figures."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store, path = stack.enter_context(redis(folder))
        servers = []
        for name in names:
            own = {} if name is None else {"CLUSTER": "1", "NODE_ID": name, "CLUSTER_LEASE_MS": "2000"}
            place = {"STORE": "redis", "REDIS_URL": f"unix://{path}", "DATA_DIR": f"{folder}/{name}", "SHARDS": "1"}
            servers.append(stack.enter_context(lib.server(**place, **own)))
        while names[0] and not all(has_parts(node, len(names)) for node in servers):
            time.sleep(0.05)
        processes = [*(server.pid for server in servers), store.pid]
        before, called, out = [cpu_s(pid) for pid in processes], calls(path), f"{folder}/result.json"
        line = servers[-1].load("rooms", "--rooms", 200, "--members", 2, "--rate", rate, "--warmup", 1, "--secs", secs, "--json", out)
        subprocess.run(line, stdout=subprocess.DEVNULL, check=True)
        spent = [f"{cpu_s(pid) - then:.2f}" for pid, then in zip(processes, before)]
        called = {name: calls(path).get(name, 0) - called.get(name, 0) for name in CALLS}
        result = json.loads(pathlib.Path(out).read_text(encoding="utf-8"))
        reply, lag = result["latency_ms"]["reply"], result["latency_ms"]["lag"]
        return f"CPU s {' '.join(spent)} (the last: Redis)  {called}  reply p50 {reply['p50']} p99 {reply['p99']}  lag p99 {lag['p99']}"


def main():
    """All rounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--secs", type=int, default=10)
    args = parser.parse_args()
    for _ in range(args.rounds):
        for kind, names in KINDS.items():
            print(f"{kind:9}", run(names, args.rate, args.secs), flush=True)


main()
