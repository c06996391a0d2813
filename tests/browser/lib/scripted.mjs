// A seat server without a network: it decides as the real one does (v1), and the test decides what arrives when.
//
// Owns: rooms, holds, the sockets that a client under test opens. Invariant: what is decided is queued for its socket in
// order; only `deliver`, `lose` and the like take it out. Never here: timers of its own; time is `Date.now()`.

const LIFE_MS = 300_000;
const GRACE_MS = 30_000;

export class ScriptedServer {
  /** Every socket that was ever opened, oldest first. */
  sockets = [];
  /** Sockets whose end the server has not noticed yet. */
  unnoticed = [];
  /** The next requests are refused: `{ left, code, retryAfterMs }`. */
  refusing = { left: 0 };
  /** The client was told to be silent until then. */
  silentUntil = 0;
  broken = [];
  #rooms = new Map();
  #epoch = 1;

  /** @param {{ old: boolean }} options  `old`: without the fields that this server adds to the published protocol. */
  constructor({ old }) {
    this.old = old;
    const server = this;
    this.WebSocket = class extends ScriptedSocket {
      constructor(address) {
        super(server, address);
      }
    };
  }

  get newest() {
    return this.sockets.at(-1);
  }

  /** Who holds what in a room: seat to client id. */
  held(roomId) {
    return new Map([...this.#room(roomId).holds].map(([seatId, { clientId }]) => [seatId, clientId]).sort());
  }

  heldBy(socket, roomId) {
    return [...this.#room(roomId).holds].filter(([, hold]) => hold.socket === socket).map(([seatId]) => seatId).sort();
  }

  isMember(socket, roomId) {
    return this.#room(roomId).members.has(socket);
  }

  /** Somebody else takes a seat or gives it back. */
  stranger(roomId, seatId) {
    const room = this.#room(roomId);
    const hold = room.holds.get(seatId);
    if (!hold) this.#take(roomId, seatId, { clientId: "luis", userInfo: { name: "Luis" } });
    else if (hold.clientId === "luis") this.#free(roomId, seatId, "released");
  }

  /** It goes down, and what was not held in a store is gone. */
  restart(code, keep) {
    for (const socket of this.sockets) if (socket.readyState < 2) socket.ends(code);
    this.notice();
    this.#epoch += 1;
    for (const [roomId, room] of this.#rooms) {
      room.members.clear();
      if (!keep) this.#rooms.delete(roomId);
    }
  }

  /** Ends what has run out, and what nobody came back for. */
  expire() {
    for (const [roomId, room] of this.#rooms) {
      for (const [seatId, hold] of room.holds) {
        if (hold.expiresAt <= Date.now()) this.#free(roomId, seatId, "expired");
        else if (hold.absentUntil <= Date.now()) this.#free(roomId, seatId, "disconnected");
      }
    }
  }

  /** Sockets that have ended give their seats back, or leave them to who comes back after a restart. */
  notice(absent = false) {
    for (const socket of this.unnoticed.splice(0)) {
      for (const [roomId, room] of this.#rooms) {
        room.members.delete(socket);
        for (const [seatId, hold] of room.holds) {
          if (hold.socket !== socket) continue;
          if (absent) Object.assign(hold, { socket: undefined, absentUntil: Date.now() + GRACE_MS });
          else this.#free(roomId, seatId, "disconnected");
        }
      }
    }
  }

  /** A request has come. */
  hear(socket, text) {
    if (Date.now() < this.silentUntil) this.broken.push(`sent ${text} although silence was asked for`);
    const request = JSON.parse(text);
    const about = { room_id: request.room_id, seat_id: request.seat_id, request_type: request.type };
    const error = (code, more = {}) =>
      socket.queue.push({ type: "error", message: code, ...(this.old ? {} : { code, ...about }), ...more });
    if (this.refusing.left > 0) {
      this.refusing.left -= 1;
      return error(this.refusing.code, { code: this.refusing.code, retry_after_ms: this.refusing.retryAfterMs });
    }
    this.#answer(socket, request, error);
  }

  #answer(socket, { type, room_id: roomId, seat_id: seatId, user_info: userInfo = {} }, error) {
    if (type === "ping") return socket.queue.push({ type: "pong", timestamp: new Date().toISOString() });
    const room = this.#room(roomId);
    const hold = room.holds.get(seatId);
    const { clientId } = socket;
    if (type === "join_room") return this.#join(socket, roomId);
    if (type === "leave_room") {
      room.members.delete(socket);
      return socket.queue.push({ type: "room_left", room_id: roomId, client_id: clientId });
    }
    if (type === "select_seat") {
      if (!hold) return this.#take(roomId, seatId, { clientId, userInfo, socket });
      if (hold.socket !== socket) return error("seat_taken");
      return socket.queue.push(this.#selected(roomId, seatId, hold));
    }
    if (!hold) return error("not_held");
    if (hold.socket !== socket) return error("not_owner");
    this.#free(roomId, seatId, "released");
  }

  #join(socket, roomId) {
    const room = this.#room(roomId);
    room.members.add(socket);
    for (const hold of room.holds.values()) {
      if (hold.absentUntil === undefined || hold.clientId !== socket.clientId) continue;
      hold.absentUntil = undefined;
      hold.socket = socket;
    }
    const added = this.#added(room);
    const now = this.old ? {} : { now: new Date().toISOString() };
    socket.queue.push({ type: "room_joined", room_id: roomId, client_id: socket.clientId, ...added, ...now });
    if (room.holds.size === 0) return;
    const selections = [...room.holds].map(([seatId, hold]) => ({
      seat_id: seatId, room_id: roomId, client_id: hold.clientId, user_info: hold.userInfo, ...this.#end(hold),
    }));
    socket.queue.push({ type: "current_selections", room_id: roomId, selections, ...added });
  }

  #take(roomId, seatId, hold) {
    const room = this.#room(roomId);
    hold.seq = room.seq += 1;
    hold.expiresAt = Date.now() + LIFE_MS;
    room.holds.set(seatId, hold);
    const frame = this.#selected(roomId, seatId, hold);
    for (const socket of new Set([...room.members, hold.socket])) {
      socket?.queue.push(socket === hold.socket ? frame : { ...frame, user_info: hold.userInfo });
    }
  }

  #free(roomId, seatId, reason) {
    const room = this.#room(roomId);
    const hold = room.holds.get(seatId);
    room.holds.delete(seatId);
    room.seq += 1;
    const frame = {
      type: "seat_released", room_id: roomId, seat_id: seatId, client_id: hold.clientId, ...this.#added(room), ...(this.old ? {} : { reason }),
    };
    for (const socket of new Set([...room.members, hold.socket])) if (socket?.readyState < 2) socket.queue.push(frame);
  }

