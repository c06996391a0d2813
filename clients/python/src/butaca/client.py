"""One connection of v2: requests with their replies by id, rooms that are kept up to date, a session to come back with.

A request may be given up at any time (`asyncio.wait_for`, a cancelled task): its reply still moves the copy of the room, so the
cart says what came of it. When the connection ends, every request in flight raises `ConnectionClosed`, and so does every later one;
the session does not end with it: hand it to the next client, or let `reconnecting` do so.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from .room import Cart, Frame, Room

SUBPROTOCOL = "seats.v2.json"
REPLY_LIMIT_S = 10.0
CONNECT_LIMIT_S = 10.0
BACK_OFF_MIN_S = 0.5
BACK_OFF_MAX_S = 15.0
TRIES_IN_GRACE = 4
#: Events that nobody has asked for yet; at the bound the oldest is thrown away.
EVENTS_MAX = 1_000
#: Rooms of one `resume`: what the server takes.
RESUME_ROOMS_MAX = 64
#: What a client did wrong it would do again.
OWN_FAULTS = frozenset({1002, 1003, 1007, 1009})


class Refused(Exception):
    """The server said no: `code` is one of the documented codes, `frame` has what else it said (`conflicts`, `free`, …)."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"{frame.get('code', 'error')}: {frame.get('message', '')}")
        self.code: str = frame.get("code", "error")
        self.conflicts: list[str] = [each["seat_id"] for each in frame.get("conflicts", ())]
        self.retry_after_ms: int | None = frame.get("retry_after_ms")
        self.frame = frame


class NotSpoken(Exception):
    """The server does not speak v2: `butaca.v1.SeatClient` speaks v1 with it."""


@dataclass
class Session:
    """What a later connection needs to go on with the carts. `session_id` is what the shop's backend names the cart by."""

    session_id: str | None = None
    token: str | None = None
    rooms: dict[str, Room] = field(default_factory=dict)
    #: How long the server keeps the carts without a connection.
    grace_s: float = 0.0

    def patience_s(self, away_s: float) -> float:
        """The longest wait before the next connection: with a cart whose grace lasts yet, a part of that."""
        holds = any(room.cart.seats for room in self.rooms.values())
        return self.grace_s / TRIES_IN_GRACE if holds and away_s < self.grace_s else BACK_OFF_MAX_S


