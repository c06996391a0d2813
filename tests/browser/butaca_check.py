"""The installed Python package against a server that says what the test wants, when the test wants it. Run by python.test.mjs."""

import asyncio
import base64
import json
import unittest
import zlib

import butaca
from butaca import ButacaClient, NotSpoken, Refused, Session, reconnecting
from butaca.client import SUBPROTOCOL
from butaca.room import unpack
from butaca.v1 import SeatClient
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

HANGS_S = 5.0
CART = {"seats": [], "expires_at": None, "extends_left": 1, "orders": []}


def deflated(states):
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(bytes(states)) + deflate.flush()


async def within(waiting):
    return await asyncio.wait_for(waiting, HANGS_S)


class Scripted(unittest.IsolatedAsyncioTestCase):
    subprotocols = [SUBPROTOCOL]

    async def asyncSetUp(self):
        self.heard, self.sockets = asyncio.Queue(), asyncio.Queue()
        self.unseen = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.unseen.append(context))
        self.server = await serve(self.serve, "127.0.0.1", 0, close_timeout=0.2, subprotocols=self.subprotocols)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def asyncTearDown(self):
        self.server.close()
        await self.server.wait_closed()
        self.assertEqual(self.unseen, [], "an exception that nobody saw")
        left = [task for task in asyncio.all_tasks() if "ButacaClient" in repr(task.get_coro())]
        self.assertEqual(left, [], "a task was left behind")

    async def serve(self, socket):
        self.sockets.put_nowait(socket)
        self.socket = socket
        await self.says({"type": "hello", "session_id": "s", "session_token": "t1", "resumed": False, "auth": self.auth, "carts": []})
        try:
            async for text in socket:
                self.heard.put_nowait(json.loads(text))
        except ConnectionClosed:
            pass

    auth = "off"

    async def says(self, *frames):
        for frame in frames:
            await self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def answers(self, kind, *frames):
        """Answers the next request, which is of this type: the first frame gets its id."""
        request = await within(self.heard.get())
        self.assertEqual(request["type"], kind)
        await self.says({**frames[0], "id": request["id"]}, *frames[1:])
        return request

    async def asked(self, asking, kind, *frames):
        """Lets a request be answered; what it was, and what came of it."""
        task = asyncio.create_task(asking)
        request = await self.answers(kind, *frames)
        return request, await within(task)

    def joined(self, **more):
        return {"type": "room_joined", "room_id": "hall", "epoch": "e", "seq": 1, "sale": "open", **more}

    def snapshot(self, states, seq=1):
        packed = bytes(sum(state << (2 * at) for at, state in enumerate(states[byte : byte + 4])) for byte in range(0, len(states), 4))
        text = base64.b64encode(packed).decode()
        return {"type": "snapshot", "room_id": "hall", "epoch": "e", "seq": seq, "states": text, "cart": CART}

    def delta(self, first, last, changes):
        return {"type": "delta", "room_id": "hall", "epoch": "e", "from": first, "to": last, "changes": changes}

    async def join(self, client, states=(0, 1, 2, 3, 0)):
        layout = {"id": "hall", "version": "v", "seats": len(states)}
        return (await self.asked(client.join("hall"), "join_room", self.joined(layout=layout), self.snapshot(states)))[1]


