"""The copy of one room in v2: its map and one's own cart. Pure: frames come in, the state changes.

The map moves by snapshots and deltas alone: a delta that reaches beyond the next `seq` is a hole and changes nothing, one that
lies behind changes nothing. The cart is what the server said last, whole. Maps come packed (raw DEFLATE, RFC 1951) until one could
not be read.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

Frame = dict[str, Any]


class SeatState(IntEnum):
    FREE = 0
    HELD = 1
    BOOKED = 2
    BLOCKED = 3


@dataclass(frozen=True)
class Order:
    """What of a cart is in checkout or booked; `status` says which."""

    order: str
    status: str
    seats: tuple[str, ...]
    expires_at: datetime | None


@dataclass(frozen=True)
class Cart:
    """All that one owner has in one room. Without `expires_at` it is empty."""

    seats: tuple[str, ...] = ()
    expires_at: datetime | None = None
    extends_left: int = 0
    orders: tuple[Order, ...] = ()

    @staticmethod
    def read(told: Frame) -> Cart:
        orders = [
            Order(str(each["order"]), str(each.get("status")), tuple(each.get("seats", ())), _time(each.get("expires_at")))
            for each in told.get("orders", ())
        ]
        return Cart(tuple(told.get("seats", ())), _time(told.get("expires_at")), int(told.get("extends_left", 0)), tuple(orders))


@dataclass
class Room:
    """With a layout, `states` has one byte a seat in the layout's order; without one, `named` has the seats that are not free."""

    room_id: str
    joined: bool = False
    epoch: str | None = None
    seq: int | None = None
    layout: Frame | None = None
    states: bytearray | None = None
    named: dict[str, SeatState] = field(default_factory=dict)
    cart: Cart = field(default_factory=Cart)
    sale: str = "open"
    hold_ms: int | None = None
    max_seats: int | None = None
    resyncing: bool = False
    #: Whether the map is asked for packed.
    packs: bool = True
    #: The epoch of which `room_joined` has told.
    _life: str | None = None

    @property
    def position(self) -> Frame | None:
        """Where this copy stands, for a `join_room` that goes on from there."""
        return None if self.epoch is None or self.seq is None else {"epoch": self.epoch, "seq": self.seq}

    def state(self, seat: str | int) -> SeatState:
        """The state of a seat by its place in the layout, or by its name in a room without one."""
        if isinstance(seat, int):
            return SeatState(self.states[seat]) if self.states is not None else SeatState.FREE
        return self.named.get(seat, SeatState.FREE)

    def apply(self, frame: Frame) -> bool:
        """Takes a frame of this room. False: events are missing before it, and a snapshot must be asked for."""
        match frame["type"]:
            case "room_joined":
                self._join(frame)
            case "room_left":
                self.joined = False
                self._forget()
            case "snapshot":
                return self._snapshot(frame)
            case "delta":
                return self._delta(frame)
            case "room_state":
                self.sale = str(frame.get("sale"))
                self.joined = self.joined and self.sale != "deleted"
        self._cart(frame)
        return True

    def _cart(self, frame: Frame) -> None:
        if isinstance(frame.get("cart"), dict):
            self.cart = Cart.read(frame["cart"])

    def _join(self, frame: Frame) -> None:
        layout = frame.get("layout")
        if layout != self.layout or frame.get("epoch") != self.epoch:
            self._forget()
        self.layout, self._life = layout, frame.get("epoch")
        self.joined, self.resyncing = True, False
        self.sale, self.hold_ms, self.max_seats = frame.get("sale", "open"), frame.get("hold_ms"), frame.get("max_seats")

    def _forget(self) -> None:
        self.epoch = self.seq = self.states = None
        self.named = {}

    def _snapshot(self, frame: Frame) -> bool:
        """A map that cannot be read changes nothing; where it was packed, a plain one must be asked for, once."""
        if self.layout is not None and frame.get("epoch") != self._life:
            # Asked for while the room got another layout: which seats its numbers mean is told next, with a map.
            self._cart(frame)
            return True
        if self.layout is not None:
            packed = frame.get("packed")
            states = unpack(frame.get("states", "") if packed is None else packed, int(self.layout["seats"]), packed is not None)
            if states is None:
                return packed is None or self._unreadable()
            self.states = states
        else:
            self.named = {seat: SeatState(state) for seat, state in frame.get("seats", ()) if state}
        self.epoch, self.seq, self.resyncing = frame["epoch"], frame["seq"], False
        self._cart(frame)
        return True

    def _unreadable(self) -> bool:
        asked, self.resyncing, self.packs = self.resyncing, True, False
        return asked

    def _delta(self, frame: Frame) -> bool:
        if not self.joined:
            return True
        if self.seq is None or frame["epoch"] != self.epoch or frame["from"] > self.seq + 1:
            asked, self.resyncing = self.resyncing, True
            return asked
        if frame["to"] <= self.seq:
            return True
        for seat, state in frame["changes"]:
            if self.states is not None:
                self.states[seat] = state
            elif state == SeatState.FREE:
                self.named.pop(seat, None)
            else:
                self.named[seat] = SeatState(state)
        self.seq = frame["to"]
        return True


def unpack(text: str, count: int, deflated: bool = False) -> bytearray | None:
    """Two bits a seat as one byte a seat; None when they are not so many. `deflated`: behind raw DEFLATE."""
    length = (count + 3) // 4
    try:
        states = base64.b64decode(text, validate=True)
        if deflated:
            inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
            states = inflate.decompress(states, length + 1)
            if not inflate.eof:
                return None
    except (binascii.Error, TypeError, ValueError, zlib.error):
        return None
    if len(states) != length:
        return None
    return bytearray((states[seat >> 2] >> (2 * (seat & 3))) & 3 for seat in range(count))


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
