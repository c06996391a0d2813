"""What both clients of the API share: types of answers, refusals, paths, waiting. Pure, but for the chance in `wait_before`."""

from __future__ import annotations

import json
import random
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote

import httpx

Body = dict[str, Any]
#: One of `session_id`, `subject`, `holder`, `client_id`.
Owner = dict[str, str]

#: How often a call is asked before the caller hears of it.
TRIES_MAX = 4
WAIT_MIN_S = 0.2
WAIT_MAX_S = 10.0


class OrderAnswer(TypedDict):
    """An order; `state`: checkout, booked, cancelled, expired, refunded."""

    order: str
    room: str
    state: str
    seats: list[str]
    refunded: NotRequired[list[str]]
    owner: NotRequired[Owner]
    expires_at: str | None
    durable: bool


class SeatTold(TypedDict):
    """A seat; `state`: free, held, checkout, booked, blocked."""

    seat: str
    state: str
    client_id: NotRequired[str]
    owner: NotRequired[Owner]
    order: NotRequired[str]
    label: NotRequired[str]
    since: NotRequired[str]
    expires_at: str | None


class Room(TypedDict):
    """A room and its settings."""

    room: str
    declared: bool
    sale: str
    opens_at: str | None
    hold_ms: int | None
    max_seats: int | None
    no_orphans: bool
    ends_at: str | None
    message: str | None
    layout: dict[str, str] | None
    epoch: str
    seq: int
    members: int
    durable: bool


class Counts(TypedDict):
    """How many seats are what: in all, by section, by category."""

    room: str
    total: dict[str, int | None]
    sections: dict[str, dict[str, int | None]]
    categories: dict[str, dict[str, int | None]]


#: An event of the log: `id`, `cursor`, `type`, `time`, `room`, `n`, and what its type says.
Event = dict[str, Any]


class Problem(Exception):
    """The server said no: `code` is for programs, `conflicts` are the seats in the way with their states."""

    def __init__(self, status: int, body: Body) -> None:
        super().__init__(f"{status} {body.get('code', '')}: {body.get('detail') or body.get('title', '')}")
        self.status = status
        self.code: str = body.get("code", "")
        self.conflicts: list[dict[str, str]] = body.get("conflicts", [])
        self.body = body


def problem_of(answer: httpx.Response) -> Problem:
    """The refusal that an answer is, also when a proxy on the way wrote it."""
    try:
        body = answer.json()
    except ValueError:
        body = {"title": answer.text[:200]}
    return Problem(answer.status_code, body if isinstance(body, dict) else {})


def headers_of(key: str | None) -> dict[str, str]:
    """What says who asks."""
    return {"authorization": f"Bearer {key}"} if key else {}


def path_of(*parts: str) -> str:
    """A path whose names are encoded: they may hold a slash."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def without_none(body: Body) -> Body:
    """What was given."""
    return {name: value for name, value in body.items() if value is not None}


def wait_before(nth: int, retry_after: str | None) -> float:
    """Seconds until the next try: as the server says, otherwise twice as long each time, by chance."""
    if retry_after is not None and retry_after.isdigit():
        return min(float(retry_after), WAIT_MAX_S)
    return min(WAIT_MIN_S * float(2**nth), WAIT_MAX_S) * random.uniform(0.5, 1.0)


def events_of(text: str) -> list[Event]:
    """The events of an NDJSON answer."""
    return [json.loads(line) for line in text.split("\n") if line]
