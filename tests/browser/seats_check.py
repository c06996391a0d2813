"""The Python client against a server that says what the test wants, when the test wants it. Run by python.test.mjs.

Nothing here waits for a time: the script and the client take turns, and a limit ends what hangs.
"""

import asyncio
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "python"))

import seats  # noqa: E402
from seats import ConnectionClosed, Refused, SeatClient  # noqa: E402
from websockets.asyncio.server import serve  # noqa: E402

HANGS_S = 5.0


class Scripted(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.heard = asyncio.Queue()
        self.over = asyncio.Event()
        self.unseen = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.unseen.append(context))
        self.server = await serve(self.serve, "127.0.0.1", 0, close_timeout=0.2)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def asyncTearDown(self):
        self.over.set()
        self.server.close()
        await self.server.wait_closed()
        self.assertEqual(self.unseen, [], "an exception that nobody saw")
        left = [task for task in asyncio.all_tasks() if "SeatClient" in repr(task.get_coro())]
        self.assertEqual(left, [], "a task was left behind")

    async def serve(self, socket):
        self.socket = socket
        reader = asyncio.create_task(self.read(socket))
        await self.over.wait()
        reader.cancel()

    async def read(self, socket):
        async for text in socket:
            self.heard.put_nowait(json.loads(text))

    async def hears(self, kind):
        """The next request, which is of this type: so the client waits for its reply now."""
        request = await asyncio.wait_for(self.heard.get(), HANGS_S)
        self.assertEqual(request["type"], kind)
        return request

    async def says(self, *frames):
        for frame in frames:
            await self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def client(self):
        return SeatClient("ana", self.url)

    async def works(self, client):
        asking = asyncio.create_task(client.ping())
        await self.hears("ping")
        await self.says({"type": "pong", "timestamp": "now"})
        self.assertEqual((await within(asking))["timestamp"], "now")


def selected(seat, **more):
    return {"type": "seat_selected", "room_id": "hall", "seat_id": seat, "client_id": "ana", **more}


def refused(code, seat, **more):
    return {"type": "error", "code": code, "message": "", "room_id": "hall", "seat_id": seat, "request_type": "select_seat", **more}


async def within(waiting):
    return await asyncio.wait_for(waiting, HANGS_S)


