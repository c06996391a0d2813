"""Client of the Butaca seat-selection server.

`ButacaClient` speaks v2: a cart, a session that outlives connections, a map in two bits a seat. `butaca.v1.SeatClient` speaks
v1: one seat a request. Both are asyncio, on the package `websockets`.
"""

from .client import BACK_OFF_MAX_S, ButacaClient, NotSpoken, Refused, Session, reconnecting
from .room import Cart, Order, Room, SeatState

__all__ = [
    "BACK_OFF_MAX_S",
    "ButacaClient",
    "Cart",
    "NotSpoken",
    "Order",
    "Refused",
    "Room",
    "SeatState",
    "Session",
    "reconnecting",
]
__version__ = "2.0.0"
