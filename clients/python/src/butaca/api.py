"""The API of the shop's backend (port 8000), without asyncio. Made of `butaca.api_async` by `make_sync.py`: edit that one.

Every call is named by what it is about, so asking twice is safe: a 503, a lost connection or a time-out is asked again, after
`Retry-After` where the server says so. What the server refuses is a `Problem`. Needs `httpx`: `pip install butaca[api]`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from .problems import (
    TRIES_MAX,
    Body,
    Counts,
    Event,
    OrderAnswer,
    Owner,
    Problem,
    Room,
    SeatTold,
    events_of,
    headers_of,
    path_of,
    problem_of,
    wait_before,
    without_none,
)

__all__ = ["Api", "Problem"]

ANSWER_LIMIT_S = 15.0
EVENTS_WAIT_S = 20


class Api:
    """One backend. Use it as a context manager; one instance serves any number of threads."""

    def __init__(self, url: str = "http://127.0.0.1:8000", key: str | None = None, *, tries: int = TRIES_MAX) -> None:
        self._tries = tries
        self._http = httpx.Client(base_url=url, headers=headers_of(key), timeout=ANSWER_LIMIT_S)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def _send(self, method: str, path: str, body: Body | None, query: Body, limit_s: float) -> httpx.Response:
        for nth in range(1, self._tries + 1):
            try:
                answer = self._http.request(method, path, json=body, params=without_none(query), timeout=limit_s)
            except httpx.TransportError:
                if nth == self._tries:
                    raise
                time.sleep(wait_before(nth, None))
                continue
            if answer.status_code != 503 or nth == self._tries or path in ("/health", "/ready"):
                return answer
            time.sleep(wait_before(nth, answer.headers.get("retry-after")))
        raise ValueError("tries must be at least 1")

    def _ask(self, method: str, path: str, body: Body | None = None, **query: Any) -> Any:
        answer = self._send(method, path, body, query, ANSWER_LIMIT_S)
        if not answer.is_success:
            raise problem_of(answer)
        return answer.json()

    def layouts(self) -> list[Body]:
        """The latest versions of all layouts."""
        answer: list[Body] = (self._ask("GET", "/v1/layouts"))["layouts"]
        return answer

    def put_layout(self, layout: str, plan: Body, *, format: str | None = None) -> Body:
        """Another content is another version. `format="pretix"` takes a seating plan of pretix."""
        answer: Body = self._ask("PUT", path_of("layouts", layout), plan, format=format)
        return answer

    def layout(self, layout: str) -> Body:
        """The latest version, with its plan."""
        answer: Body = self._ask("GET", path_of("layouts", layout))
        return answer

    def delete_layout(self, layout: str) -> Body:
        """Only while no room uses it."""
        answer: Body = self._ask("DELETE", path_of("layouts", layout))
        return answer

    def rooms(self) -> Iterator[Room]:
        """All rooms, page by page."""
        after: str | None = None
        while True:
            page = self._ask("GET", "/v1/rooms", after=after)
            for room in page["rooms"]:
                yield room
            after = page["next"]
            if after is None:
                return

    def put_room(self, room: str, **settings: Any) -> Room:
        """Makes a room; with other settings than it has: `room_differs`."""
        answer: Room = self._ask("PUT", path_of("rooms", room), settings)
        return answer

    def patch_room(self, room: str, **settings: Any) -> Room:
        """Changes what is named: `sale="paused"`, `hold_ms`, …"""
        answer: Room = self._ask("PATCH", path_of("rooms", room), settings)
        return answer

    def room(self, room: str) -> Room:
        """One room."""
        answer: Room = self._ask("GET", path_of("rooms", room))
        return answer

    def delete_room(self, room: str, *, force: bool = False) -> Body:
        """Ends it with its bookings; `force`: with orders in checkout, too."""
        answer: Body = self._ask("DELETE", path_of("rooms", room), force=1 if force else None)
        return answer

    def seats(
        self,
        room: str,
        *,
        state: str | None = None,
        seat: str | None = None,
        owner: str | None = None,
        order: str | None = None,
    ) -> Iterator[SeatTold]:
        """Who has what until when, page by page. Seats that are not free, unless `state="free"`."""
        after: str | None = None
        while True:
            page = self._ask(
                "GET", path_of("rooms", room, "seats"), state=state, seat=seat, owner=owner, order=order, after=after
            )
            for told in page["seats"]:
                yield told
            after = page["next"]
            if after is None:
                return

    def counts(self, room: str) -> Counts:
        """How many seats are what; `free` is None without a layout."""
        answer: Counts = self._ask("GET", path_of("rooms", room, "counts"))
        return answer

    def hold(
        self,
        room: str,
        holder: str,
        *,
        seats: Sequence[str] | None = None,
        best: Body | None = None,
        ttl_s: int | None = None,
    ) -> Body:
        """Holds `seats`, or the `best`, for a kiosk or a sale by telephone."""
        body = without_none({"holder": holder, "seats": seats, "best": best, "ttl_s": ttl_s})
        answer: Body = self._ask("POST", path_of("rooms", room, "hold"), body)
        return answer

    def release(self, room: str, *, reason: str | None = None, **whose: Any) -> Body:
        """Frees held seats: `seats`, `holder`, `session_id` or `subject`."""
        answer: Body = self._ask("POST", path_of("rooms", room, "release"), without_none({**whose, "reason": reason}))
        return answer

    def checkout(
        self,
        room: str,
        order: str,
        owner: Owner,
        *,
        seats: Sequence[str] | None = None,
        ttl_s: int | None = None,
    ) -> OrderAnswer:
        """Takes the cart (or `seats` of it) out of its owner's hands, for as long as paying may take."""
        body = without_none({"owner": owner, "seats": seats, "ttl_s": ttl_s})
        answer: OrderAnswer = self._ask("PUT", path_of("rooms", room, "orders", order), body)
        return answer

    def order(self, room: str, order: str) -> OrderAnswer:
        """An order, also after it ended."""
        answer: OrderAnswer = self._ask("GET", path_of("rooms", room, "orders", order))
        return answer

    def book(self, room: str, order: str, *, late: bool = False) -> OrderAnswer:
        """It is paid. `late`: also after its deadline, if nobody has taken a seat; otherwise `seats_lost`: refund."""
        body = {"mode": "held_or_free" if late else "held"}
        answer: OrderAnswer = self._ask("POST", path_of("rooms", room, "orders", order, "book"), body)
        return answer

    def cancel(self, room: str, order: str, *, to: str = "cart") -> OrderAnswer:
        """It is not paid: back `to` the `"cart"`, or `"free"`."""
        answer: OrderAnswer = self._ask("POST", path_of("rooms", room, "orders", order, "cancel"), {"to": to})
        return answer

    def refund(self, room: str, order: str, *, seats: Sequence[str] | None = None) -> OrderAnswer:
        """Undoes a booking, wholly or in part."""
        body = without_none({"seats": seats})
        answer: OrderAnswer = self._ask("POST", path_of("rooms", room, "orders", order, "refund"), body)
        return answer

    def block(self, room: str, **what: Any) -> Body:
        """Takes free `seats` or `sections` off sale, with a `label`; `held="release"`: held ones, too."""
        answer: Body = self._ask("POST", path_of("rooms", room, "block"), what)
        return answer

    def unblock(self, room: str, **what: Any) -> Body:
        """Puts `seats` or `sections` on sale again."""
        answer: Body = self._ask("POST", path_of("rooms", room, "unblock"), what)
        return answer

    def reconcile(
        self,
        room: str,
        *,
        booked: Sequence[Body] | None = None,
        blocked: Sequence[Body] | None = None,
        dry_run: bool = True,
    ) -> Body:
        """Makes the room say what the shop's database says. A list that is None leaves its kind alone."""
        body = without_none({"booked": booked, "blocked": blocked, "dry_run": dry_run})
        answer: Body = self._ask("POST", path_of("rooms", room, "reconcile"), body)
        return answer

    def disconnect(self, *, ban_s: int | None = None, **whom: str) -> Body:
        """Closes the connections of a `session_id`, `subject` or `client_id`."""
        answer: Body = self._ask("POST", "/v1/clients/disconnect", without_none({**whom, "ban_s": ban_s}))
        return answer

    def events(
        self, room: str | None = None, *, after: str | None = None, wait_s: int = EVENTS_WAIT_S
    ) -> Iterator[Event]:
        """The log, behind the cursor `after`, for ever. Keep each event's `cursor`. Too old a cursor is a `Problem` of 410."""
        path = "/v1/events" if room is None else path_of("rooms", room, "events")
        waiting = {"wait_s": wait_s} if room is None else {}
        while True:
            answer = self._send("GET", path, None, {"after": after, **waiting}, ANSWER_LIMIT_S + wait_s)
            if not answer.is_success:
                raise problem_of(answer)
            events = events_of(answer.text)
            for event in events:
                after = event["cursor"]
                yield event
            if not events and room is not None:
                time.sleep(1)

    def health(self) -> Body:
        """How the server is; also when it does not serve."""
        answer: Body = (self._send("GET", "/health", None, {}, ANSWER_LIMIT_S)).json()
        return answer

    def stats(self) -> Body:
        """Figures of all shards."""
        answer: Body = self._ask("GET", "/stats")
        return answer

    def openapi(self) -> Body:
        """The whole API, for programs."""
        answer: Body = self._ask("GET", "/openapi.json")
        return answer

    def metrics(self) -> str:
        """Figures for Prometheus."""
        answer = self._send("GET", "/metrics", None, {}, ANSWER_LIMIT_S)
        if not answer.is_success:
            raise problem_of(answer)
        return answer.text