class Cancelling(Scripted):
    async def test_a_reply_that_nobody_waits_for_is_thrown_away(self):
        for reply in (selected("A1"), refused("seat_taken", "A1")):
            async with self.client() as client:
                asking = asyncio.create_task(client.select("hall", "A1"))
                await self.hears("select_seat")
                asking.cancel()
                await self.says(reply)
                await self.works(client)
                self.assertTrue(client.events.empty())
                with self.assertRaises(asyncio.CancelledError):
                    await asking

    async def test_before_it_was_sent(self):
        async with self.client() as client:
            asking = asyncio.create_task(client.select("hall", "A1"))
            asking.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await asking
            await self.works(client)

    async def test_while_it_is_sent(self):
        async with self.client() as client:
            sending, go = asyncio.Event(), asyncio.Event()
            send = client._socket.send

            async def slow(text):
                await send(text)
                sending.set()
                await go.wait()

            client._socket.send = slow
            asking = asyncio.create_task(client.select("hall", "A1"))
            await sending.wait()
            asking.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await asking
            client._socket.send = send
            await self.hears("select_seat")
            await self.says(refused("seat_taken", "A1"))
            await self.works(client)

    async def test_with_a_time_limit(self):
        async with self.client() as client:
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(client.select("hall", "A1"), 0.01)
            await self.hears("select_seat")
            again = asyncio.create_task(client.select("hall", "A1"))
            await self.hears("select_seat")
            # Two replies to two requests that look the same: the first belongs to the one that was given up.
            await self.says(selected("A1", seq=1), selected("A1", seq=1, again=True))
            self.assertTrue((await within(again))["again"])
            await self.works(client)

    async def test_a_request_that_is_never_answered_does_not_hide_the_next_reply(self):
        limit, seats.REPLY_LIMIT_S = seats.REPLY_LIMIT_S, 0.01
        try:
            async with self.client() as client:
                with self.assertRaises(TimeoutError):
                    await client.select("hall", "A1")
                await self.hears("select_seat")
                seats.REPLY_LIMIT_S = limit
                await self.works(client)
        finally:
            seats.REPLY_LIMIT_S = limit

    async def test_a_later_reply_ends_the_waiting_for_an_earlier_one(self):
        async with self.client() as client:
            one = asyncio.create_task(client.select("hall", "A1"))
            await self.hears("select_seat")
            two = asyncio.create_task(client.select("hall", "A2"))
            await self.hears("select_seat")
            await self.says(refused("seat_taken", "A2"))
            with self.assertRaises(Refused):
                await within(two)
            with self.assertRaises(TimeoutError):
                await within(one)

    async def test_waiting_for_an_event_loses_none(self):
        async with self.client() as client:
            waiting = asyncio.create_task(client.next_event("seat_selected"))
            await asyncio.sleep(0)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            await self.works(client)
            await self.says(selected("A1", user_info={}))
            self.assertEqual((await client.next_event("seat_selected"))["seat_id"], "A1")

    async def test_leaving(self):
        client = await self.client().__aenter__()
        closing = asyncio.Event()

        async def hang():
            closing.set()
            await asyncio.Event().wait()

        client._socket.close = hang
        leaving = asyncio.create_task(client.__aexit__())
        await closing.wait()
        leaving.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await within(leaving)
        self.assertTrue(client._reader.done())
        await within(client._socket.wait_closed())

    async def test_everything_at_every_step(self):
        """A request is cancelled after any number of turns of the loop; the next one works all the same."""
        for turns in range(12):
            async with self.client() as client:
                asking = asyncio.create_task(client.select("hall", "A1"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
                again = asyncio.create_task(client.select("hall", "A1"))
                heard = [await self.hears("select_seat")]
                ping = asyncio.create_task(client.ping())
                while (request := await within(self.heard.get()))["type"] != "ping":
                    heard.append(request)
                await self.says(*[selected("A1", seq=number) for number in range(len(heard))], {"type": "pong"})
                self.assertEqual((await within(again))["seq"], len(heard) - 1, f"after {turns} turns")
                await within(ping)
                self.assertTrue(client.events.empty())


class Dying(Scripted):
    async def test_requests_in_flight_fail_at_once_and_later_ones_too(self):
        for end in (lambda: self.socket.close(1001, "bye"), self.cut):
            client = await self.client().__aenter__()
            asking = [asyncio.create_task(client.select("hall", seat)) for seat in ("A1", "A2")]
            asking.append(asyncio.create_task(client.send_text("{}")))
            waiting = [asyncio.create_task(client.next_event("seat_released", 60)) for _ in range(2)]
            for _ in range(3):
                await within(self.heard.get())
            await end()
            for task in asking + waiting:
                with self.assertRaises(ConnectionClosed):
                    await within(task)
            for again in (client.ping, lambda: client.next_event("seat_selected", 60)):
                with self.assertRaises(ConnectionClosed):
                    await within(again())
            self.assertEqual((await within(client.next_event("closed")))["type"], "closed")
            await within(client.__aexit__())

    async def cut(self):
        self.socket.transport.abort()

    async def test_leaving_does_not_hide_what_the_caller_raised(self):
        for end in (lambda: self.socket.close(1011), self.cut):
            with self.assertRaisesRegex(ValueError, "mine"):
                async with self.client() as client:
                    await self.works(client)
                    await end()
                    await within(asyncio.wait([client._reader]))
                    raise ValueError("mine")

    async def test_leaving_a_dead_connection_is_no_error(self):
        async with self.client() as client:
            await self.works(client)
            await self.cut()

    async def test_leaving_ends_what_still_waits(self):
        async with self.client() as client:
            asking = asyncio.create_task(client.select("hall", "A1"))
            await self.hears("select_seat")
        with self.assertRaises((ConnectionClosed, ConnectionError)):
            await within(asking)


class Speaking(Scripted):
    async def test_frames_that_make_no_sense_are_survived(self):
        async with self.client() as client:
            await self.works(client)
            await self.says("", "{", "null", "[]", "7", '{"type":7}', '{"type":"novelty"}')
            await self.socket.send(b"\xff")
            await self.works(client)

    async def test_what_json_cannot_hold_is_not_sent(self):
        loop = {}
        loop["self"] = loop
        async with self.client() as client:
            for info in (loop, {"n": {1}}, {"n": float("nan")}, {"name": "\ud83c"}):
                client.user_info = info
                with self.assertRaises((TypeError, ValueError)):
                    await client.select("hall", "A1")
            await self.works(client)

    async def test_too_many_messages_say_how_long_to_wait(self):
        async with self.client() as client:
            asking = asyncio.create_task(client.select("hall", "A1"))
            await self.hears("select_seat")
            await self.says(refused("rate_limited", "A1", retry_after_ms=400))
            with self.assertRaises(Refused) as caught:
                await within(asking)
            self.assertEqual((caught.exception.code, caught.exception.retry_after_ms), ("rate_limited", 400))


if __name__ == "__main__":
    unittest.main()
