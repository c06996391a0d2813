#!/usr/bin/env python3
"""Do members that read slowly, or not at all, delay the others?

    perf/tools/slow_readers.py [--rounds 5] [--rate 100,400] [--secs 8]

One room of 1,000 members on one core, load by target/release/loadgen; in turn alone, and with 20 members that never read and 10
that read 10 kB a second. Those join as soon as /stats names the room, with a receive buffer of 4 KiB, so that the kernel swallows
little of what they leave. Printed: latency of the others, median [lowest..highest], and the ratio of each round.
"""
import argparse
import base64
import json
import os
import re
import select
import socket
import statistics
import subprocess
import threading
import time
import urllib.request

DEAF, SLOW, SLOW_BYTES_A_SECOND = 20, 10, 10_000
SERVER = os.environ.get("BUTACA_BINARY", "target/release/butaca")
LOADGEN = os.environ.get("LOADGEN_BINARY", "target/release/loadgen")
SETTINGS = {
    "WEBSOCKET_HOST": "127.0.0.1", "WEBSOCKET_PORT": "0", "SHARDS": "1", "STORE": "memory", "MAX_SEATS_PER_CLIENT": "0",
    "RATE_MESSAGES_PER_S": "0", "MAX_CONNECTIONS_PER_IP": "0",
}


def stats(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=5) as answer:
        return json.load(answer)


def lazy_member(port, name, room):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(f"GET /ws/{name} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    while b"\r\n\r\n" not in sock.recv(1024):
        pass
    text = json.dumps({"type": "join_room", "room_id": room}).encode()
    sock.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    return sock


def be_lazy(port, over, told):
    """Joins the room of the load, then reads from a few members, slowly."""
    rooms = []
    while not rooms and not over.is_set():
        time.sleep(0.02)
        rooms = stats(port)["rooms"]
    members = [lazy_member(port, f"lazy{number}", rooms[0]) for number in range(DEAF + SLOW)] if rooms else []
    while not over.is_set():
        time.sleep(0.1)
        ready, _, _ = select.select(members[DEAF:], [], [], 0)
        for sock in ready:
            sock.recv(SLOW_BYTES_A_SECOND // 10)
    row = stats(port)["shards"][0]
    told.update({name: row[name] for name in ("slow_consumers", "resyncs", "outbound_queue_high_water")})
    for sock in members:
        sock.close()


def run(rate, secs, lazy):
    """One run: the latency of a delivery in ms (p50, p99), the server's CPU a delivery, and what the server counted."""
    server = subprocess.Popen(["taskset", "-c", "0", SERVER], env=dict(os.environ, **SETTINGS), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    port = next(int(found[1]) for line in server.stdout if (found := re.search(r"ws://[\d.]+:(\d+)", line)))
    over, told = threading.Event(), {}
    crowd = threading.Thread(target=be_lazy, args=(port, over, told))
    if lazy:
        crowd.start()
    path = f"target/slow-readers.{os.getpid()}.json"
    load = ["taskset", "-c", "1", LOADGEN, "fanout", "--rate", str(rate), "--secs", str(secs), "--warmup", "4"]
    load += ["--url", f"ws://127.0.0.1:{port}", "--server-pid", str(server.pid), "--cores", "1", "--no-audit", "--no-stats"]
    done = subprocess.run(load + ["--quiet", "--json", path], capture_output=True, text=True)
    over.set()
    if lazy:
        crowd.join()
    server.terminate()
    server.wait()
    with open(path) as file:
        result = json.load(file)
    os.remove(path)
    if result["verdict"]["name"] != "clean":
        print(f"rate {rate}, lazy {lazy}: {result['verdict']['name']} {done.stdout[-200:]}")
    latency = result["latency_ms"]["delivery"]
    return latency["p50"], latency["p99"], result["figures"]["server_cpu_ns_per_delivery"], told


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}..{max(values):.{digits}f}]"


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
