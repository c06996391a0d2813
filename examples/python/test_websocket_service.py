#!/usr/bin/env python3
"""Tries the seat server over its WebSocket.

    python test_websocket_service.py               walks through the protocol and says what works
    python test_websocket_service.py interactive   a prompt: join, leave, select, release, ping, quit
    python test_websocket_service.py multi         many clients want the same seats at once

The address comes from --url, WEBSOCKET_URL, or WEBSOCKET_HOST and WEBSOCKET_PORT (localhost:8001).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import uuid
from typing import Awaitable, Callable

from seats import ConnectionClosed, Refused, SeatClient, default_url


def fresh(prefix: str) -> str:
    """A name that no other run uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


async def refusal(asked: Awaitable[object]) -> str:
    """The code with which the server refuses, or `granted`."""
    try:
        await asked
    except Refused as refused:
        return refused.code
    return "granted"


async def walk_joining(url: str) -> None:
    async with SeatClient(fresh("ana"), url) as ana:
        room = fresh("room")
        joined = await ana.join(room)
        assert joined["room_id"] == room and joined["client_id"] == ana.client_id, joined
        left = await ana.leave(room)
        assert left["room_id"] == room, left


async def walk_selecting(url: str) -> None:
    async with SeatClient(fresh("ana"), url) as ana, SeatClient(fresh("luis"), url) as luis:
        room = fresh("room")
        await ana.join(room)
        await luis.join(room)
        reply = await ana.select(room, "A1")
        assert "user_info" not in reply, reply
        seen = await luis.next_event("seat_selected")
        assert seen["client_id"] == ana.client_id and seen["user_info"] == ana.user_info, seen
        assert await refusal(luis.select(room, "A1")) == "seat_taken"
        assert await refusal(luis.release(room, "A1")) == "not_owner"
        await ana.release(room, "A1")
        freed = await luis.next_event("seat_released")
        assert freed["seat_id"] == "A1", freed
        assert await refusal(ana.release(room, "A1")) == "not_held"


async def walk_arriving_late(url: str) -> None:
    async with SeatClient(fresh("ana"), url) as ana, SeatClient(fresh("late"), url) as late:
        room = fresh("room")
        await ana.select(room, "B2")
        await late.join(room)
        state = await late.next_event("current_selections")
        assert [held["seat_id"] for held in state["selections"]] == ["B2"], state


async def walk_disconnecting(url: str) -> None:
    async with SeatClient(fresh("luis"), url) as luis:
        room = fresh("room")
        await luis.join(room)
        async with SeatClient(fresh("ana"), url) as ana:
            await ana.select(room, "C3")
        freed = await luis.next_event("seat_released")
        assert freed["seat_id"] == "C3" and freed.get("reason") == "disconnected", freed


async def walk_nonsense(url: str) -> None:
    async with SeatClient(fresh("ana"), url) as ana:
        codes = [(await ana.send_text(text))["code"] for text in ("{", "[]", "{}", '{"type":"dance"}', '{"type":"join_room"}')]
        assert codes == ["bad_json", "bad_json", "bad_request", "unknown_type", "bad_request"], codes
        assert (await ana.ping())["type"] == "pong"


STEPS: list[tuple[str, Callable[[str], Awaitable[None]]]] = [
    ("join and leave a room", walk_joining),
    ("select, be seen, be refused, release", walk_selecting),
    ("the state of a room for those who come later", walk_arriving_late),
    ("a lost connection gives its seats back", walk_disconnecting),
    ("nonsense is refused and changes nothing", walk_nonsense),
]


async def automatic(url: str) -> int:
    failed = 0
    for title, step in STEPS:
        try:
            await step(url)
            print(f"  ok    {title}")
        except (AssertionError, ConnectionClosed, Refused, TimeoutError) as problem:
            failed += 1
            print(f"  FAIL  {title}: {problem or type(problem).__name__}")
    print(f"{len(STEPS) - failed} of {len(STEPS)} passed")
    return 1 if failed else 0


async def interactive(url: str) -> int:
    client_id = fresh("python")
    print(f"connected to {url} as {client_id}; commands: join R, leave R, select R S, release R S, ping, quit")
    async with SeatClient(client_id, url) as client:
        events = asyncio.create_task(print_events(client))
        while (line := await asyncio.to_thread(read_line)) is not None:
            await obey(client, line.split())
        events.cancel()
    return 0


def read_line() -> str | None:
    """A line without its end, or None for `quit` and the end of the input."""
    print("> ", end="", flush=True)
    line = sys.stdin.readline()
    return None if line == "" or line.strip() in ("quit", "exit") else line


async def print_events(client: SeatClient) -> None:
    while True:
        print(f"\n<< {json.dumps(await client.events.get(), ensure_ascii=False)}", flush=True)


async def obey(client: SeatClient, words: list[str]) -> None:
    commands = {"join": (client.join, 1), "leave": (client.leave, 1), "select": (client.select, 2), "release": (client.release, 2), "ping": (client.ping, 0)}
    if not words:
        return
    command, count = commands.get(words[0], (None, 0))
    if command is None or len(words) != count + 1:
        print("join R, leave R, select R S, release R S, ping, quit")
        return
    try:
        print(json.dumps(await command(*words[1:]), ensure_ascii=False), flush=True)
    except Refused as refused:
        print(f"refused: {refused}", flush=True)


async def multi(url: str, count: int) -> int:
    """Everybody wants the same few seats; each seat must have exactly one winner."""
    room, seats = fresh("room"), [f"S{number}" for number in range(1, 6)]
    winners: dict[str, list[str]] = {seat: [] for seat in seats}

    async def one(client: SeatClient) -> None:
        await client.join(room)
        for seat in random.sample(seats, len(seats)):
            if await refusal(client.select(room, seat)) == "granted":
                winners[seat].append(client.client_id)

    clients = [SeatClient(fresh(f"client{number}"), url) for number in range(count)]
    async with asyncio.TaskGroup() as opening:
        for client in clients:
            opening.create_task(client.__aenter__())
    await asyncio.gather(*(one(client) for client in clients))
    await asyncio.gather(*(client.__aexit__() for client in clients))
    for seat, names in winners.items():
        print(f"  {seat}: {', '.join(names) or 'nobody'}")
    wrong = [seat for seat, names in winners.items() if len(names) != 1]
    print(f"{count} clients, {len(seats)} seats: " + (f"not won exactly once: {wrong}" if wrong else "each seat was won once"))
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", default="automatic", choices=["automatic", "interactive", "multi"])
    parser.add_argument("--url", default=default_url())
    parser.add_argument("--clients", type=int, default=10, help="for multi (default 10)")
    chosen = parser.parse_args()
    try:
        if chosen.mode == "interactive":
            return asyncio.run(interactive(chosen.url))
        if chosen.mode == "multi":
            return asyncio.run(multi(chosen.url, chosen.clients))
        return asyncio.run(automatic(chosen.url))
    except OSError as problem:
        print(f"cannot reach {chosen.url}: {problem}", file=sys.stderr)
        return 2
    except ConnectionClosed as problem:
        print(f"the connection has ended: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
