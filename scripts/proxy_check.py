#!/usr/bin/env python3
"""Talks to the server through a proxy: proxy_check.py PORT MAX_PER_IP. Needs nothing but Python.

Proves that an upgrade passes, that messages pass both ways at once, that the server counts connections by the client's
own address (MAX_CONNECTIONS_PER_IP=MAX_PER_IP), whatever the client claims in X-Forwarded-For, and that the server's
pings keep a silent connection alive beyond the proxy's time-out (PING_AFTER_MS and the time-out are shorter here).
"""

import base64
import json
import os
import socket
import struct
import sys


# Silent pings that last longer than the proxies' time-outs of test_proxies.sh: 8 x 0.5 s against 3 s.
PINGS = 8


class Client:
    """A WebSocket client that binds a source address of the loopback range."""

    def __init__(self, port, source, claims=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /ws/{source} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        head += f"X-Forwarded-For: {claims}\r\n" if claims else ""
        self.socket.sendall(head.encode() + b"\r\n")
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.receive()
        answer, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.status = int(answer.split()[1])

    def receive(self):
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("closed")
        self.buffer += more

    def send(self, message):
        self.send_frame(0x81, json.dumps(message).encode())

    def send_frame(self, first, payload):
        mask = os.urandom(4)
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self.socket.sendall(bytes([first]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def read(self):
        """The next message; pings are answered on the way."""
        while True:
            first, payload = self.read_frame()
            if first == 0x81:
                return json.loads(payload)
            self.answer_ping(first, payload)

    def answer_ping(self, first, payload):
        expect_quietly("a ping", first, 0x89)
        self.send_frame(0x8A, payload)

    def read_frame(self):
        while True:
            if len(self.buffer) >= 2:
                length, start = self.buffer[1] & 0x7F, 2
                if length == 126 and len(self.buffer) >= 4:
                    length, start = struct.unpack(">H", self.buffer[2:4])[0], 4
                if len(self.buffer) >= start + length and not (length == 126 and start == 2):
                    first, payload = self.buffer[0], self.buffer[start : start + length]
                    self.buffer = self.buffer[start + length :]
                    return first, payload
            self.receive()


def expect_quietly(what, have, want):
    if have != want:
        sys.exit(f"{what}: {have!r} instead of {want!r}")


def expect(what, have, want):
    expect_quietly(what, have, want)
    print(f"ok: {what}")


def main():
    port, max_per_ip = int(sys.argv[1]), int(sys.argv[2])
    clients = [Client(port, "127.0.0.2") for _ in range(max_per_ip)]
    expect("upgrades pass", {client.status for client in clients}, {101})
    expect("one more from the same address is refused", Client(port, "127.0.0.2").status, 503)
    expect("a claim does not help it", Client(port, "127.0.0.2", claims="192.0.2.99").status, 503)
    other = Client(port, "127.0.0.3", claims="127.0.0.2")
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
    first.socket.close()
    expect("the end passes too", other.read().get("reason"), "disconnected")
    # The proxy closes its own connection when it likes: ask until the place is free.
    expect("its place is free again", any(Client(port, "127.0.0.2").status == 101 for _ in range(1000)), True)


if __name__ == "__main__":
    main()
