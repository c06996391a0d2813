#!/usr/bin/env python3
"""How cost grows: CPU and memory against members of a room, rooms, held seats and shards, in both protocols.

    perf/tools/growth.py members rooms held shards      these, or all; points go to target/growth.json
    loadgen curves target/growth.json perf/notes/growth draws them

The server runs on CPU 0 (more shards: on all), the load on CPU 1. The line of theory goes through the two points before the
last, or is a constant (the median): what lies above it has to be explained.
"""

import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from lib import server
from websocket import Client

OUT = "target/growth.json"
BATCH = 100
PROTOCOLS = {"v1": "", "v2": "?v=2"}


def cpu_ns(pid):
    """CPU time of all threads of a process."""
    threads = os.listdir(f"/proc/{pid}/task")
    return sum(int(open(f"/proc/{pid}/task/{thread}/schedstat").read().split()[0]) for thread in threads)


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) * 1024


def frame(message):
    payload = json.dumps(message, separators=(",", ":")).encode()
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
    return b"\x81" + length + b"\0\0\0\0" + payload


def ask(client, messages, answer):
    """Sends messages in batches, and waits for as many answers with this in them."""
    for at in range(0, len(messages), BATCH):
        batch = messages[at:at + BATCH]
        client.socket.sendall(b"".join(map(frame, batch)))
        got = b""
        while got.count(answer) < len(batch):
            more = client.socket.recv(1 << 20)
            assert more and b'"error"' not in more, more[-300:]
            got += more


def held(room, seats, protocol):
    """The requests that take so many seats of a room, and what their answers contain."""
    names = [f"S{number}" for number in range(seats)]
    if protocol == "v2":
        parts = [names[at:at + 50] for at in range(0, seats, 50)]
        return [{"type": "select_seats", "room_id": room, "seats": part} for part in parts], b'"seats_held"'
    return [{"type": "select_seat", "room_id": room, "seat_id": name} for name in names], b'"seat_selected"'


def crowd(protocol, steps, rooms_each, seats_each):
    """Connections come until all steps are reached, each with rooms of its own in which it takes seats. For each step:
    rooms, seats, CPU of a join and of a seat since the step before, bytes of memory."""
    with server(cpu=0, SHARDS="1", HOLD_TTL_MS="3600000") as ours:
        empty, clients, taken, points = rss(ours.pid), [], (0, 0), []
        for step in steps:
            spent, were = [0, 0], taken
            while taken[0] < step:
                name = f"c{len(clients)}"
                client = Client(ours.port, name + PROTOCOLS[protocol])
                clients.append(client)
                rooms = [f"{name}r{number}" for number in range(min(rooms_each, step - taken[0]))]
                began = cpu_ns(ours.pid)
                ask(client, [{"type": "join_room", "room_id": room} for room in rooms], b'"room_joined"')
                joined = cpu_ns(ours.pid)
                requests, answer = [], b""
                for room in rooms:
                    more, answer = held(room, seats_each, protocol)
                    requests += more
                ask(client, requests, answer)
                spent[0] += joined - began
                spent[1] += cpu_ns(ours.pid) - joined
                taken = (taken[0] + len(rooms), taken[1] + len(rooms) * seats_each)
            time.sleep(0.5)
            grown = rss(ours.pid) - empty
            joins, seats = taken[0] - were[0], taken[1] - were[1]
            points.append((*taken, spent[0] / joins / 1e3, spent[1] / max(seats, 1) / 1e3, grown))
            print(protocol, points[-1], flush=True)
        return points


def run(ours, *words):
    """One run of the load generator; its result."""
    path = tempfile.mktemp(suffix=".json")
    command = ours.load(*words, "--json", path, "--server-pid", ours.pid, "--cores", 1, cpu=1)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    with open(path) as file:
        result = json.load(file)
    os.remove(path)
    if result["verdict"]["name"] != "clean":
        print(words, result["verdict"]["name"], done.stdout[-300:], flush=True)
    return result


def theory(name, points):
    """A line through the two points before the last: what lies above it there has bent upwards."""
    (x0, y0), (x1, y1) = points[-3:-1]
    slope = max(0.0, (y1 - y0) / (x1 - x0))
    line = [(x, y0 + slope * (x - x0)) for x, _ in points]
    return {"name": name, "points": [(x, y) for x, y in line if y > 0]}


