import { useCallback, useState } from "react";
import { useButacaEvent, useClient, useRoom, useStatus, useTicker } from "./useButaca.js";

const SEATS = ["A", "B", "C", "D", "E"].flatMap((row) => Array.from({ length: 10 }, (_, index) => `${row}${index + 1}`));

export function App({ url, name }) {
  const client = useClient(url, name);
  const status = useStatus(client);
  const [roomId, setRoomId] = useState("hall");
  const [notice, setNotice] = useState("");
  const refused = useCallback(({ seatId, code }) => setNotice(`${seatId} was refused: ${code}`), []);
  const ended = useCallback(({ seatId, reason }) => setNotice(`${seatId} is no longer yours: ${reason}`), []);
  useButacaEvent(client, "refused", refused);
  useButacaEvent(client, "ended", ended);

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
      <Room client={client} roomId={roomId} />
      <p role="log" aria-live="polite">
        {notice}
      </p>
    </main>
  );
}

function Room({ client, roomId }) {
  const room = useRoom(client, roomId);
  return (
    <>
      <div className="seats" role="group" aria-label={`Seats of ${roomId}`}>
        {SEATS.map((seatId) => (
          <Seat key={seatId} client={client} roomId={roomId} seatId={seatId} seat={room.seat(seatId)} />
        ))}
      </div>
      <Holds client={client} room={room} />
    </>
  );
}

/** A seat is drawn as mine only when the server has said so; a refusal leaves it as it was. */
function Seat({ client, roomId, seatId, seat }) {
  const mine = seat.status === "mine";
  const toggle = () => (mine ? client.release(roomId, seatId) : client.select(roomId, seatId));
  const label = seat.status === "other" ? `${seatId}, taken by ${seat.userInfo?.name ?? seat.clientId}` : `${seatId}, ${seat.status}`;
  return (
    <button
      type="button"
      className={`seat ${seat.status}`}
      data-seat={seatId}
      aria-pressed={mine}
      aria-label={label}
      disabled={seat.status === "other"}
      onClick={toggle}
    >
      {seatId}
    </button>
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
