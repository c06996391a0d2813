/**
 * The requests of one connection that have no reply yet (v2).
 *
 * Invariants: replies come in the order of the requests, so whoever is passed over by a reply will get none; at most
 * `IN_FLIGHT_MAX` wait.
 * Never here: what is asked.
 *
 * @import { Frame } from "./butaca-room.js"
 * @import { Outcome } from "./butaca-protocol.js"
 * @typedef {{ frame: Frame, seats: string[], done: (outcome: Outcome) => void, beats: number }} Request  `seats`: those
 *   that show as asked for.
 */

import { ANSWER_BEATS, IN_FLIGHT_MAX } from "./butaca-protocol.js";

export class Requests {
  /** @type {Request[]} */ #waiting = [];

  get isFull() {
    return this.#waiting.length >= IN_FLIGHT_MAX;
  }

  /** @param {Frame} frame @param {string[]} seats @param {(outcome: Outcome) => void} done */
  add(frame, seats, done) {
    this.#waiting.push({ frame, seats, done, beats: 0 });
  }

  /** Whether the same is under way. @param {Frame} frame */
  has({ type, room_id: roomId }) {
    return this.#waiting.some(({ frame }) => frame.type === type && frame.room_id === roomId);
  }

  /** Whether a request is under way that may put something into the cart. @param {string} roomId */
  mayHold(roomId) {
    return this.#waiting.some(({ frame }) => frame.room_id === roomId && frame.type.startsWith("select"));
  }

  /** The request that this frame answers, last, after those that it passes over. @param {Frame} frame */
  take(frame) {
    const index = frame.id === undefined ? -1 : this.#waiting.findIndex((request) => request.frame.id === frame.id);
    return this.#waiting.splice(0, index + 1);
  }

  /** All of them: nobody will answer. */
  drain() {
    return this.#waiting.splice(0);
  }

  /** A heartbeat has gone by: whether the oldest has waited too long. */
  beat() {
    for (const request of this.#waiting) request.beats += 1;
    return (this.#waiting[0]?.beats ?? 0) > ANSWER_BEATS;
  }
}
