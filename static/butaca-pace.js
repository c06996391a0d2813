/**
 * When the module may send what nobody clicked for: joins, seats of before an interruption.
 *
 * Owns: the silence that the server asked for, the bound of own requests a second, rooms that are let alone.
 * Invariants: whatever is held back is woken by a timer here, or by the next connection; `stop` leaves no timer.
 * Never here: what is sent.
 *
 * @typedef {ReturnType<typeof setTimeout> | undefined} Timer
 */

import { PAUSE_MS_MAX } from "./butaca-protocol.js";

/** Own requests a second: coming back with many seats must not look like a flood. */
const OWN_REQUESTS_MAX = 50;
const OWN_REQUESTS_MS = 1_000;
/** How long, about, a room is let alone after a request there failed for a passing reason. */
const REST_MS = 5_000;

export class Pace {
  #ownRequests = 0;
  /** By the local clock; while a connection is open the timer decides. */
  #pausedUntil = 0;
  /** @type {Timer} */ #pauseTimer;
  /** @type {Timer} */ #ownTimer;
  /** Without a timer: for the rest of this connection. @type {Map<string, Timer>} */ #resting = new Map();

  /** @param {() => void} wake  Called when something that was held back may go. */
  constructor(wake) {
    this.wake = wake;
  }

  get paused() {
    return this.#pauseTimer !== undefined;
  }

  /** What is left of the silence, in milliseconds. */
  get pauseLeft() {
    return Math.max(0, this.#pausedUntil - Date.now());
  }

  /** The server wants silence: till its end nothing is sent, by the module or for the page. @param {number} ms */
  pause(ms) {
    const now = Date.now();
    const until = Math.max(now + ms, Math.min(this.#pausedUntil, now + PAUSE_MS_MAX));
    if (this.paused && until <= this.#pausedUntil) return;
    clearTimeout(this.#pauseTimer);
    this.#pausedUntil = until;
    this.#pauseTimer = setTimeout(() => {
      this.#pauseTimer = undefined;
      this.wake();
    }, until - now);
  }

  /** Whether one more own request may go now; if not, `wake` comes. */
  mayAsk() {
    if (this.paused || this.#ownRequests >= OWN_REQUESTS_MAX) return false;
    this.#ownRequests += 1;
    this.#ownTimer ??= setTimeout(() => {
      this.#ownTimer = undefined;
      this.#ownRequests = 0;
      this.wake();
    }, OWN_REQUESTS_MS);
    return true;
  }

  /**
   * A request in this room failed: let it alone, for a while when the reason is a passing one.
   * @param {string} roomId @param {boolean} passing
   */
  rest(roomId, passing) {
    this.rouse(roomId);
    const timer = () =>
      setTimeout(
        () => {
          this.#resting.delete(roomId);
          this.wake();
        },
        REST_MS / 2 + (Math.random() * REST_MS) / 2,
      );
    this.#resting.set(roomId, passing ? timer() : undefined);
  }

  /** @param {string} roomId */
  rouse(roomId) {
    clearTimeout(this.#resting.get(roomId));
    this.#resting.delete(roomId);
  }

  /** @param {string} roomId @returns {"no" | "for a while" | "for good"} */
  rests(roomId) {
    if (!this.#resting.has(roomId)) return "no";
    return this.#resting.get(roomId) === undefined ? "for good" : "for a while";
  }

  /**
   * A connection has opened. It is no way around the silence that was asked for; a clock that was set back does not
   * make that longer.
   */
  begin() {
    if (this.pauseLeft > 0) this.pause(Math.min(this.pauseLeft, PAUSE_MS_MAX));
  }

  /** The connection has ended. */
  stop() {
    clearTimeout(this.#ownTimer);
    clearTimeout(this.#pauseTimer);
    for (const timer of this.#resting.values()) clearTimeout(timer);
    this.#ownTimer = this.#pauseTimer = undefined;
    this.#ownRequests = 0;
    this.#resting.clear();
  }
}
