/**
 * One WebSocket that is opened again whenever it is lost.
 *
 * Owns: the socket, the time limit of an attempt, the wait before the next one, the status.
 * Invariants:
 *   - `status` goes idle -> connecting; connecting -> open or waiting; open -> waiting; waiting -> connecting; each ->
 *     closed; closed -> connecting. A socket exists while connecting and open, and a timer while connecting and waiting.
 *   - State is changed first and told afterwards, once a change: who is told may call anything.
 *   - A socket that was given up is never heard again.
 *   - `open` is what `ready` says: who speaks on the socket decides when it is of use, within the time limit.
 * Never here: messages and what they mean.
 *
 * @typedef {"idle" | "connecting" | "open" | "waiting" | "closed"} Status  `waiting`: for the next attempt.
 * @typedef {{ status: Status, attempt: number, retryInMs?: number, code?: number, reason?: string }} StatusDetail
 *   `closed` with a `code`: the server ended it for a reason that a new connection would not mend.
 * @typedef {{ connectMs: number, retryMinMs: number, retryMaxMs: number, WebSocket?: typeof WebSocket }} LinkOptions
 * @typedef {{ status: (detail: StatusDetail) => void, opened: () => void, text: (text: string) => void,
 *   patience: () => number | undefined }} LinkHooks  `patience`: the longest wait for now, in milliseconds.
 */

import { waitBeforeReturn } from "./butaca-protocol.js";

const OPEN = 1;
/** "No close frame arrived", RFC 6455 section 7.1.5: also what is given up here. */
const ABNORMAL = 1006;
/** 2 to this power is beyond any longest wait. */
const ATTEMPTS_COUNTED = 30;

export class Link {
  /** @type {Status} */ status = "idle";
  /** @type {WebSocket | undefined} */ #socket;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** Attempts in a row that brought no message. */
  #attempt = 0;
  /** The server said when to come back, by the local clock. */
  #returnAt = 0;

  /** @param {string} address @param {LinkOptions} options @param {LinkHooks} hooks */
  constructor(address, options, hooks) {
    this.address = address;
    this.options = options;
    this.hooks = hooks;
  }

  /** Opens the connection, and opens it again whenever it is lost, until `close`. Throws what `WebSocket` throws. */
  connect() {
    if (this.status === "connecting" || this.status === "open") return;
    const Socket = this.options.WebSocket ?? globalThis.WebSocket;
    const socket = new Socket(this.address);
    this.#returnAt = 0;
    // A socket that has been replaced keeps its handlers; they must find that they are no longer meant.
    socket.onopen = () => socket === this.#socket && this.hooks.opened();
    socket.onmessage = (event) => socket === this.#socket && this.hooks.text(String(event.data));
    socket.onerror = () => {}; // It says nothing; a close event follows.
    socket.onclose = (event) => socket === this.#socket && this.#lost(event.code, event.reason);
    this.#socket = socket;
    this.#wait(this.options.connectMs, () => this.drop(`no connection within ${this.options.connectMs} ms`));
    this.#tell({ status: "connecting", attempt: this.#attempt });
  }

  /** Ends the connection for good. */
  close() {
    const socket = this.#forget();
    this.#attempt = 0;
    this.status = "closed";
    socket?.close(1000);
    this.#tell({ status: "closed", attempt: 0 });
  }

  /** Gives the socket up as dead, whatever the system believes, and tries again later. @param {string} reason */
  drop(reason) {
    const socket = this.#socket;
    if (!socket) return;
    this.#lost(ABNORMAL, reason);
    socket.close();
  }

  /** Ends the connection for good, for a reason that a new one would not mend. @param {number} code @param {string} reason */
  fail(code, reason) {
    const socket = this.#forget();
    this.#attempt = 0;
    socket?.close(1000);
    this.#tell({ status: "closed", attempt: 0, code, reason });
  }

  /** The server is about to go: changes the connection in so many milliseconds, or comes back then. @param {number} ms */
  moveIn(ms) {
    if (this.status !== "open") return;
    this.#returnAt = Date.now() + ms;
    this.#wait(ms, () => this.drop("the server asked for it"));
  }

  /** Whether it was sent. @param {string} text */
  send(text) {
    if (this.#socket?.readyState !== OPEN) return false;
    try {
      this.#socket.send(text);
      return true;
    } catch {
      return false;
    }
  }

  /** The connection works: the next wait is a short one again. */
  proven() {
    this.#attempt = 0;
  }

  /** The connection is of use. */
  ready() {
    if (this.status !== "connecting") return;
    clearTimeout(this.#timer);
    this.#tell({ status: "open", attempt: this.#attempt });
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    this.#forget();
    const usual = waitBeforeReturn(code, this.#attempt, this.options, this.hooks.patience());
    const retryInMs = usual !== undefined && this.#returnAt > 0 ? Math.max(0, this.#returnAt - Date.now()) : usual;
    this.#attempt = retryInMs === undefined ? 0 : Math.min(this.#attempt + 1, ATTEMPTS_COUNTED);
    if (retryInMs === undefined) return this.#tell({ status: "closed", attempt: 0, code, reason });
    this.#wait(retryInMs, () => this.#retry());
    this.#tell({ status: "waiting", attempt: this.#attempt, retryInMs, code, reason });
  }

  #retry() {
    try {
      this.connect();
    } catch (error) {
      this.#lost(ABNORMAL, String(error));
    }
  }

  #forget() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    return socket;
  }

  /** @param {number} ms @param {() => void} act */
  #wait(ms, act) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, ms);
  }

  /** @param {StatusDetail} detail */
  #tell(detail) {
    this.status = detail.status;
    this.hooks.status(detail);
  }
}
