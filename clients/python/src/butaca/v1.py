"""The seat-selection protocol for Python programs: one connection, requests with their replies, events aside.

Needs the package `websockets`. Replies come in the order of the requests, so a queue of expectations is enough to tell
them from the events of others; an own reply to `select_seat` carries no `user_info`, an event always does.

A request may be given up at any time (`asyncio.wait_for`, a cancelled task): it keeps its place in the queue, and its reply
is thrown away. Whether the server did what was asked is then not known. When the connection ends, every request in flight
raises `ConnectionClosed` at once, and so does every later one.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
from collections import deque
from typing import Any, NamedTuple
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

__all__ = ["ConnectionClosed", "Frame", "Refused", "SeatClient", "default_url"]

Frame = dict[str, Any]
REPLY_LIMIT_S = 10.0


def default_url() -> str:
    """`WEBSOCKET_URL`, or the address made of `WEBSOCKET_HOST` and `WEBSOCKET_PORT`."""
    host = os.environ.get("WEBSOCKET_HOST") or "localhost"
    host = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return os.environ.get("WEBSOCKET_URL", f"ws://{host}:{os.environ.get('WEBSOCKET_PORT', '8001')}")


class Refused(Exception):
    """The server said no: `code` is one of the documented codes. With `rate_limited`, `retry_after_ms` says how long to wait."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"{frame.get('code', 'error')}: {frame.get('message', '')}")
        self.code: str = frame.get("code", "error")
        self.retry_after_ms: int | None = frame.get("retry_after_ms")
        self.frame = frame


class _Waiting(NamedTuple):
    """A request without a reply; `asked` is None when it is some text of which only a refusal is expected."""

    asked: Frame | None
    answer: asyncio.Future[Frame]


class SeatClient:
    """One connection. Use it as an async context manager. The last of its `events` is of type `closed`."""

    def __init__(self, client_id: str, url: str | None = None, user_info: Frame | None = None) -> None:
        self.client_id = client_id
        self.address = f"{(url or default_url()).rstrip('/')}/ws/{quote(client_id, safe='')}"
        self.user_info = user_info if user_info is not None else {"name": client_id}
        self.events: asyncio.Queue[Frame] = asyncio.Queue()
        self._waiting: deque[_Waiting] = deque()
        self._ended: Exception | None = None

    async def __aenter__(self) -> SeatClient:
        self._socket: ClientConnection = await connect(self.address)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends the connection and never raises but when it is cancelled itself: what the caller raised is what counts."""
        try:
            with contextlib.suppress(Exception):
                await self._socket.close()
        finally:
            self._socket.transport.abort()  # Nothing, unless the closing was cut short.
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def join(self, room: str) -> Frame:
        """The taken seats, if any, follow as an event `current_selections`."""
        return await self._ask({"type": "join_room", "room_id": room})

    async def leave(self, room: str) -> Frame:
        return await self._ask({"type": "leave_room", "room_id": room})

    async def select(self, room: str, seat: str) -> Frame:
        """Raises `Refused` when the seat is somebody else's."""
        return await self._ask({"type": "select_seat", "room_id": room, "seat_id": seat, "user_info": self.user_info})

    async def release(self, room: str, seat: str) -> Frame:
        return await self._ask({"type": "release_seat", "room_id": room, "seat_id": seat})

    async def ping(self) -> Frame:
        return await self._ask({"type": "ping"})

    async def send_text(self, text: str) -> Frame:
        """Sends any text as it is and returns the next refusal: for trying what the server does with nonsense."""
        try:
            return await self._send(text, None)
        except Refused as refused:
            return refused.frame

    async def next_event(self, kind: str, limit_s: float = REPLY_LIMIT_S) -> Frame:
        """The next event of that type; others before it are passed over. Raises `ConnectionClosed` when none can come."""
        async with asyncio.timeout(limit_s):
            while True:
                event = await self.events.get()
                if event["type"] == "closed":
                    self.events.put_nowait(event)  # For whoever else waits.
                if event["type"] == kind:
                    return event
                if event["type"] == "closed" and self._ended is not None:
                    raise copy.copy(self._ended)

    async def _ask(self, request: Frame) -> Frame:
        """Raises `ValueError` or `TypeError` when JSON cannot hold it: a circle, NaN, half a surrogate pair."""
        text = json.dumps(request, ensure_ascii=False, allow_nan=False)
        text.encode()
        return await self._send(text, request)

    async def _send(self, text: str, asked: Frame | None) -> Frame:
        if self._ended is not None:
            raise copy.copy(self._ended)
        waiting = _Waiting(asked, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(REPLY_LIMIT_S):
                await self._socket.send(text)
                return await waiting.answer
        finally:
            # Whoever waits no longer leaves the place in the queue: the server may have heard the request.
            if not waiting.answer.cancel() and not waiting.answer.cancelled():
                waiting.answer.exception()

    async def _read(self) -> None:
        ended: Exception = ConnectionError("the client was left")
        try:
            while True:
                self._take(await self._socket.recv())
        except Exception as problem:
            ended = problem
        finally:
            self._end(ended)

    def _end(self, problem: Exception) -> None:
        self._ended = problem
        while self._waiting:
            self._fail(self._waiting.popleft(), copy.copy(problem))
        self.events.put_nowait({"type": "closed", "message": str(problem)})

    def _take(self, text: str | bytes) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            return
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            return
        index = next((at for at, (asked, _) in enumerate(self._waiting) if self._answers(asked, frame)), None)
        if index is None:
            self.events.put_nowait(frame)
            return
        for _ in range(index):
            self._fail(self._waiting.popleft(), TimeoutError("no reply came, but one to a later request"))
        answered = self._waiting.popleft()
        if frame["type"] == "error":
            self._fail(answered, Refused(frame))
        elif not answered.answer.done():
            answered.answer.set_result(frame)

    @staticmethod
    def _fail(waiting: _Waiting, problem: Exception) -> None:
        if not waiting.answer.done():
            waiting.answer.set_exception(problem)

    def _answers(self, asked: Frame | None, frame: Frame) -> bool:
        """Whether `frame` can be the reply to `asked`."""
        kind: str = frame["type"]
        if kind == "error":
            about = (("type", "request_type"), ("room_id", "room_id"), ("seat_id", "seat_id"))
            return asked is None or all(frame.get(theirs, asked.get(ours)) == asked.get(ours) for ours, theirs in about)
        if asked is None:
            return False
        same_room: bool = frame.get("room_id") == asked.get("room_id")
        own_seat: bool = same_room and (frame.get("seat_id"), frame.get("client_id")) == (asked.get("seat_id"), self.client_id)
        match asked["type"]:
            case "join_room":
                return kind == "room_joined" and same_room
            case "leave_room":
                return kind == "room_left" and same_room
            case "select_seat":
                return kind == "seat_selected" and own_seat and "user_info" not in frame
            case "release_seat":
                return kind == "seat_released" and own_seat and frame.get("reason", "released") == "released"
            case _:
                return kind == "pong"
