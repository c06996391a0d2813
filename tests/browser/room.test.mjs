// The copy of a room: what each frame does to it, and a model that loses, repeats and delays frames at random.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RoomState } from "../../static/butaca-room.js";

const ME = "ana";

function joined(seq = 0, epoch = "e1") {
  const room = new RoomState("hall", ME);
  room.apply({ type: "room_joined", room_id: "hall", client_id: ME, seq, epoch }, true);
  return room;
}

const selected = (seq, seat_id, client_id, more = {}) => ({
  type: "seat_selected", room_id: "hall", seat_id, client_id, seq, epoch: "e1", expires_at: "2026-01-15T10:35:00.000Z", ...more,
});
const others = (seq, seat_id, client_id = "luis") => selected(seq, seat_id, client_id, { user_info: { name: client_id } });
const released = (seq, seat_id, client_id, reason) => ({ type: "seat_released", room_id: "hall", seat_id, client_id, seq, epoch: "e1", reason });
const snapshot = (seq, holds, epoch = "e1") => ({
  type: "current_selections", room_id: "hall", seq, epoch,
  selections: Object.entries(holds).map(([seat_id, client_id]) => ({
    seat_id, client_id, room_id: "hall", user_info: {}, timestamp: "2026-01-15T10:30:00.000Z", expires_at: "2026-01-15T10:35:00.000Z",
  })),
});

describe("events", () => {
  test("in order change seats", () => {
    const room = joined();
    assert.deepEqual(room.apply(others(1, "A1"), false), { changed: true, gap: false });
    assert.equal(room.seat("A1").status, "other");
    room.apply(released(2, "A1", "luis", "released"), false);
    assert.equal(room.seat("A1").status, "free");
  });

  test("that are old change nothing", () => {
    const room = joined(5);
    assert.deepEqual(room.apply(others(5, "A1"), false), { changed: false, gap: false });
    assert.equal(room.seat("A1").status, "free");
  });

  test("after a hole are taken, and the hole is reported once", () => {
    const room = joined(1);
    assert.deepEqual(room.apply(others(3, "A3"), false), { changed: true, gap: true });
    room.resyncing = true;
    assert.equal(room.apply(others(5, "A5"), false).gap, false);
    room.apply({ type: "room_joined", room_id: "hall", seq: 5, epoch: "e1" }, true);
    room.apply(snapshot(5, { A2: "luis", A3: "luis", A5: "luis" }), false);
    assert.deepEqual([...room.holds.keys()], ["A2", "A3", "A5"]);
  });

  test("of another epoch are a hole", () => {
    const room = joined(7);
    assert.equal(room.apply({ ...others(2, "A1"), epoch: "e2" }, false).gap, true);
  });

  test("without a seq, as the old service sends them, just apply", () => {
    const room = new RoomState("hall", ME);
    room.apply({ type: "room_joined", room_id: "hall", client_id: ME }, true);
    room.apply({ type: "seat_selected", room_id: "hall", seat_id: "A1", client_id: "luis", user_info: {} }, false);
    assert.equal(room.seat("A1").status, "other");
    room.apply({ type: "seat_selected", room_id: "hall", seat_id: "A2", client_id: ME }, true);
    room.apply({ type: "current_selections", selections: [{ seat_id: "A2", client_id: ME, room_id: "hall", expires_at: "2026-01-15T10:35:00Z" }] }, false);
    assert.equal(room.seat("A2").status, "mine");
  });
});

