/**
 * The seat-selection protocol for browsers and any JavaScript with a WebSocket: v2 by default, v1 on demand. No dependency.
 *
 * Owns: the one connection, which version is spoken on it, and the order in which things are told.
 * Invariants:
 *   - A seat is one's own only after the server's answer. No request rejects, and each is settled: an answer, the end of
 *     the connection or the heartbeat does it.
 *   - Nothing that belongs to an earlier socket (event, timer, answer) touches the state of the present one.
 *   - What happens at once is told when all of it is done (`#whole`): a listener may call anything.
 * Never here: what a version says (`butaca-v1.js`, `butaca-v2.js`), the DOM, texts for people.
 *
 * Which version: the address asks for v2 (`?v=2`), and the first frame tells who answered. A server of v2 says `hello`
 * unasked; one of v1 answers the ping that the module sends at once.
 *
 * @example
 *   const client = new ButacaClient({ url: "ws://localhost:8001", clientId: "ana", userInfo: { name: "Ana" } });
 *   client.addEventListener("change", ({ detail }) => draw(client.room(detail.roomId)));
 *   client.connect();
 *   client.join("hall-1");
 *   const outcome = await client.select("hall-1", ["A1", "A2"]); // all or nothing; { ok: false, code: "seats_unavailable" }
 *
 * Events, all `CustomEvent`s with a `detail`:
 *   `status` StatusDetail: `closed` with code 4505 means that the session goes on in another tab ·
 *   `change` {roomId, changed?}: `changed` names the seats that look different; without it all may ·
 *   `refused` {roomId?, seatId?, seats?, requestType, code, message, retryAfterMs?} ·
 *   `ended` {roomId, seatId, reason}: an own hold ended unasked, `unknown` when the event itself was missed (v1) ·
 *   `lost` {roomId, seatId, code, message}: an own hold was not there any more after an interruption ·
 *   `gap` {roomId} · `message` {direction: "in" | "out", frame}. Only v2:
 *   `cart` {roomId, cart, reason, gone, order?}: the cart changed, `reason` is the server's, or `held`, `released`,
 *   `extended`, `resumed`, `told` · `expiring` {roomId, cart, leftMs} · `room` {roomId, sale, message?} ·
 *   `session` {sessionId, resumed}: the name under which the shop's backend finds the cart · `goaway` {reason, inMs}.
 *
 * @import { Frame } from "./butaca-room.js"
 * @typedef {import("./butaca-link.js").Status} Status
 * @typedef {import("./butaca-link.js").StatusDetail} StatusDetail
 * @typedef {import("./butaca-protocol.js").Outcome} Outcome
 * @typedef {import("./butaca-map.js").Cart} Cart
 * @typedef {import("./butaca-map.js").Layout} Layout
 * @typedef {import("./butaca-inbox.js").Inflate} Inflate
 * @typedef {{ quantity: number, sections?: string[], categories?: string[], accessible?: number, adjacent?: boolean,
 *   release?: string[] }} BestQuery  `accessible`: how many of them; `release`: own seats that are given back for it.
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store
 *
 * @typedef {object} Options
 * @property {string} url  `ws://host:port`, without a path.
 * @property {string} clientId  1 to 128 bytes of UTF-8; a display name, not a credential.
 * @property {"v2" | "v1" | "auto"} [protocol]  Default `v2`. `auto`: v1 with a server that does not speak v2.
 * @property {Record<string, unknown>} [userInfo]  Shown to the others with each seat (v1), kept with the cart (v2).
 * @property {string | (() => string | Promise<string>)} [token]  A JWT of the shop's, where the server asks for one (v2).
 * @property {Store | null} [storage]  Where the session is kept over a reload (default: `sessionStorage`; null: nowhere).
 * @property {boolean} [layouts]  Fetch the layout of a room that has one (default true; v2).
 * @property {boolean} [reclaim]  v1: after a reconnection, ask again for the seats that were mine (default true).
 * @property {number} [connectMs]  How long an attempt to connect may take, greeting included (default 10000).
 * @property {number} [retryMinMs]  First back-off (default 500).
 * @property {number} [retryMaxMs]  Longest back-off (default 15000).
 * @property {number} [heartbeatMs]  How often the connection is asked for a sign of life (default 20000).
 * @property {number} [messageBytesMax]  What the server takes in one message (default 65536); more is not sent.
 * @property {typeof WebSocket} [WebSocket]  For environments without a global one.
 * @property {typeof fetch} [fetch]  The same for layouts.
 * @property {Inflate | null} [inflate]  The same for packed maps; null: maps are asked for as they are (v2).
 *
 * @typedef {Options & typeof DEFAULTS} Settings
 * @typedef {object} Host  What who speaks a version may use of the client.
 * @property {string} clientId
 * @property {Settings} options
 * @property {Link} link
 * @property {Inbox} inbox
 * @property {() => Record<string, unknown>} userInfo
 * @property {(type: string, detail: object) => void} emit
 * @property {<T>(act: () => T) => T} whole
 */