def members(counts=(10, 30, 100, 300, 1_000, 3_000, 10_000), rate=10):
    cpu, size = {}, {}
    for protocol in PROTOCOLS:
        for count in counts:
            with server(cpu=0, SHARDS="1") as ours:
                before = ours.stats()["shards"][0]["bytes_sent"]
                result = run(ours, "fanout", "--members", count, "--selectors", min(count, 10), "--rate", rate, "--secs", 4,
                             "--protocol", protocol)
                sent = ours.stats()["shards"][0]["bytes_sent"] - before
                row = (result["figures"]["server_cpu_ns_per_delivery"] * count / 1e3, sent)
                print(protocol, count, row, result["latency_ms"]["delivery"]["p99"], flush=True)
                for curve, value in zip((cpu, size), row):
                    curve.setdefault(protocol, []).append((count, value))
    yield chart("members-cpu", f"An event, told to everybody, {rate} a second", "members of the room", "CPU, us", cpu,
                "one send a member")
    yield chart("members-bytes", "A whole run: joins, and 50 events", "members of the room", "bytes sent", size, "the same for each")


def rooms(steps=(10, 100, 1_000, 10_000, 50_000)):
    cpu, memory = {}, {}
    for protocol in PROTOCOLS:
        for count, _, join, _, grown in crowd(protocol, steps, 50, 0):
            cpu.setdefault(protocol, []).append((count, join))
            memory.setdefault(protocol, []).append((count, grown))
    yield chart("rooms-cpu", "Joining a room nobody is in", "rooms", "CPU a join, us", cpu, None)
    yield chart("rooms-memory", "Rooms of one member, 50 a connection", "rooms", "bytes of memory", memory, "the same for each")


def seats(steps=(20, 200, 2_000, 20_000)):
    cpu, memory = {}, {}
    for protocol in PROTOCOLS:
        for _, count, _, each, grown in crowd(protocol, steps, 20, 50):
            cpu.setdefault(protocol, []).append((count, each))
            memory.setdefault(protocol, []).append((count, grown))
    yield chart("held-cpu", "Taking a seat while so many are held", "held seats", "CPU a seat, us", cpu, None)
    yield chart("held-memory", "Held seats, 50 a room", "held seats", "bytes of memory", memory, "the same for each")


def shards(counts=(1, 2, 4, 8)):
    cpu = {}
    for protocol in PROTOCOLS:
        for count in counts:
            with server(SHARDS=str(count)) as ours:
                result = run(ours, "rooms", "--rooms", 200, "--members", 20, "--rate", 500, "--secs", 4, "--protocol", protocol)
                figures = result["figures"]
                print(protocol, count, result["verdict"]["name"], figures["server_cpu_ns_per_delivery"],
                      result["latency_ms"]["delivery"], flush=True)
                cpu.setdefault(protocol, []).append((count, figures["server_cpu_ns_per_delivery"] / 1e3))
    yield chart("shards-cpu", "200 rooms of 20, 500 clicks a second, two CPUs", "shards", "CPU a delivery, us", cpu, None)


def chart(name, title, x, y, measured, line):
    """A chart of either protocol's points, each with its theory: a line, or (None) the same however many."""
    curves = []
    for protocol, points in measured.items():
        curves.append({"name": f"{protocol}, measured", "points": points})
        usual = statistics.median(value for _, value in points)
        flat = {"name": f"{protocol}, theory: the same however many", "points": [(at, usual) for at, _ in points]}
        curves.append(theory(f"{protocol}, theory: {line}", points) if line else flat)
    return {"name": name, "title": title, "x": x, "y": y, "curves": curves}


def main():
    every = {"members": members, "rooms": rooms, "held": seats, "shards": shards}
    os.sched_setaffinity(0, {1})
    for name in sys.argv[1:] or every:
        if name == "shards":
            os.sched_setaffinity(0, {0, 1})
        charts = {chart["name"]: chart for chart in (json.load(open(OUT)) if os.path.exists(OUT) else [])}
        charts |= {chart["name"]: chart for chart in every[name]()}
        with open(OUT, "w") as file:
            json.dump(list(charts.values()), file)


main()
