#!/usr/bin/env python3
"""Says whether the seat server and what it needs are up: /health, /stats, the WebSocket, and Redis when it is configured.

    python test_services.py [--url ws://localhost:8001]

Redis is tried when REDIS_HOST is set (REDIS_PORT, REDIS_PASSWORD as the server reads them). Exit code 0: everything is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import urllib.error
import urllib.request
import uuid
from typing import Callable

from seats import SeatClient, default_url

LIMIT_S = 5


def http_of(url: str) -> str:
    return "http" + url.removeprefix("ws").rstrip("/")


def read_json(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=LIMIT_S) as answer:
        return json.load(answer)


def check_health(url: str) -> str:
    try:
        health = read_json(f"{http_of(url)}/health")
    except urllib.error.HTTPError as answer:
        raise RuntimeError(f"{answer.code}: {answer.read().decode(errors='replace')}") from None
    if health["status"] not in ("healthy", "degraded"):
        raise RuntimeError(json.dumps(health))
    return f"{health['status']}, store {health.get('store', '?')}, version {health.get('version', '?')}"


def check_stats(url: str) -> str:
    stats = read_json(f"{http_of(url)}/stats")
    return f"{stats['active_connections']} connections, {stats['active_rooms']} rooms, {stats['temporary_selections']} seats held"


def check_socket(url: str) -> str:
    async def select_and_release() -> None:
        async with SeatClient(f"check-{uuid.uuid4().hex[:8]}", url) as client:
            room = f"check-{uuid.uuid4().hex[:8]}"
            await client.join(room)
            await client.select(room, "A1")
            await client.release(room, "A1")
            await client.ping()

    asyncio.run(select_and_release())
    return "joined, selected, released"


def check_redis(_: str) -> str:
    address = (os.environ["REDIS_HOST"], int(os.environ.get("REDIS_PORT", "6379")))
    with socket.create_connection(address, timeout=LIMIT_S) as connection, connection.makefile("rwb") as stream:
        if password := os.environ.get("REDIS_PASSWORD"):
            ask_redis(stream, "AUTH", password)
        ask_redis(stream, "PING")
    return f"{address[0]}:{address[1]} answers"


def ask_redis(stream, *words: str) -> None:
    """One command in Redis' own protocol; needs no package."""
    parts = [f"*{len(words)}\r\n"] + [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    stream.write("".join(parts).encode())
    stream.flush()
    answer = stream.readline().decode().strip()
    if not answer.startswith("+"):
        raise RuntimeError(answer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=default_url())
    url = parser.parse_args().url
    checks: list[tuple[str, Callable[[str], str]]] = [("health", check_health), ("stats", check_stats), ("websocket", check_socket)]
    if os.environ.get("REDIS_HOST"):
        checks.append(("redis", check_redis))
    failed = 0
    for name, check in checks:
        try:
            print(f"  ok    {name:<10} {check(url)}")
        except Exception as problem:  # Whatever is wrong with one service, the others are tried as well.
            failed += 1
            print(f"  FAIL  {name:<10} {problem or type(problem).__name__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