class Carts(Scripted):
    async def test_are_taken_swapped_and_refused(self):
        async with ButacaClient("ana", self.url) as client:
            held = {"type": "seats_held", "room_id": "hall", "seq": 2, "seats": ["A1"], "cart": {**CART, "seats": ["A1"], "expires_at": "2026-01-15T10:30:00Z"}}
            request, cart = await self.asked(client.select("hall", ["A1"], release=["A2"]), "select_seats", held)
            self.assertEqual((request["seats"], request["release"]), (["A1"], ["A2"]))
            self.assertEqual((cart.seats, cart.expires_at.minute), (("A1",), 30))
            refusal = {"type": "error", "code": "seats_unavailable", "conflicts": [{"seat_id": "A3", "state": 1}]}
            with self.assertRaises(Refused) as caught:
                await self.asked(client.select("hall", ["A3"]), "select_seats", refusal)
            self.assertEqual((caught.exception.code, caught.exception.conflicts), ("seats_unavailable", ["A3"]))
            best = await self.asked(client.select_best("hall", 2, accessible=1, adjacent=False), "select_best", {**held, "seats": ["B1", "B2"]})
            self.assertEqual(best[1], ("B1", "B2"))
            self.assertEqual({**best[0], "id": 0, "user_info": 0}, {"type": "select_best", "room_id": "hall", "quantity": 2, "accessible": 1, "adjacent": False, "id": 0, "user_info": 0})
            await self.says({"type": "cart", "room_id": "hall", "seq": 3, "reason": "expired", "gone": ["A1"], "cart": CART})
            self.assertEqual((await within(client.next_event("cart")))["gone"], ["A1"])
            self.assertEqual(client.room("hall").cart.seats, ())

    async def test_that_were_asked_for_in_vain_tell_what_came_of_it(self):
        async with ButacaClient("ana", self.url) as client:
            asking = asyncio.create_task(client.select("hall", ["A1"]))
            request = await within(self.heard.get())
            asking.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await asking
            await self.says({"type": "seats_held", "id": request["id"], "room_id": "hall", "seq": 2, "seats": ["A1"], "cart": {**CART, "seats": ["A1"]}})
            await self.asked(client.ping(), "ping", {"type": "pong"})
            self.assertEqual(client.room("hall").cart.seats, ("A1",))

    async def test_cancelled_at_every_step(self):
        for turns in range(12):
            async with ButacaClient("ana", self.url) as client:
                asking = asyncio.create_task(client.extend("hall"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
                ping = asyncio.create_task(client.ping())
                while (request := await within(self.heard.get()))["type"] != "ping":
                    pass
                await self.says({"type": "pong", "id": request["id"]})
                await within(ping)


class Maps(Scripted):
    async def test_move_by_snapshots_and_deltas(self):
        async with ButacaClient("ana", self.url) as client:
            room = await self.join(client)
            self.assertEqual(list(room.states), [0, 1, 2, 3, 0])
            await self.says(self.delta(2, 3, [[0, 1]]), self.delta(2, 3, [[0, 2]]), self.delta(1, 4, [[4, 1]]), "{", "[]", '{"type":"delta","room_id":"hall"}')
            await self.asked(client.ping(), "ping", {"type": "pong"})
            self.assertEqual((list(room.states), room.seq), ([1, 1, 2, 3, 1], 4))
            await self.says(self.delta(9, 9, [[0, 0]]), self.delta(10, 10, [[1, 0]]))
            await self.answers("sync", self.snapshot([3, 3, 3, 3, 3], 10))
            await self.asked(client.ping(), "ping", {"type": "pong"})
            self.assertEqual((list(room.states), room.seq), ([3] * 5, 10))

    async def test_without_a_layout_have_names(self):
        async with ButacaClient("ana", self.url) as client:
            snapshot = {"type": "snapshot", "room_id": "hall", "epoch": "e", "seq": 1, "seats": [["A1", 1]], "cart": CART}
            await self.asked(client.join("hall"), "join_room", self.joined(), snapshot)
            await self.says(self.delta(2, 3, [["A1", 0], ["B1", 2]]))
            await self.asked(client.ping(), "ping", {"type": "pong"})
            self.assertEqual(client.room("hall").named, {"B1": 2})

    def packed(self, data):
        snapshot = {"type": "snapshot", "room_id": "hall", "epoch": "e", "seq": 1, "cart": CART}
        return {**snapshot, "packed": data if isinstance(data, str) else base64.b64encode(data).decode()}

    async def test_come_packed(self):
        async with ButacaClient("ana", self.url) as client:
            layout = {"id": "hall", "version": "v", "seats": 5}
            joining = client.join("hall")
            request, room = await self.asked(joining, "join_room", self.joined(layout=layout), self.packed(deflated([0b11100100, 1])))
            self.assertEqual((request["packed"], list(room.states)), (True, [0, 1, 2, 3, 1]))
            self.assertTrue(self.heard.empty(), "one map is enough")

    async def test_that_cannot_be_unpacked_are_asked_for_as_they_are(self):
        whole = deflated([0b11100100, 1])
        for bad in (whole[:-1], "%", b"", b"\xff\xff", deflated([1]), deflated(bytes(50_000_000))):
            async with ButacaClient("ana", self.url) as client:
                layout = {"id": "hall", "version": "v", "seats": 5}
                joining = asyncio.create_task(client.join("hall"))
                await self.answers("join_room", self.joined(layout=layout), self.packed(bad))
                request = await self.answers("sync", self.snapshot([0, 1, 2, 3, 1]))
                self.assertNotIn("packed", request)
                self.assertEqual(list((await within(joining)).states), [0, 1, 2, 3, 1])
                # A server that packs nevertheless is asked once more, and not for ever.
                await self.asked(client.sync("hall"), "sync", self.packed(bad))
                await self.answers("sync", self.packed(bad))
                await self.asked(client.ping(), "ping", {"type": "pong"})

    async def test_that_never_come_are_waited_for_until_the_end(self):
        async with ButacaClient("ana", self.url) as client:
            joining = asyncio.create_task(client.join("hall"))
            await self.answers("join_room", self.joined())
            await self.asked(client.ping(), "ping", {"type": "pong"})
            self.assertFalse(joining.done())
            await self.socket.close(1001)
            with self.assertRaises(ConnectionClosed):
                await within(joining)

    def test_of_another_size_are_none(self):
        self.assertIsNone(unpack("AAAA", 3))
        self.assertIsNone(unpack("%", 1))
        self.assertEqual(list(unpack(base64.b64encode(bytes([0b11100100, 1])).decode(), 5)), [0, 1, 2, 3, 1])


class Sessions(Scripted):
    async def test_go_on_from_where_they_stand(self):
        session = Session()
        async with ButacaClient("ana", self.url, session=session) as client:
            await self.join(client)
            await self.says({"type": "cart", "room_id": "hall", "seq": 1, "reason": "restored", "gone": [], "cart": {**CART, "seats": ["A1"]}})
            await within(client.next_event("cart"))
        again = asyncio.create_task(ButacaClient("ana", self.url, session=session).__aenter__())
        hello = {"type": "hello", "session_id": "s", "session_token": "t2", "resumed": True, "carts": [{"room_id": "hall", "cart": {**CART, "seats": ["A1"]}}]}
        request = await self.answers("resume", hello)
        client = await within(again)
        self.assertEqual((request["session_token"], request["rooms"]), ("t1", ["hall"]))
        self.assertEqual((client.resumed, session.token, client.room("hall").cart.seats), (True, "t2", ("A1",)))
        request, room = await self.asked(client.join("hall"), "join_room", self.joined(layout=session.rooms["hall"].layout), self.delta(2, 2, [[0, 1]]))
        self.assertEqual(request["since"], {"epoch": "e", "seq": 1})
        await self.asked(client.ping(), "ping", {"type": "pong"})
        self.assertEqual(list(room.states), [1, 1, 2, 3, 0])
        await client.__aexit__()

    async def test_that_are_not_known_any_more_begin_anew(self):
        session = Session(token="old")
        opening = asyncio.create_task(ButacaClient("ana", self.url, session=session).__aenter__())
        await self.answers("resume", {"type": "error", "code": "session_unknown"})
        client = await within(opening)
        self.assertEqual((client.resumed, session.token), (False, "t1"))
        await client.__aexit__()

    async def test_come_back_until_they_are_not_wanted(self):
        butaca.client.BACK_OFF_MIN_S, before = 0.001, butaca.client.BACK_OFF_MIN_S
        seen = []
        try:
            with self.assertRaisesRegex(ConnectionError, "4505"):
                async for client in reconnecting("ana", self.url):
                    seen.append(client)
                    if len(seen) > 1:
                        self.assertTrue(client.resumed)
                    await self.socket.close(1001 if len(seen) < 3 else 4505)
                    await within(client.next_event("closed"))
                    if len(seen) < 3:
                        self.resuming = asyncio.create_task(self.answers("resume", {"type": "hello", "session_token": "t", "resumed": True, "carts": []}))
        finally:
            butaca.client.BACK_OFF_MIN_S = before
        self.assertEqual(len(seen), 3)

    def test_with_a_cart_are_not_waited_away(self):
        session = Session(grace_s=15.0, rooms={"hall": butaca.room.Room("hall")})
        self.assertEqual(session.patience_s(0.0), 15.0, "nothing hurries without a cart")
        session.rooms["hall"].cart = butaca.room.Cart(("A1",))
        self.assertEqual((session.patience_s(14.9), session.patience_s(15.0)), (3.75, 15.0))

    async def test_end_what_is_in_flight(self):
        client = await ButacaClient("ana", self.url).__aenter__()
        asking = [asyncio.create_task(client.extend("hall")), asyncio.create_task(client.next_event("cart"))]
        await within(self.heard.get())
        await self.socket.close(1001)
        for task in asking:
            with self.assertRaises(ConnectionClosed):
                await within(task)
        with self.assertRaises(ConnectionClosed):
            await client.ping()
        await client.__aexit__()


class Tokens(Scripted):
    auth = "required"

    async def test_are_shown_first(self):
        opening = asyncio.create_task(ButacaClient("ana", self.url, token="jwt").__aenter__())
        request = await self.answers("auth", {"type": "authenticated"})
        self.assertEqual(request["token"], "jwt")
        await (await within(opening)).__aexit__()

    async def test_that_are_wrong_are_refused(self):
        opening = asyncio.create_task(ButacaClient("ana", self.url, token="bad").__aenter__())
        await self.answers("auth", {"type": "error", "code": "unauthorized"})
        with self.assertRaises(Refused):
            await within(opening)


class Old(Scripted):
    subprotocols = None

    async def test_servers_are_told_from_new_ones(self):
        with self.assertRaises(NotSpoken):
            await within(ButacaClient("ana", self.url).__aenter__())

    def test_servers_have_their_client(self):
        self.assertEqual(SeatClient("ana", "ws://x").address, "ws://x/ws/ana")


if __name__ == "__main__":
    unittest.main()
