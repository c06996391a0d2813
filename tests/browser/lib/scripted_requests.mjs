// What the scripted server of v2 does with a request: the rules of carts, as the protocol says them.

const REQUESTS = { auth, resume, join_room, leave_room, select_seats, select_best, release_seats, extend_hold, sync };

export function applyRequest(server, socket, request, error) {
  if (request.type !== "auth" && !socket.authenticated) return error("unauthorized");
  const act = REQUESTS[request.type];
  if (!act) return error("unknown_type");
  act(server, socket, request, error);
}

function auth(server, socket, { id, token }, error) {
  if (server.auth === "off" || !server.isGood(token)) return error("unauthorized");
  socket.authenticated = true;
  const expires_at = new Date(server.time() + 600_000).toISOString();
  socket.queue.push({ type: "authenticated", id, now: server.now(), expires_at });
}

function resume(server, socket, request, error) {
  server.resume(socket, request, error);
}

function join_room(server, socket, { id, room_id: roomId, since, packed }) {
  socket.packs = packed === true;
  const room = server.room(roomId);
  room.members.add(socket);
  socket.queue.push(server.joined(room, socket, id));
  const known = since?.epoch === room.epoch && server.changesAfter(room, since.seq) !== undefined;
  socket.queue.push(known ? server.delta(room, since.seq) : server.snapshot(room, socket));
}

function leave_room(server, socket, { id, room_id: roomId }) {
  server.room(roomId).members.delete(socket);
  socket.queue.push({ type: "room_left", id, room_id: roomId });
}

function sync(server, socket, { id, room_id: roomId, packed }) {
  socket.packs = packed === true;
  socket.queue.push(server.snapshot(server.room(roomId), socket, id));
}

function select_seats(server, socket, { id, room_id: roomId, seats, release = [] }, error) {
  const room = server.room(roomId);
  const mine = server.cart(room, socket.session);
  if (room.sale !== "open") return error(`sale_${room.sale}`);
  if (room.index && [...seats, ...release].some((seatId) => !room.index.has(seatId))) return error("unknown_seat");
  const foreign = release.filter((seatId) => !mine.seats.includes(seatId));
  if (foreign.length > 0) return error("not_held", { conflicts: conflicts(room, foreign) });
  const wanted = seats.filter((seatId) => !mine.seats.includes(seatId));
  const taken = wanted.filter((seatId) => room.taken.has(seatId));
  if (taken.length > 0) return error("seats_unavailable", { conflicts: conflicts(room, taken) });
  const count = mine.seats.length - release.length + wanted.length;
  if (server.maxSeats > 0 && count > server.maxSeats) return error("limit_exceeded");
  hold(server, socket, room, id, wanted, release, seats);
}

function hold(server, socket, room, id, wanted, release, seats) {
  const cart = server.cart(room, socket.session);
  for (const seatId of release) server.change(room, seatId, undefined);
  cart.seats = cart.seats.filter((seatId) => !release.includes(seatId));
  if (cart.seats.length === 0) Object.assign(cart, { expiresAt: server.time() + server.holdMs, extends: 0 });
  for (const seatId of wanted) server.change(room, seatId, "held", socket.session);
  cart.seats.push(...wanted);
  socket.queue.push({ type: "seats_held", id, room_id: room.roomId, seq: room.seq, seats, cart: server.cartOf(room, socket.session) });
}

function select_best(server, socket, { id, room_id: roomId, quantity, accessible = 0, release = [] }, error) {
  const room = server.room(roomId);
  const seats = room.layout?.seats ?? [];
  const free = (seat) => seat !== undefined && !room.taken.has(seat.id) && Boolean(seat.accessible) === accessible > 0;
  for (let from = 0; from + quantity <= seats.length; from += 1) {
    const group = seats.slice(from, from + quantity);
    const together = group.every((seat) => seat.row === group[0].row && seat.section === group[0].section);
    if (together && group.every(free)) return hold(server, socket, room, id, group.map((seat) => seat.id), release, group.map((seat) => seat.id));
  }
  const count = seats.filter(free).length;
  error(count < quantity ? "not_enough_seats" : "no_adjacent_seats", count < quantity ? { free: count } : { largest_adjacent: quantity - 1 });
}

function release_seats(server, socket, { id, room_id: roomId, seats, all }, error) {
  const room = server.room(roomId);
  const cart = server.cart(room, socket.session);
  const given = all === true ? [...cart.seats] : seats;
  const ordered = given.filter((seatId) => cart.orders.some((order) => order.seats.includes(seatId)));
  if (ordered.length > 0) return error("in_checkout");
  const foreign = given.filter((seatId) => !cart.seats.includes(seatId));
  if (foreign.length > 0) return error("not_held", { conflicts: conflicts(room, foreign) });
  for (const seatId of given) server.change(room, seatId, undefined);
  cart.seats = cart.seats.filter((seatId) => !given.includes(seatId));
  socket.queue.push({ type: "seats_released", id, room_id: roomId, seq: room.seq, seats: given, cart: server.cartOf(room, socket.session) });
}

function extend_hold(server, socket, { id, room_id: roomId }, error) {
  const room = server.room(roomId);
  const cart = server.cart(room, socket.session);
  if (cart.seats.length === 0) return error("not_held");
  if (cart.extends >= server.extendsMax) return error("extend_limit");
  cart.extends += 1;
  cart.expiresAt = server.time() + server.holdMs;
  socket.queue.push({ type: "hold_extended", id, room_id: roomId, cart: server.cartOf(room, socket.session) });
}

function conflicts(room, seats) {
  const state = { held: 1, checkout: 1, booked: 2, blocked: 3 };
  return seats.map((seatId) => ({ seat_id: seatId, state: state[room.taken.get(seatId)?.status] ?? 0 }));
}