class ButacaClient:
    """Use it as an async context manager. The last of its events is of type `closed`."""

    def __init__(
        self,
        client_id: str,
        url: str = "ws://localhost:8001",
        *,
        session: Session | None = None,
        token: str | None = None,
        user_info: Frame | None = None,
    ) -> None:
        self.client_id = client_id
        self.address = f"{url.rstrip('/')}/ws/{quote(client_id, safe='')}"
        self.session = session if session is not None else Session()
        self.resumed = False
        self.user_info = user_info if user_info is not None else {"name": client_id}
        self._token = token
        self._events: asyncio.Queue[Frame] = asyncio.Queue(EVENTS_MAX)
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._hello: asyncio.Future[Frame] | None = None
        #: Rooms whose first map is on its way.
        self._maps: dict[str, asyncio.Future[None]] = {}
        self._ended: Exception | None = None
        self._own: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> ButacaClient:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            self._socket: ClientConnection = await connect(self.address, subprotocols=[SUBPROTOCOL], max_size=None)  # type: ignore[list-item]
            if self._socket.subprotocol != SUBPROTOCOL:
                await self._socket.close()
                raise NotSpoken(f"{self.address} does not speak {SUBPROTOCOL}; use butaca.v1")
            self._hello = asyncio.get_running_loop().create_future()
            self._reader = asyncio.create_task(self._read())
            try:
                await self._greet(await self._hello)
            except BaseException:
                await self.__aexit__()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends the connection and never raises but when it is cancelled itself. The carts wait for the grace."""
        try:
            with contextlib.suppress(Exception):
                await self._socket.close()
        finally:
            self._socket.transport.abort()  # Nothing, unless the closing was cut short.
            for task in (self._reader, *self._own):
                task.cancel()
            await asyncio.wait([self._reader, *self._own])

    @property
    def close_code(self) -> int:
        """How the connection ended; 1006 while it has not, and when it never began."""
        socket = getattr(self, "_socket", None)
        return (socket.close_code if socket is not None else None) or 1006

    def room(self, room_id: str) -> Room:
        """The copy of a room. It lives with the session: an interruption does not empty it."""
        return self.session.rooms.setdefault(room_id, Room(room_id))

    async def join(self, room_id: str) -> Room:
        """From where the copy stands, when there is one. Returns when the map is there."""
        room = self.room(room_id)
        since = {} if room.position is None else {"since": room.position}
        await self._ask({"type": "join_room", "room_id": room_id, **since, **_wish(room)})
        if room.seq is None:
            coming = self._maps.setdefault(room_id, asyncio.get_running_loop().create_future())
            async with asyncio.timeout(REPLY_LIMIT_S):
                await asyncio.shield(coming)
        return room

    async def leave(self, room_id: str) -> None:
        """The cart stays."""
        await self._ask({"type": "leave_room", "room_id": room_id})

    async def select(self, room_id: str, seats: Sequence[str], *, release: Sequence[str] = ()) -> Cart:
        """All of the seats or none, in one step with what is given back: a swap. Raises `Refused` with `conflicts`."""
        given = {"release": list(release)} if release else {}
        await self._ask({"type": "select_seats", "room_id": room_id, "seats": list(seats), **given, "user_info": self.user_info})
        return self.room(room_id).cart

    async def select_best(
        self,
        room_id: str,
        quantity: int,
        *,
        sections: Iterable[str] | None = None,
        categories: Iterable[str] | None = None,
        accessible: int | None = None,
        adjacent: bool = True,
        release: Sequence[str] = (),
    ) -> tuple[str, ...]:
        """The best seats that there are, chosen and held by the server. Returns their names."""
        asked: Frame = {"type": "select_best", "room_id": room_id, "quantity": quantity, "user_info": self.user_info}
        asked |= {} if sections is None else {"sections": list(sections)}
        asked |= {} if categories is None else {"categories": list(categories)}
        asked |= {} if accessible is None else {"accessible": accessible}
        asked |= {} if adjacent else {"adjacent": False}
        asked |= {"release": list(release)} if release else {}
        return tuple((await self._ask(asked))["seats"])

    async def release(self, room_id: str, seats: Sequence[str] | None = None) -> Cart:
        """Gives seats back; without a list, the whole cart."""
        given = {"all": True} if seats is None else {"seats": list(seats)}
        await self._ask({"type": "release_seats", "room_id": room_id, **given})
        return self.room(room_id).cart

    async def extend(self, room_id: str) -> Cart:
        """The cart's clock begins anew, as often as the server allows it."""
        await self._ask({"type": "extend_hold", "room_id": room_id})
        return self.room(room_id).cart

    async def sync(self, room_id: str) -> Room:
        room = self.room(room_id)
        await self._ask({"type": "sync", "room_id": room_id, **_wish(room)})
        return room

    async def authenticate(self, token: str) -> Frame:
        """A fresh token of the same person, before the old one runs out."""
        return await self._ask({"type": "auth", "token": token})

    async def ping(self) -> Frame:
        return await self._ask({"type": "ping"})

    async def next_event(self, kind: str, limit_s: float = REPLY_LIMIT_S) -> Frame:
        """The next event of that type; others before it are passed over. Raises `ConnectionClosed` when none can come."""
        async with asyncio.timeout(limit_s):
            while True:
                event = await self._events.get()
                if event["type"] == "closed":
                    self._tell(event)  # For whoever else waits.
                if event["type"] == kind:
                    return event
                if event["type"] == "closed" and self._ended is not None:
                    raise copy.copy(self._ended)

    async def _greet(self, hello: Frame) -> None:
        if hello.get("auth") == "required" and self._token is not None:
            await self.authenticate(self._token)
        if self.session.token is not None:
            held = [name for name, room in self.session.rooms.items() if room.cart.seats or room.cart.orders]
            try:
                asked = {"type": "resume", "session_token": self.session.token, "rooms": held[-RESUME_ROOMS_MAX:]}
                hello = await self._ask(asked)
            except Refused as refused:
                if refused.code != "session_unknown":
                    raise
        self.resumed = hello.get("resumed") is True
        self.session.session_id, self.session.token = hello.get("session_id"), hello.get("session_token")
        self.session.grace_s = hello.get("grace_ms", 0) / 1_000
        told = {each["room_id"]: each.get("cart", each) for each in hello.get("carts", ())}
        for room in self.session.rooms.values():
            room.joined = room.resyncing = False
            if not self.resumed or room.room_id in told:
                room.cart = Cart.read(told.get(room.room_id, {}))

    async def _ask(self, request: Frame) -> Frame:
        """Raises `ValueError` or `TypeError` when JSON cannot hold it: a circle, NaN, half a surrogate pair."""
        if self._ended is not None:
            raise copy.copy(self._ended)
        number = next(self._ids)
        text = json.dumps({**request, "id": number}, ensure_ascii=False, allow_nan=False)
        text.encode()
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(REPLY_LIMIT_S):
                await self._socket.send(text)
                frame = await answer
        finally:
            self._waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()
        if frame["type"] == "error":
            raise Refused(frame)
        return frame

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
        for answer in [*self._waiting.values(), *self._maps.values(), *([self._hello] if self._hello else [])]:
            if not answer.done():
                answer.set_exception(copy.copy(problem))
                answer.exception()
        self._tell({"type": "closed", "message": str(problem)})

    def _tell(self, event: Frame) -> None:
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    def _take(self, text: str | bytes) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            return
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            return
        if frame["type"] == "hello" and self._hello is not None and not self._hello.done():
            self._hello.set_result(frame)
            return
        whole = self._apply(frame)
        if (coming := self._maps.get(str(frame.get("room_id")))) and self.room(frame["room_id"]).seq is not None:
            self._maps.pop(frame["room_id"])
            coming.set_result(None)
        answer = self._waiting.get(frame["id"]) if isinstance(frame.get("id"), int) else None
        if answer is not None and not answer.done():
            answer.set_result(frame)
        elif frame["type"] not in ("delta", "snapshot") and "id" not in frame:
            self._tell(frame)
        if not whole:
            self._resync(frame["room_id"])

    def _apply(self, frame: Frame) -> bool:
        """What makes no sense changes nothing."""
        if frame["type"] == "error" or not isinstance(frame.get("room_id"), str):
            return True
        try:
            return self.room(frame["room_id"]).apply(frame)
        except (KeyError, IndexError, TypeError, ValueError):
            return True

    def _resync(self, room_id: str) -> None:
        """A hole: the snapshot is asked for aside, nobody waits for it."""

        async def ask() -> None:
            with contextlib.suppress(ConnectionClosed, OSError, Refused, TimeoutError):
                await self.sync(room_id)

        task = asyncio.create_task(ask())
        self._own.add(task)
        task.add_done_callback(self._own.discard)