import { Inbox } from "./butaca-inbox.js";
import { Link } from "./butaca-link.js";
import { RoomMap } from "./butaca-map.js";
import { ID_RULE, isValidClientId, isValidId, parse } from "./butaca-protocol.js";
import { RoomState } from "./butaca-room.js";
import { SpeakerV1 } from "./butaca-v1.js";
import { SpeakerV2 } from "./butaca-v2.js";

export { isValidClientId, isValidId, RoomMap, RoomState };

const DEFAULTS = {
  protocol: /** @type {"v2" | "v1" | "auto"} */ ("v2"),
  reclaim: true,
  layouts: true,
  connectMs: 10_000,
  retryMinMs: 500,
  retryMaxMs: 15_000,
  heartbeatMs: 20_000,
  messageBytesMax: 65_536,
};
/** "Unexpected condition" of a client that cannot speak with this server; of the codes after which nobody comes back. */
const WRONG_VERSION = 4900;

/** One connection that comes back by itself, and the rooms on it. */
export class ButacaClient extends EventTarget {
  /** @type {Link} */ #link;
  /** @type {Inbox} */ #inbox;
  /** @type {SpeakerV1} */ #v1;
  /** @type {SpeakerV2} */ #v2;
  /** Who spoke last. @type {SpeakerV1 | SpeakerV2} */ #speaker;
  /** Whether the present connection has told its version. */
  #decided = false;
  /** Events of a change that is under way. @type {CustomEvent[]} */ #untold = [];
  #changing = 0;

