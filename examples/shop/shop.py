"""A small shop that sells the seats of one room, from the first click to the booked seat. Copy it and make it yours.

    pip install -r examples/shop/requirements.txt
    python examples/shop/shop.py                    then open http://127.0.0.1:8080

The page (index.html) speaks to the seat server itself; its cart is named by `session_id`, which it shows to this shop and
to nobody else. The shop speaks to the seat server's API. Every call there has a name, so asking again is safe: whatever
dies, the shop asks again what it asked before. Payments are a fake: one in ten fails, one in ten comes too late.

Settings: SHOP_PORT, SHOP_DB (a file), ROOM, LAYOUT_FILE, BUTACA_API, BUTACA_KEY_FILE, BUTACA_URL (where browsers find the
seat server), CHECKOUT_S (how long a buyer may take to pay), SHOP_ORIGINS (other pages that may buy here, as those of the React
and Vue examples), FAKE_PAYMENT (paid, failed or late, always), and JWT_SECRET_FILE where the seat server asks for tokens.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import secrets
import sqlite3
import time
import fastapi
import httpx
import uvicorn
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse

HERE = pathlib.Path(__file__).parent
ROOM = os.environ.get("ROOM", "cinema-tonight")
LAYOUT_FILE = pathlib.Path(os.environ.get("LAYOUT_FILE", HERE.parent / "layouts" / "cinema.json"))
BUTACA_URL = os.environ.get("BUTACA_URL", "http://localhost:8001")
CHECKOUT_S = int(os.environ.get("CHECKOUT_S", "900"))
PRICE = 12
PAUSES_S = [0.1, 0.5, 1, 2, 5]
FOR_EVER = 1_000_000


def file_of(setting):
    return pathlib.Path(os.environ[setting]).read_text().strip() if os.environ.get(setting) else None


SECRET = file_of("JWT_SECRET_FILE")


class Orders:
    """What the shop knows of its orders. It is written before anybody is asked anything, so that it outlives the shop."""

    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, owner TEXT, payment TEXT, state TEXT, seats TEXT)")

    def put(self, order, **columns):
        self.db.execute("INSERT OR IGNORE INTO orders (id, state, seats) VALUES (?, 'new', '[]')", (order,))
        for name, value in columns.items():
            self.db.execute(f"UPDATE orders SET {name} = ? WHERE id = ?", (value, order))

    def get(self, order: str):
        row = self.db.execute("SELECT id, state, seats, payment FROM orders WHERE id = ?", (order,)).fetchone()
        if row is None:
            raise fastapi.HTTPException(404, "no such order")
        return {"order": row[0], "state": row[1], "seats": json.loads(row[2]), "payment": row[3]}

    def open(self):
        return self.db.execute("SELECT id, payment FROM orders WHERE state IN ('paying', 'paid')").fetchall()


class Seats:
    """The seat server's API. 503 and a lost connection mean that the outcome is not known: the same is asked again."""

    def __init__(self):
        key = file_of("BUTACA_KEY_FILE")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.AsyncClient(base_url=os.environ.get("BUTACA_API", "http://127.0.0.1:8000"), headers=headers, timeout=10)

    async def ask(self, method, path, body=None, attempts=20):
        for attempt in range(attempts):
            with contextlib.suppress(httpx.TransportError):
                answer = await self.http.request(method, path, json=body)
                if answer.status_code != 503:
                    return answer.status_code, answer.json()
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
        raise fastapi.HTTPException(503, "the seat server does not answer; nothing is lost, try again")

    async def ask_order(self, order, what, body=None, attempts=20):
        return await self.ask("POST", f"/v1/rooms/{ROOM}/orders/{order}/{what}", body or {}, attempts)

    async def prepare(self):
        """The hall and the room, which may be there already."""
        await self.ask("PUT", f"/v1/layouts/{LAYOUT_FILE.stem}", json.loads(LAYOUT_FILE.read_text()))
        status, answer = await self.ask("PUT", f"/v1/rooms/{ROOM}", {"layout": LAYOUT_FILE.stem, "max_seats": 10})
        if status not in (200, 201) and answer["code"] != "room_differs":
            raise SystemExit(f"the room cannot be made: {answer}")


