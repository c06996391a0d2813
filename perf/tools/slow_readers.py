#!/usr/bin/env python3
"""Do members that read slowly, or not at all, delay the others?

    perf/tools/slow_readers.py [--rounds 5] [--rate 100,400] [--secs 8]

One room of 1,000 members on one core, load by target/release/loadgen; in turn alone, and with 20 members that never read and 10
that read 10 kB a second. Those join as soon as /stats names the room, with a receive buffer of 4 KiB, so that the kernel swallows
little of what they leave. Printed: latency of the others, median [lowest..highest], and the ratio of each round.
"""
import argparse
import json
import os
import select
import subprocess
import threading
import time

import lib
from lib import spread
from websocket import Client

DEAF, SLOW, SLOW_BYTES_A_SECOND = 20, 10, 10_000


def lazy_member(port, name, room):
    client = Client(port, name, buffer_bytes=4096)
    client.send({"type": "join_room", "room_id": room})
    return client.socket


def be_lazy(server, over, told):
    """Joins the room of the load, then reads from a few members, slowly."""
    rooms = []
    while not rooms and not over.is_set():
        time.sleep(0.02)
        rooms = server.stats()["rooms"]
    members = [lazy_member(server.port, f"lazy{number}", rooms[0]) for number in range(DEAF + SLOW)] if rooms else []
    while not over.is_set():
        time.sleep(0.1)
        ready, _, _ = select.select(members[DEAF:], [], [], 0)
        for sock in ready:
            sock.recv(SLOW_BYTES_A_SECOND // 10)
    row = server.stats()["shards"][0]
    told.update({name: row[name] for name in ("slow_consumers", "resyncs", "outbound_queue_high_water")})
    for sock in members:
        sock.close()


def run(rate, secs, lazy):
    """One run: the latency of a delivery in ms (p50, p99), the server's CPU a delivery, and what the server counted."""
    path = f"target/slow-readers.{os.getpid()}.json"
    with lib.server(cpu=0, SHARDS="1") as server:
        over, told = threading.Event(), {}
        crowd = threading.Thread(target=be_lazy, args=(server, over, told))
        if lazy:
            crowd.start()
        line = server.load("fanout", "--rate", rate, "--secs", secs, "--warmup", 4, "--server-pid", server.pid, "--cores", 1,
                           "--json", path, cpu=1)
        done = subprocess.run(line, capture_output=True, text=True)
        over.set()
        if lazy:
            crowd.join()
    with open(path) as file:
        result = json.load(file)
    os.remove(path)
    if result["verdict"]["name"] != "clean":
        print(f"rate {rate}, lazy {lazy}: {result['verdict']['name']} {done.stdout[-200:]}")
    latency = result["latency_ms"]["delivery"]
    return latency["p50"], latency["p99"], result["figures"]["server_cpu_ns_per_delivery"], told


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--rate", default="100,400")
    arguments.add_argument("--secs", type=int, default=8)
    chosen = arguments.parse_args()
    os.sched_setaffinity(0, {1})
    for rate in chosen.rate.split(","):
        runs = {False: [], True: []}
        for number in range(chosen.rounds):
            for lazy in (False, True) if number % 2 == 0 else (True, False):
                runs[lazy].append(run(rate, chosen.secs, lazy))
        print(f"{rate} commands a second, {chosen.rounds} rounds")
        for lazy, name in ((False, "alone"), (True, "with slow readers")):
            p50, p99, cpu, told = zip(*runs[lazy])
            print(f"  {name:18} p50 {spread(p50)} ms, p99 {spread(p99)} ms, {spread(cpu, 0)} ns a delivery")
        print(f"  ratio of the p99   {spread([with_[1] / alone[1] for alone, with_ in zip(runs[False], runs[True])], 2)}")
        print(f"  the server counted {told[-1]}")


main()