def _wish(room: Room) -> Frame:
    return {"packed": True} if room.packs else {}


async def reconnecting(client_id: str, url: str = "ws://localhost:8001", **options: Any) -> AsyncIterator[ButacaClient]:
    """One client after the other on one session, each when the one before has ended: `async for client in reconnecting(…)`.

    Waits longer after each failure, half fixed and half at random. Ends for good where coming back would be wrong (close
    codes 4500 to 4999, and what a client does wrong), by raising `ConnectionError`.
    """
    session = options.pop("session", None) or Session()
    attempt, here = 0, time.monotonic()
    while True:
        client = ButacaClient(client_id, url, session=session, **options)
        try:
            async with client:
                attempt = 0
                yield client
                here = time.monotonic()
        except InvalidStatus as refused:
            if refused.response.status_code in (400, 403, 404):
                raise
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
            pass
        code = client.close_code
        if code in OWN_FAULTS or 4500 <= code <= 4999:
            raise ConnectionError(f"the server does not want this connection back: {code}")
        longest = max(BACK_OFF_MIN_S, session.patience_s(time.monotonic() - here))
        span = min(BACK_OFF_MAX_S, longest, BACK_OFF_MIN_S * 2**attempt)
        attempt = min(attempt + 1, 30)
        await asyncio.sleep(span / 2 + random.random() * span / 2)
