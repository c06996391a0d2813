#!/usr/bin/env python3
"""Talks to the server through a proxy: proxy_check.py PORT MAX_PER_IP. Needs nothing but Python.

proxy_check.py PORT spread NODE... talks to nodes through a balancer and asks each how many sockets it has got.

Proves that an upgrade passes, that messages pass both ways at once, that the server counts connections by the client's
own address (MAX_CONNECTIONS_PER_IP=MAX_PER_IP), whatever the client claims in X-Forwarded-For, and that the server's
pings keep a silent connection alive beyond the proxy's time-out (PING_AFTER_MS and the time-out are shorter here).
"""

import http.client
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
sys.dont_write_bytecode = True

from websocket import Client  # noqa: E402

# Silent pings that last longer than the proxies' time-outs of test_proxies.sh: 8 x 0.5 s against 3 s.
PINGS = 8


def connect(port, source, claims=None):
    return Client(port, source, source, claims)


def expect(what, have, want):
    if have != want:
        sys.exit(f"{what}: {have!r} instead of {want!r}")
    print(f"ok: {what}")


def sockets_of(port):
    # From an address that is no proxy: what comes from there begins with the request.
    node = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=("127.0.0.9", 0))
    node.request("GET", "/health")
    return json.load(node.getresponse())["active_connections"]


def spread(front, ports):
    """Nine sockets through a balancer are three on each node."""
    clients = [connect(front, "127.0.0.2") for _ in range(3 * len(ports))]
    expect("upgrades pass", {client.status for client in clients}, {101})
    expect("sockets are spread evenly", [sockets_of(port) for port in ports], [3] * len(ports))


def main():
    if sys.argv[2] == "spread":
        spread(int(sys.argv[1]), [int(port) for port in sys.argv[3:]])
        return
    port, max_per_ip = int(sys.argv[1]), int(sys.argv[2])
    clients = [connect(port, "127.0.0.2") for _ in range(max_per_ip)]
    expect("upgrades pass", {client.status for client in clients}, {101})
    expect("one more from the same address is refused", connect(port, "127.0.0.2").status, 503)
    expect("a claim does not help it", connect(port, "127.0.0.2", claims="192.0.2.99").status, 503)
    other = connect(port, "127.0.0.3", claims="127.0.0.2")
    expect("another address is another client, whatever it claims", other.status, 101)
    first = clients[0]
    for client in (first, other):
        client.send({"type": "join_room", "room_id": "r"})
        expect("a reply passes", client.read()["type"], "room_joined")
    first.send({"type": "select_seat", "room_id": "r", "seat_id": "A-1"})
    expect("the selection is confirmed", first.read()["type"], "seat_selected")
    expect("and seen by the other", other.read()["seat_id"], "A-1")
    for _ in range(PINGS):
        for client in (first, other):
            client.answer_ping(*client.read_frame())
    first.send({"type": "ping"})
    expect("a silent connection outlives the proxy's time-out", first.read()["type"], "pong")
    first.close()
    expect("the end passes too", other.read().get("reason"), "disconnected")
    # The proxy closes its own connection when it likes: ask until the place is free.
    expect("its place is free again", any(connect(port, "127.0.0.2").status == 101 for _ in range(1000)), True)


if __name__ == "__main__":
    main()
