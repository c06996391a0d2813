"""Fifty visitors buy a whole hall in the shop of examples/shop, each with a socket of its own to the seat server.

    shop_check.py SHOP SEATS API ROOM

A visitor takes the best two seats, buys them, and pays; whose payment fails tries again with the cart that came back. One in
five closes its socket while it pays. In the end every seat must be booked once, by an order that the shop knows as booked.
"""

import asyncio
import json
import secrets
import sys

import httpx
import websockets

SHOP, SEATS, API, ROOM = sys.argv[1:5]


async def ask(socket, **request):
    await socket.send(json.dumps(request))
    while True:
        message = json.loads(await socket.recv())
        if message.get("id") == request["id"]:
            return message


async def buy(http, session):
    made = await http.post("/orders", json={"session_id": session})
    if made.status_code != 201:
        return None
    return made.json()["order"]


async def visitor(number, http, mine):
    async with websockets.connect(f"{SEATS}/ws/visitor-{number}?v=2") as socket:
        session = json.loads(await socket.recv())["session_id"]
        await ask(socket, type="join_room", id=0, room_id=ROOM)
        for turn in range(1, 10_000):
            held = await ask(socket, type="select_best", id=turn, room_id=ROOM, quantity=2, adjacent=False)
            if held["type"] != "seats_held":
                if held["code"] != "not_enough_seats":
                    raise AssertionError(held)
                # What is in checkout elsewhere may come back.
                counts = (await http.get(f"{API}/v1/rooms/{ROOM}/counts")).json()["total"]
                if counts["booked"] == sum(counts.values()):
                    return
                await asyncio.sleep(0.05)
                continue
            order = await buy(http, session)
            assert order, "a cart can be bought"
            await http.post(f"/orders/{order}/pay")
            if secrets.randbelow(5) == 0:
                break  # The tab is closed while the payment runs.
            while (state := (await http.get(f"/orders/{order}")).json()["state"]) == "paying":
                await asyncio.sleep(0.05)
            mine.append(order)
            if state == "failed":
                await ask(socket, type="release_seats", id=turn + 100_000, room_id=ROOM, all=True)
    mine.append(order)
    while (await http.get(f"/orders/{order}")).json()["state"] == "paying":
        await asyncio.sleep(0.05)
    await visitor(f"{number}-again", http, mine)


async def main():
    mine = []
    async with httpx.AsyncClient(base_url=SHOP, timeout=60, limits=httpx.Limits(max_connections=200)) as http:
        async with asyncio.TaskGroup() as tasks:
            for number in range(50):
                tasks.create_task(visitor(number, http, mine))
        orders = [(await http.get(f"/orders/{order}")).json() for order in mine]
        states = {state: sum(order["state"] == state for order in orders) for state in sorted({order["state"] for order in orders})}
        booked = [seat for order in orders if order["state"] == "booked" for seat in order["seats"]]
        assert len(booked) == len(set(booked)), "a seat was sold twice"
        counts = (await http.get(f"{API}/v1/rooms/{ROOM}/counts")).json()["total"]
        assert counts["booked"] == len(booked) == sum(counts.values()), (counts, len(booked))
        print(f"{counts['booked']} seats booked by {states}")


asyncio.run(main())