describe("own seats", () => {
  test("are mine after the answer and not before", () => {
    const room = joined();
    room.pending.set("A1", "select_seat");
    assert.equal(room.seat("A1").status, "pending");
    room.pending.delete("A1");
    room.apply(selected(1, "A1", ME), true);
    assert.equal(room.seat("A1").status, "mine");
  });

  test("of another connection with my name are not mine", () => {
    const room = joined();
    room.apply(others(1, "A1", ME), false);
    assert.equal(room.seat("A1").status, "other");
  });

  test("are confirmed by the old answer to a second select", () => {
    const room = joined();
    room.apply(selected(1, "A1", ME), true);
    room.apply(others(2, "A2"), false);
    assert.deepEqual(room.apply(selected(1, "A1", ME), true), { changed: true, gap: false });
    assert.equal(room.seat("A1").status, "mine");
    assert.equal(room.seq, 2);
  });

  test("stay mine through a full state, unless somebody else has them by now", () => {
    const room = joined();
    room.apply(selected(1, "A1", ME), true);
    room.apply(selected(2, "A2", ME), true);
    room.apply(snapshot(9, { A1: ME, A2: "luis", A3: ME }), false);
    assert.deepEqual(["A1", "A2", "A3"].map((seat) => room.seat(seat).status), ["mine", "other", "other"]);
  });

  test("stay mine when the room is joined again", () => {
    const room = joined();
    room.apply(selected(1, "A1", ME), true);
    room.apply({ type: "room_joined", room_id: "hall", seq: 1, epoch: "e1" }, true);
    room.apply(snapshot(1, { A1: ME }), false);
    assert.equal(room.seat("A1").status, "mine");
  });

  test("are gone when the room that is joined again is empty", () => {
    const room = joined();
    room.apply(selected(1, "A1", ME), true);
    room.apply({ type: "room_joined", room_id: "hall", seq: 2, epoch: "e1" }, true);
    assert.equal(room.seat("A1").status, "free");
    room.apply(others(3, "A1", ME), false);
    room.apply(snapshot(3, { A1: ME }), false);
    assert.equal(room.seat("A1").status, "other", "the same name in another connection");
  });

  test("are nobody's any more when the connection ends", () => {
    const room = joined();
    room.apply(selected(1, "A1", ME), true);
    room.disconnect();
    assert.equal(room.own().length, 0);
    assert.equal(room.joined, false);
  });

  test("are still told about after leaving", () => {
    const room = joined();
    room.apply(selected(1, "A1", ME), true);
    room.apply(others(2, "A2"), false);
    room.apply({ type: "room_left", room_id: "hall", client_id: ME }, true);
    assert.deepEqual([...room.holds.keys()], ["A1"]);
    assert.deepEqual(room.apply(released(9, "A1", ME, "expired"), false), { changed: true, gap: false });
    assert.equal(room.holds.size, 0);
  });
});

test("a full state that is old by now changes nothing", () => {
  const room = joined();
  room.apply(others(1, "A1"), false);
  room.apply(others(2, "A2"), false);
  assert.equal(room.apply(snapshot(1, { A1: "luis" }), false).changed, false);
  assert.equal(room.holds.size, 2);
});

test("whatever is lost, repeated or late, the copy ends as the room is (500 seeds)", () => {
  for (let seed = 1; seed <= 500; seed += 1) check(seed);
});

/** One life of a room with a lossy wire; a hole is answered by `room_joined` and the full state, as the client does. */
function check(seed) {
  const random = mulberry(seed);
  const below = (bound) => Math.floor(random() * bound);
  const truth = new Map();
  const room = joined();
  let seq = 0;
  const old = [];
  const tell = (frame) => {
    old.push(frame);
    if (room.apply(frame, false).gap) {
      room.apply({ type: "room_joined", room_id: "hall", seq, epoch: "e1" }, true);
      if (truth.size > 0) room.apply(snapshot(seq, Object.fromEntries(truth)), false);
    }
  };
  for (let step = 0; step < 60; step += 1) {
    const seat = `A${below(5)}`;
    seq += 1;
    const frame = truth.has(seat) ? released(seq, seat, truth.get(seat), "released") : others(seq, seat, `c${below(3)}`);
    if (frame.type === "seat_released") truth.delete(seat);
    else truth.set(seat, frame.client_id);
    if (random() < 0.8) tell(frame);
    if (random() < 0.2 && old.length > 0) room.apply(old[below(old.length)], false);
  }
  seq += 1;
  truth.set("last", "luis");
  tell(others(seq, "last"));
  const copy = new Map([...room.holds].map(([seat, hold]) => [seat, hold.clientId]));
  assert.deepEqual(new Map([...copy].sort()), new Map([...truth].sort()), `seed ${seed}`);
}

/** A small generator of numbers from a seed. */
function mulberry(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