def visitor_token(person):
    """A JWT for the visitor, where the seat server has AUTH=jwt. A shop with logins says here who somebody is."""
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    claims = {"sub": person, "rooms": [ROOM], "exp": int(time.time()) + 3600}
    said = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (said + b"." + part(hmac.digest(SECRET.encode(), said, hashlib.sha256))).decode()


async def fake_payment():
    """What a payment provider says: ok, failed, or ok after the checkout has run out."""
    chance = {"failed": 0, "late": 1, "paid": 2}.get(os.environ.get("FAKE_PAYMENT"), secrets.randbelow(10))
    if chance == 0:
        return "failed"
    await asyncio.sleep(CHECKOUT_S + 1 if chance == 1 else 0.05)
    return "paid"


async def settle(order):
    """Brings an order to its end. It may be called again at any time: each step is asked for by the order's name."""
    if orders.get(order)["payment"] is None:
        orders.put(order, payment=await fake_payment())
    if orders.get(order)["payment"] == "failed":
        await seats.ask_order(order, "cancel", {"to": "cart"}, FOR_EVER)
        return orders.put(order, state="failed")
    # The seats may be somebody else's by now, when the payment came late: then the money goes back.
    status, answer = await seats.ask_order(order, "book", {"mode": "held_or_free"}, FOR_EVER)
    orders.put(order, state="booked" if status == 200 else "money back")
    if status != 200:
        print(f"order {order}: the payment came too late, {answer.get('conflicts')} are gone: {PRICE} each go back", flush=True)


settling = set()


def settle_soon(order):
    settling.add(task := asyncio.get_running_loop().create_task(settle(order)))
    task.add_done_callback(settling.discard)


@contextlib.asynccontextmanager
async def lifespan(_):
    await seats.prepare()
    for order, _ in orders.open():
        settle_soon(order)  # what was open when the shop ended
    yield
    await seats.http.aclose()


orders = Orders(os.environ.get("SHOP_DB", "shop.sqlite"))
seats = Seats()
app = fastapi.FastAPI(lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=os.environ.get("SHOP_ORIGINS", "").split(), allow_methods=["*"], allow_headers=["*"])


@app.get("/")
def page():
    return FileResponse(HERE / "index.html")


@app.get("/config")
def config(request: fastapi.Request, response: fastapi.Response):
    """What the page needs to find the seat server. With tokens a visitor is who the cookie says."""
    guest = request.cookies.get("guest", f"guest-{secrets.token_hex(16)}")
    response.set_cookie("guest", guest, httponly=True, samesite="strict")
    return {"room": ROOM, "butaca": BUTACA_URL, "price": PRICE, "token": SECRET and visitor_token(guest)}


@app.post("/orders", status_code=201)
async def check_out(request: fastapi.Request, cart: dict):
    """Takes the cart of a session, or of a person, into an order: from here on no disconnect frees it."""
    owner = {"subject": request.cookies.get("guest")} if SECRET else {"session_id": cart.get("session_id")}
    order = secrets.token_urlsafe(12)
    orders.put(order, owner=json.dumps(owner))
    status, answer = await seats.ask("PUT", f"/v1/rooms/{ROOM}/orders/{order}", {"owner": owner, "ttl_s": CHECKOUT_S})
    if status not in (200, 201):
        orders.put(order, state="refused")
        return JSONResponse({"code": answer.get("code"), "detail": answer.get("detail")}, status)
    orders.put(order, state="checkout", seats=json.dumps(answer["seats"]))
    return {"order": order, "seats": answer["seats"], "expires_at": answer["expires_at"], "total": PRICE * len(answer["seats"])}


@app.post("/orders/{order}/pay", status_code=202)
async def pay(order: str):
    if orders.get(order)["state"] == "checkout":
        orders.put(order, state="paying")
        settle_soon(order)
    return orders.get(order)


@app.post("/orders/{order}/refund")
async def refund(order: str):
    status, _ = await seats.ask_order(order, "refund")
    if status == 200:
        orders.put(order, state="refunded")
    return orders.get(order)


app.get("/orders/{order}")(orders.get)


if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("SHOP_HOST", "127.0.0.1"), port=int(os.environ.get("SHOP_PORT", "8080")), access_log=False)
