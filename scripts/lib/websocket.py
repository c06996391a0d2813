"""A WebSocket client on a plain socket, for scripts: it sends any frame, sees every frame, and needs nothing but Python."""

import base64
import json
import os
import socket
import struct

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A


class Client:
    """One connection to a server on loopback: from any address of loopback, with any receive buffer."""

    def __init__(self, port, name="script", source="127.0.0.1", claims=None, buffer_bytes=None):
        self.socket = socket.socket()
        if buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.settimeout(10)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /ws/{name} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
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
        self.send_frame(TEXT, json.dumps(message).encode())

    def send_frame(self, first, payload):
        mask = os.urandom(4)
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self.socket.sendall(bytes([first]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def read(self):
        """The next message; pings are answered on the way."""
        while True:
            first, payload = self.read_frame()
            if first == TEXT:
                return json.loads(payload)
            self.answer_ping(first, payload)

    def answer_ping(self, first, payload):
        if first != PING:
            raise ConnectionError(f"a frame that begins with {first:#x} instead of a ping")
        self.send_frame(PONG, payload)

    def read_frame(self):
        """The next frame: its first byte and its payload."""
        while True:
            if len(self.buffer) >= 2:
                length, start = self.buffer[1] & 0x7F, 2
                if length == 126 and len(self.buffer) >= 4:
                    length, start = struct.unpack(">H", self.buffer[2:4])[0], 4
                elif length == 127 and len(self.buffer) >= 10:
                    length, start = struct.unpack(">Q", self.buffer[2:10])[0], 10
                if len(self.buffer) >= start + length and not (length >= 126 and start == 2):
                    first, payload = self.buffer[0], self.buffer[start : start + length]
                    self.buffer = self.buffer[start + length :]
                    return first, payload
            self.receive()

    def close(self):
        self.socket.close()
