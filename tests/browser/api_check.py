"""The API's clients, sync and async, against the real server (`API_URL`, memory store). Run by shop.test.mjs."""

import asyncio
import os
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from butaca.api import Api
from butaca.api_async import AsyncApi
from butaca.problems import Problem, events_of, path_of, wait_before

URL = os.environ["API_URL"]
SEATS = [{"id": f"A{n}", "section": "S", "row": "A", "number": n, "category": "c", "x": n, "y": 0} for n in range(1, 9)]
PLAN = {"categories": [{"id": "c"}], "seats": SEATS}


class Calls(unittest.TestCase):
    def setUp(self):
        self.api = Api(URL)
        self.addCleanup(self.api.close)

    def refused(self, code, call, *words, **named):
        with self.assertRaises(Problem) as caught:
            call(*words, **named)
        self.assertEqual(caught.exception.code, code)
        return caught.exception

    def test_the_life_of_a_room(self):
        api = self.api
        api.put_layout("api/plan", PLAN)
        self.assertEqual(len(api.layout("api/plan")["plan"]["seats"]), len(SEATS))
        self.assertIn("api/plan", str(api.layouts()))
        room = api.put_room("r/1", layout="api/plan", sale="open")
        self.assertEqual(room, api.put_room("r/1", layout="api/plan", sale="open"))
        self.refused("room_differs", api.put_room, "r/1", layout="api/plan", sale="closed")
        self.assertEqual(api.patch_room("r/1", sale="paused")["sale"], "paused")
        self.assertIn("r/1", [each["room"] for each in api.rooms()])
        self.assertEqual(api.hold("r/1", "kiosk", seats=["A1", "A2"])["seats"], ["A1", "A2"])
        taken = self.refused("seats_unavailable", api.hold, "r/1", "phone", seats=["A2", "A3"])
        self.assertEqual([each["seat"] for each in taken.conflicts], ["A2"])
        self.assertEqual(api.checkout("r/1", "o1", {"holder": "kiosk"}, ttl_s=60)["state"], "checkout")
        self.assertEqual(api.book("r/1", "o1")["state"], "booked")
        self.assertEqual(api.book("r/1", "o1")["state"], "booked")
        self.assertEqual(api.refund("r/1", "o1", seats=["A1"])["refunded"], ["A1"])
        self.assertEqual(api.order("r/1", "o1")["state"], "booked")
        self.refused("unknown_order", api.order, "r/1", "o2")
        self.assertEqual(len(api.hold("r/1", "phone", best={"quantity": 3})["seats"]), 3)
        api.checkout("r/1", "o3", {"holder": "phone"})
        self.assertEqual(api.cancel("r/1", "o3", to="free")["state"], "cancelled")
        self.assertEqual(api.book("r/1", "o3", late=True)["state"], "booked")
        self.assertEqual(api.block("r/1", seats=["A8"], label="camera")["changed"], ["A8"])
        self.assertEqual(api.unblock("r/1", seats=["A8"])["changed"], ["A8"])
        api.hold("r/1", "phone", seats=["A8"])
        self.assertEqual(api.release("r/1", holder="phone", reason="no show")["seats"], ["A8"])
        counts = api.counts("r/1")["total"]
        self.assertEqual((counts["free"], counts["booked"]), (4, 4))
        self.assertEqual({each["order"] for each in api.seats("r/1")}, {"o1", "o3"})
        told = api.reconcile("r/1", booked=[{"seat": "A2", "order": "o1"}])
        self.assertEqual(len(told["freed"]), 3)
        self.assertEqual(api.counts("r/1")["total"]["booked"], 4)
        self.assertEqual(api.disconnect(client_id="nobody")["closed"], 0)
        self.assertEqual(api.health()["status"], "healthy")
        self.assertIn("openapi", api.openapi())
        self.assertIn("butaca", api.metrics())
        self.assertTrue(api.stats())
        self.assertTrue(api.delete_room("r/1", force=True)["deleted"])
        self.assertTrue(api.delete_layout("api/plan")["deleted"])

    def test_async_says_the_same(self):
        async def run():
            async with AsyncApi(URL) as api:
                await api.put_room("r2")
                await api.hold("r2", "kiosk", seats=["x"])
                self.assertEqual([each["seat"] async for each in api.seats("r2")], ["x"])
                with self.assertRaises(Problem) as caught:
                    await api.order("r2", "no")
                self.assertEqual(caught.exception.status, 404)

        asyncio.run(run())


class Busy(BaseHTTPRequestHandler):
    """Refuses once, then tells one event a time, by the cursor."""

    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        status = 503 if len(self.asked) == 1 else 200
        self.send_response(status)
        if status == 503:
            self.send_header("retry-after", "0")
        nth = len(self.asked)
        body = b"{}" if status == 503 else b'{"id":"r/e/%d","cursor":"c%d","type":"seat.held"}\n' % (nth, nth)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Rules(unittest.TestCase):
    def test_503_is_asked_again_and_events_follow_the_cursor(self):
        server = HTTPServer(("127.0.0.1", 0), Busy)
        Thread(target=server.serve_forever, daemon=True).start()
        with Api(f"http://127.0.0.1:{server.server_port}") as api:
            events = api.events()
            self.assertEqual([next(events)["cursor"] for _ in range(2)], ["c2", "c3"])
        server.shutdown()
        server.server_close()
        self.assertIn("after=c2", Busy.asked[2])

    def test_pure(self):
        self.assertEqual(path_of("rooms", "a/b ñ"), "/v1/rooms/a%2Fb%20%C3%B1")
        self.assertEqual(events_of('{"n":1}\n{"n":2}\n'), [{"n": 1}, {"n": 2}])
        self.assertEqual(wait_before(1, "3"), 3.0)
        self.assertLessEqual(wait_before(9, None), 10.0)


if __name__ == "__main__":
    unittest.main()