  /** @param {Options} options  Throws a RangeError when `clientId` is none. */
  constructor(options) {
    super();
    if (!isValidClientId(options.clientId)) throw new RangeError(`${ID_RULE}; not system, not holder:…`);
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    this.options = /** @type {Settings} */ ({ ...DEFAULTS, ...given });
    this.clientId = options.clientId;
    this.userInfo = options.userInfo ?? {};
    const version = this.options.protocol === "v1" ? "" : "?v=2";
    const address = `${options.url.replace(/\/+$/, "")}/ws/${encodeURIComponent(this.clientId)}${version}`;
    this.#link = new Link(address, this.options, {
      status: (detail) => this.#whole(() => this.#status(detail)),
      opened: () => this.#whole(() => this.#opened()),
      text: (text) => this.#whole(() => this.#received(text)),
      patience: () => (this.#speaker === this.#v2 ? this.#v2.session.patienceMs : undefined),
    });
    this.#inbox = new Inbox((frame) => this.#whole(() => this.#heard(frame)), this.options.inflate);
    const host = this.#host();
    this.#v1 = new SpeakerV1(host);
    this.#v2 = new SpeakerV2(host);
    this.#speaker = this.options.protocol === "v1" ? this.#v1 : this.#v2;
  }

  /** @returns {Status} */
  get status() {
    return this.#link.status;
  }

  /** The version that is spoken, or will be, as far as it is known. @returns {"v1" | "v2"} */
  get protocol() {
    return this.#speaker === this.#v1 ? "v1" : "v2";
  }

  /** v2: the name under which the shop's backend finds the cart. Never to be shown to others. @returns {string | undefined} */
  get sessionId() {
    return this.#v2.session.id;
  }

  /**
   * The copy of a room; it exists from the first `join`, `select` or `room` on.
   * @param {string} roomId @returns {RoomState | RoomMap}
   */
  room(roomId) {
    return this.#speaker.room(roomId);
  }

  /** Opens the connection, and opens it again whenever it is lost, until `close`. Throws what `WebSocket` throws. */
  connect() {
    this.#link.connect();
  }

  /** Ends the connection for good. v1: the server releases its holds. v2: it does so when the grace is over. */
  close() {
    this.#link.close();
  }

  /**
   * Now, or as soon as there is a connection, and again after each interruption.
   * @param {string} roomId @returns {Promise<Outcome>}
   */
  join(roomId) {
    return this.#speaker.join(roomId);
  }

  /** Holds are kept; release them first where they should not be. @param {string} roomId @returns {Promise<Outcome>} */
  leave(roomId) {
    return this.#speaker.leave(roomId);
  }

  /**
   * Takes seats into the cart: all of them or none. v1 takes one.
   * Without a connection it is refused with `offline` at once, as everything but `join` is: a click does not act later.
   * @param {string} roomId @param {string | string[]} seats @param {Record<string, unknown>} [userInfo]
   * @returns {Promise<Outcome>}
   */
  select(roomId, seats, userInfo = this.userInfo) {
    return this.#speaker.select(roomId, seats, userInfo);
  }

  /** v2: the best seats that there are, chosen and held by the server. @param {string} roomId @param {number | BestQuery} query */
  selectBest(roomId, query) {
    return this.#speaker === this.#v2 ? this.#v2.selectBest(roomId, query, this.userInfo) : this.#v1.unsupported();
  }

  /**
   * v2: gives seats of the cart for others, in one step, so that nobody gets between; on a refusal the cart is as before.
   * @param {string} roomId @param {string[]} give @param {string[]} take @returns {Promise<Outcome>}
   */
  swap(roomId, give, take) {
    return this.#speaker === this.#v2 ? this.#v2.select(roomId, take, this.userInfo, give) : this.#v1.unsupported();
  }

  /** @param {string} roomId @param {string | string[]} seats @returns {Promise<Outcome>} */
  release(roomId, seats) {
    return this.#speaker.release(roomId, seats);
  }

  /** The whole cart of the room. @param {string} roomId @returns {Promise<Outcome>} */
  releaseAll(roomId) {
    return this.#speaker.releaseAll(roomId);
  }

  /** v2: the cart's clock begins anew, as often as the server allows it. @param {string} roomId @returns {Promise<Outcome>} */
  extend(roomId) {
    return this.#speaker === this.#v2 ? this.#v2.extend(roomId) : this.#v1.unsupported();
  }

  /** v2: a fresh token of the same person, before the old one runs out. @param {string} token @returns {Promise<Outcome>} */
  authenticate(token) {
    return this.#speaker === this.#v2 ? this.#v2.authenticate(token) : this.#v1.unsupported();
  }

  /** v2: the seats of a room's layout, where the module is not to fetch it. @param {string} roomId @param {Layout} layout */
  useLayout(roomId, layout) {
    this.#whole(() => this.#v2.useLayout(roomId, layout));
  }

  /** Milliseconds to the server and back, or undefined. @returns {Promise<number | undefined>} */
  ping() {
    return this.#speaker.ping();
  }

  /** The server's clock, as far as it is known. */
  serverNow() {
    return this.#speaker.clock.now();
  }

  /** Milliseconds left to a hold or a cart; undefined when its end is unknown. @param {{ expiresAt?: number }} held */
  remaining(held) {
    return this.#speaker.clock.remaining(held.expiresAt);
  }

  /** @returns {Host} */
  #host() {
    return {
      clientId: this.clientId,
      options: this.options,
      link: this.#link,
      inbox: this.#inbox,
      userInfo: () => this.userInfo,
      emit: (type, detail) => this.#emit(type, detail),
      whole: (act) => this.#whole(act),
    };
  }

  /** @param {StatusDetail} detail */
  #status(detail) {
    if (detail.status !== "open") {
      this.#decided = false;
      this.#inbox.clear();
    }
    this.#speaker.status(detail);
  }

  #opened() {
    if (this.options.protocol !== "v1") return void this.#link.send('{"type":"ping"}');
    this.#decided = true;
    this.#link.ready();
  }

  /** @param {string} text */
  #received(text) {
    this.#speaker.alive();
    this.#inbox.take(parse(text) ?? { type: "?", text });
  }

  /** Its turn has come. @param {Frame} frame */
  #heard(frame) {
    this.#emit("message", { direction: "in", frame });
    if (!this.#decided && !this.#decide(frame)) return;
    this.#link.proven();
    if (frame.type !== "?") this.#speaker.receive(frame);
  }

  /** The first frame of a connection tells the version. Whether there is one that this client may speak. @param {Frame} frame */
  #decide(frame) {
    const isV2 = frame.type === "hello";
    if (!isV2 && frame.type !== "pong") return false;
    if (!isV2 && this.options.protocol === "v2") {
      this.#link.fail(WRONG_VERSION, "the server does not speak v2 of the protocol; ask for `protocol: \"auto\"` or `\"v1\"`");
      return false;
    }
    this.#decided = true;
    this.#speak(isV2 ? this.#v2 : this.#v1);
    if (!isV2) this.#link.ready();
    return true;
  }

  /** @param {SpeakerV1 | SpeakerV2} speaker */
  #speak(speaker) {
    const before = this.#speaker;
    if (before === speaker) return;
    const rooms = before.wanted;
    before.abandon();
    this.#speaker = speaker;
    for (const roomId of rooms) void speaker.join(roomId);
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.#untold.push(new CustomEvent(type, { detail }));
    if (this.#changing === 0) this.#tell();
  }

  /** Runs `act` and tells of what it changed when all of it is done. @template T @param {() => T} act @returns {T} */
  #whole(act) {
    this.#changing += 1;
    try {
      return act();
    } finally {
      this.#changing -= 1;
      if (this.#changing === 0) this.#tell();
    }
  }

  /** In order, also when a listener changes something: what it does is told after what was told to it. */
  #tell() {
    for (let event = this.#untold.shift(); event; event = this.#untold.shift()) this.dispatchEvent(event);
  }
}
