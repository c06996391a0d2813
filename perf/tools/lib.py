"""What the experiments in Python share: a server of our own on loopback, the load generator, and how figures are printed."""

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts" / "lib"))

SERVER = os.environ.get("BUTACA_BINARY", "target/release/butaca")
LOADGEN = os.environ.get("LOADGEN_BINARY", "target/release/loadgen")
# A load from one machine is not what the bounds of a client and of an address are for.
SETTINGS = {
    "WEBSOCKET_HOST": "127.0.0.1", "WEBSOCKET_PORT": "0", "STORE": "memory", "MAX_SEATS_PER_CLIENT": "0",
    "RATE_MESSAGES_PER_S": "0", "MAX_CONNECTIONS_PER_IP": "0",
}


class Server:
    """A running server."""

    def __init__(self, process, port):
        self.process, self.pid, self.port = process, process.pid, port

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=5) as answer:
            return json.load(answer)

    def load(self, *words, cpu=None):
        """The command line of the load generator against this server."""
        under = ["taskset", "-c", str(cpu)] if cpu is not None else []
        return [*under, LOADGEN, *map(str, words), "--url", f"ws://127.0.0.1:{self.port}", "--no-audit", "--no-stats", "--quiet"]


@contextlib.contextmanager
def server(cpu=None, **settings):
    """A server with these settings, which ends with the block."""
    under = ["taskset", "-c", str(cpu)] if cpu is not None else []
    process = subprocess.Popen([*under, SERVER], env={**os.environ, **SETTINGS, **settings}, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    try:
        found = (re.search(r"ws://[\d.]+:(\d+)", line) for line in process.stdout)
        yield Server(process, next(int(match[1]) for match in found if match))
    finally:
        process.terminate()
        process.wait()


def spread(values, digits=1):
    """Median [lowest..highest]."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}..{max(values):.{digits}f}]"
