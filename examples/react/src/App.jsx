import { useCallback, useState } from "react";
import { pay } from "./pay.js";
import { useButacaEvent, useCart, useClient, useRoom, useStatus, useTicker } from "./useButaca.js";

const SEATS = ["A", "B", "C", "D", "E"].flatMap((row) => Array.from({ length: 10 }, (_, index) => `${row}${index + 1}`));

export function App({ url, name, protocol, shop }) {
  const client = useClient(url, name, protocol);
  const status = useStatus(client);
  const [roomId, setRoomId] = useState("hall");
  const [notice, setNotice] = useState("");
  const refused = useCallback(({ seatId, code }) => setNotice(`${seatId} was refused: ${code}`), []);
  const ended = useCallback(({ seatId, reason, code }) => setNotice(`${seatId} is no longer yours: ${reason ?? code}`), []);
  const expiring = useCallback(({ leftMs }) => setNotice(`${Math.round(leftMs / 1000)} seconds left`), []);
  const moved = useCallback(({ code }) => code === 4505 && setNotice("Your seats are in another tab now."), []);
  useButacaEvent(client, "refused", refused);
  useButacaEvent(client, "ended", ended);
  useButacaEvent(client, "lost", ended);
  useButacaEvent(client, "expiring", expiring);
  useButacaEvent(client, "status", moved);

  return (
    <main className={status === "open" ? "" : "offline"}>
      <h1>Butaca with React</h1>
      <p>
        <label>
          Room{" "}
          <select value={roomId} onChange={(event) => setRoomId(event.target.value)}>
            <option>hall</option>
            <option>balcony</option>
          </select>
        </label>{" "}
        <span role="status">
          {name}: {status}
        </span>
      </p>
      <Room client={client} roomId={roomId} onPay={shop && (() => pay(shop, client, setNotice))} />
      <p role="log" aria-live="polite">
        {notice}
      </p>
    </main>
  );
}

function Room({ client, roomId, onPay }) {
  const room = useRoom(client, roomId);
  return (
    <>
      <div className="seats" role="group" aria-label={`Seats of ${roomId}`}>
        {SEATS.map((seatId) => (
          <Seat key={seatId} client={client} roomId={roomId} seatId={seatId} seat={room.seat(seatId)} />
        ))}
      </div>
      <Cart client={client} room={room} onPay={onPay} />
    </>
  );
}

/** A seat is drawn as mine only when the server has said so; a refusal leaves it as it was. */
function Seat({ client, roomId, seatId, seat }) {
  const mine = seat.status === "mine";
  const toggle = () => (mine ? client.release(roomId, seatId) : client.select(roomId, seatId));
  const taken = ["other", "booked", "blocked", "checkout"].includes(seat.status);
  return (
    <button
      type="button"
      className={`seat ${seat.status}`}
      data-seat={seatId}
      aria-pressed={mine}
      aria-label={labelOf(seatId, seat)}
      disabled={taken}
      onClick={toggle}
    >
      {seatId}
    </button>
  );
}

/** v1 tells who has a seat, v2 does not. */
function labelOf(seatId, { status, userInfo, clientId }) {
  const name = userInfo?.name ?? clientId;
  return status === "other" ? `${seatId}, taken${name ? ` by ${name}` : ""}` : `${seatId}, ${status}`;
}

/** One cart has one clock (v2); in v1 each seat has its own. */
function Cart({ client, room, onPay }) {
  const cart = useCart(client, room);
  if (!cart) return <Holds client={client} room={room} />;
  return (
    <section aria-label="Your cart">
      {cart.seats.length > 0 && (
        <p>
          <strong>{cart.seconds} s</strong>{" "}
          <button type="button" disabled={cart.extendsLeft === 0} onClick={() => client.extend(room.roomId)}>
            More time
          </button>{" "}
          <button type="button" onClick={() => client.releaseAll(room.roomId)}>
            Release all
          </button>{" "}
          {onPay && (
            <button type="button" onClick={onPay}>
              Pay
            </button>
          )}
        </p>
      )}
      <ul aria-label="Your seats">
        {cart.seats.map((seatId) => (
          <li key={seatId}>{seatId}</li>
        ))}
        {cart.orders.map(({ order, status, seats }) => (
          <li key={order}>
            {seats.join(", ")}: {status}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Holds({ client, room }) {
  useTicker(500);
  return (
    <ul aria-label="Your seats">
      {room.own().map(([seatId, hold]) => (
        <li key={seatId}>
          {seatId}: {Math.ceil((client.remaining(hold) ?? 0) / 1000)} s{" "}
          <button type="button" onClick={() => client.release(room.roomId, seatId)}>
            Release
          </button>
        </li>
      ))}
    </ul>
  );
}