  #selected(roomId, seatId, hold) {
    const frame = { type: "seat_selected", room_id: roomId, seat_id: seatId, client_id: hold.clientId, ...this.#end(hold) };
    return this.old ? frame : { ...frame, seq: hold.seq, epoch: this.#room(roomId).epoch };
  }

  #end(hold) {
    return this.old ? {} : { expires_at: new Date(hold.expiresAt).toISOString() };
  }

  #added(room) {
    return this.old ? {} : { seq: room.seq, epoch: room.epoch };
  }

  #room(roomId) {
    let room = this.#rooms.get(roomId);
    if (!room) this.#rooms.set(roomId, (room = { seq: 0, epoch: `e${this.#epoch}`, holds: new Map(), members: new Set() }));
    return room;
  }
}

/** The client's end of one connection; what is in `queue` has been sent by the server and has not arrived. */
class ScriptedSocket {
  readyState = 0;
  queue = [];

  constructor(server, address) {
    this.server = server;
    this.clientId = decodeURIComponent(address.split("/ws/")[1].split("?")[0]);
    server.sockets.push(this);
  }

  opens() {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    this.onopen?.({});
  }

  send(text) {
    if (this.readyState !== 1) throw new Error("InvalidStateError");
    this.server.hear(this, text);
  }

  /** The client closes it. The server may notice later. */
  close() {
    if (this.readyState < 2) this.ends(1005);
  }

  /** It ends with this code, whoever ended it. */
  ends(code) {
    if (this.readyState > 1) return;
    this.readyState = 3;
    this.server.unnoticed.push(this);
    this.onclose?.({ code, reason: "" });
  }

  /** The first of what is under way arrives; a full state with the `room_joined` before it, as one send brings both. */
  deliver() {
    const frame = this.queue.shift();
    this.#arrive(frame);
    if (frame?.type === "room_joined" && this.queue[0]?.type === "current_selections") this.#arrive(this.queue.shift());
  }

  #arrive(frame) {
    if (!frame || this.readyState !== 1) return;
    if (frame.code === "rate_limited") {
      this.server.silentUntil = Math.max(this.server.silentUntil, Date.now() + (frame.retry_after_ms ?? 0));
    }
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }
}
