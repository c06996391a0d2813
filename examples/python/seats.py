"""The seat-selection protocol for Python programs: one connection, requests with their replies, events aside.

Needs the package `websockets`. Replies come in the order of the requests, so a queue of expectations is enough to tell
them from the events of others; an own reply to `select_seat` carries no `user_info`, an event always does.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from typing import Any, Callable
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect

Frame = dict[str, Any]
REPLY_LIMIT_S = 10.0


def default_url() -> str:
    """`WEBSOCKET_URL`, or the address made of `WEBSOCKET_HOST` and `WEBSOCKET_PORT`."""
    host = os.environ.get("WEBSOCKET_HOST", "localhost")
    host = "localhost" if host == "0.0.0.0" else host
    return os.environ.get("WEBSOCKET_URL", f"ws://{host}:{os.environ.get('WEBSOCKET_PORT', '8001')}")


class Refused(Exception):
    """The server said no: `code` is one of the documented codes."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"{frame.get('code', 'error')}: {frame.get('message', '')}")
        self.code: str = frame.get("code", "error")
        self.frame = frame


class SeatClient:
    """One connection. Use it as an async context manager."""

    def __init__(self, client_id: str, url: str | None = None, user_info: Frame | None = None) -> None:
        self.client_id = client_id
        self.address = f"{(url or default_url()).rstrip('/')}/ws/{quote(client_id, safe='')}"
        self.user_info = user_info if user_info is not None else {"name": client_id}
        self.events: asyncio.Queue[Frame] = asyncio.Queue()
        self._expected: deque[tuple[Callable[[Frame], bool], asyncio.Future[Frame]]] = deque()

    async def __aenter__(self) -> SeatClient:
        self._socket: ClientConnection = await connect(self.address)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()
        await self._reader

    async def join(self, room: str) -> Frame:
        """The taken seats, if any, follow as an event `current_selections`."""
        return await self._ask({"type": "join_room", "room_id": room}, lambda frame: frame["type"] == "room_joined")

    async def leave(self, room: str) -> Frame:
        return await self._ask({"type": "leave_room", "room_id": room}, lambda frame: frame["type"] == "room_left")

    async def select(self, room: str, seat: str) -> Frame:
        """Raises `Refused` when the seat is somebody else's."""
        request = {"type": "select_seat", "room_id": room, "seat_id": seat, "user_info": self.user_info}
        return await self._ask(request, lambda frame: self._is_own(frame, "seat_selected", room, seat) and "user_info" not in frame)

    async def release(self, room: str, seat: str) -> Frame:
        request = {"type": "release_seat", "room_id": room, "seat_id": seat}
        return await self._ask(
            request,
            lambda frame: self._is_own(frame, "seat_released", room, seat) and frame.get("reason", "released") == "released",
        )

    async def ping(self) -> Frame:
        return await self._ask({"type": "ping"}, lambda frame: frame["type"] == "pong")

    async def send_text(self, text: str) -> Frame:
        """Sends any text as it is and returns the next refusal: for trying what the server does with nonsense."""
        answer = self._expect(lambda frame: False)
        await self._socket.send(text)
        try:
            return await asyncio.wait_for(answer, REPLY_LIMIT_S)
        except Refused as refused:
            return refused.frame

    async def next_event(self, kind: str, limit_s: float = REPLY_LIMIT_S) -> Frame:
        """The next event of that type; others before it are passed over."""
        async with asyncio.timeout(limit_s):
            while (event := await self.events.get())["type"] != kind:
                pass
        return event

    def _is_own(self, frame: Frame, kind: str, room: str, seat: str) -> bool:
        wanted = (kind, room, seat, self.client_id)
        return (frame["type"], frame.get("room_id"), frame.get("seat_id"), frame.get("client_id")) == wanted

    async def _ask(self, request: Frame, fits: Callable[[Frame], bool]) -> Frame:
        answer = self._expect(fits)
        await self._socket.send(json.dumps(request))
        return await asyncio.wait_for(answer, REPLY_LIMIT_S)

    def _expect(self, fits: Callable[[Frame], bool]) -> asyncio.Future[Frame]:
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._expected.append((fits, answer))
        return answer

    async def _read(self) -> None:
        async for text in self._socket:
            frame = json.loads(text)
            fits, answer = self._expected[0] if self._expected else (None, None)
            if answer is not None and frame["type"] == "error":
                self._expected.popleft()
                answer.set_exception(Refused(frame))
            elif fits is not None and fits(frame):
                self._expected.popleft()
                answer.set_result(frame)
            else:
                self.events.put_nowait(frame)
