/**
 * The demonstration page: puts the protocol (`butaca-client.js`) and the views together.
 *
 * Owns: the one client, the rooms that are open, what is said to the user.
 * Invariants: the map shows the client's copy of the room and nothing else; it is painted at most once a frame, and only
 * the seats that changed.
 * Never here: protocol rules, geometry.
 *
 * @import { RoomTab } from "./tabs.js"
 * @import { Plan, PlanSeat } from "./layouts.js"
 * @import { SeatFace } from "./planview.js"
 * @import { Seat } from "../butaca-room.js"
 * @import { TextKey } from "./text.js"
 */

import { ButacaClient, isValidClientId, isValidId, RoomMap } from "../butaca-client.js";
import { CanvasMap } from "./canvasmap.js";
import { CartPanel } from "./cart.js";
import { ACCESSIBLE, GLYPHS } from "./glyphs.js";
import { hall } from "./hall.js";
import { HoldList } from "./holds.js";
import { PLANS } from "./layouts.js";
import { MessageLog } from "./log.js";
import { SeatMap } from "./seatmap.js";
import { readSettings, remember } from "./settings.js";
import { RoomTabs } from "./tabs.js";
import { chooseLanguage, clock, formatNumber, t, why } from "./text.js";

const REFUSED_SHOWN_MS = 2_500;
const CLOCK_MS = 250;
const PING_MS = 5_000;
/** A plan of more seats is drawn on a canvas: so many elements are too many. */
const ELEMENTS_MAX = 2_500;
const SUPERSEDED = 4505;

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no ${id}`);
  return element;
}

class App {
  settings = readSettings();
  /** @type {ButacaClient | undefined} */ client;
  #frame = 0;
  #refusals = 0;
  #events = 0;
  #eventsSince = Date.now();
  #retryAt = 0;
  /** @type {string | undefined} */ #looked;
  /** Seats of the shown room to paint; undefined: all. @type {Set<string> | undefined} */ #stale;
  /** The layout that is drawn, where the server has one. @type {object | undefined} */ #hall;
  /** The cart of this tab goes on in another one. */
  #elsewhere = false;
  /** @type {SeatMap | CanvasMap} */ map;

  constructor() {
    chooseLanguage(this.settings.lang);
    for (const path of document.querySelectorAll("[data-glyph]")) {
      const name = path.getAttribute("data-glyph") ?? "";
      path.setAttribute("d", name === "accessible" ? ACCESSIBLE : GLYPHS[/** @type {keyof typeof GLYPHS} */ (name)]);
    }
    this.say = byId("say", HTMLElement);
    this.info = byId("info", HTMLElement);
    this.log = new MessageLog(byId("log", HTMLDetailsElement), byId("log-lines", HTMLElement));
    this.map = new SeatMap(byId("map", HTMLElement), this.mapHooks());
    this.cart = new CartPanel((id) => byId(id, HTMLElement), {
      onBest: (quantity, accessible) => void this.takeBest(quantity, accessible),
      onExtend: () => void this.client?.extend(this.tabs.active.roomId),
    });
    this.holds = new HoldList(byId("holds", HTMLElement), byId("no-holds", HTMLElement), {
      onRelease: (roomId, seatId) => void this.release(roomId, seatId),
      onSoon: (seatId, seconds) => this.tell("said_soon", { seat: seatId, seconds }),
    });
    this.tabs = new RoomTabs(byId("tabs", HTMLElement), {
      onShow: (tab) => this.showRoom(tab),
      onOpen: (tab) => void this.client?.join(tab.roomId),
      onClose: (tab) => void this.leave(tab),
      badge: (roomId) => this.client?.room(roomId).own().length ?? 0,
    });
    this.wire();
    for (const roomId of this.settings.rooms) this.tabs.open(roomId, this.settings.plan);
    this.tabs.show(0);
    this.showStatus();
    byId("connection", HTMLDetailsElement).open = this.settings.ask;
    if (!this.settings.ask) this.connect();
    setInterval(() => this.tick(), CLOCK_MS);
    setInterval(() => void this.measure(), PING_MS);
  }

  /** @returns {import("./planview.js").Hooks} */
  mapHooks() {
    return {
      onToggle: (seatId) => void this.toggle(seatId),
      onLook: (seatId) => this.look(seatId),
      onZoom: () => this.touchedZoom(),
      describe: (place) => this.faceOf(place),
      label: (place, face) => this.labelOf(place, face),
      rowLabel: (seat) => (isNumbered(seat) ? t("rowInBlock", { block: seat.block, row: seat.row }) : t("rowLabel", { row: seat.row })),
      stageLabel: () => t("stage"),
    };
  }

  wire() {
    byId("server", HTMLInputElement).value = this.settings.server;
    byId("name", HTMLInputElement).value = this.settings.name;
    byId("connection-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.connect();
    });
    byId("disconnect", HTMLButtonElement).addEventListener("click", () => this.client?.close());
    byId("retry", HTMLButtonElement).addEventListener("click", () => this.client?.connect());
    addEventListener("online", () => this.client?.status === "waiting" && this.client.connect());
    byId("new-room", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const field = byId("new-room-name", HTMLInputElement);
      if (isValidId(field.value)) this.tabs.open(field.value, this.tabs.active.plan);
      field.value = "";
    });
    byId("plan", HTMLSelectElement).addEventListener("change", (event) => {
      this.tabs.active.plan = /** @type {HTMLSelectElement} */ (event.target).value;
      this.showRoom(this.tabs.active);
    });
    byId("zoom-in", HTMLButtonElement).addEventListener("click", () => this.map.zoom(1.5));
    byId("zoom-out", HTMLButtonElement).addEventListener("click", () => this.map.zoom(1 / 1.5));
    byId("zoom-fit", HTMLButtonElement).addEventListener("click", () => this.map.fit());
    byId("release-all", HTMLButtonElement).addEventListener("click", () => this.releaseAll());
    byId("log-clear", HTMLButtonElement).addEventListener("click", () => this.log.clear());
  }

  connect() {
    const server = byId("server", HTMLInputElement).value.trim();
    const name = byId("name", HTMLInputElement).value.trim();
    const problem = !isValidClientId(name) ? "badName" : !/^wss?:\/\/[^/]+/.test(server) ? "badServer" : undefined;
    byId("problem", HTMLElement).textContent = problem ? t(problem) : "";
    if (problem) return;
    remember("server", server);
    remember("name", name);
    this.client?.close();
    this.client = this.newClient(server, name);
    for (const roomId of this.tabs.roomIds()) void this.client.join(roomId);
    this.client.connect();
    byId("connection", HTMLDetailsElement).open = false;
  }

  /** @param {string} server @param {string} name */
  newClient(server, name) {
    const client = new ButacaClient({ url: server, clientId: name, userInfo: { name }, protocol: this.settings.protocol });
    /** @param {string} type @param {(detail: any) => void} act */
    const on = (type, act) =>
      client.addEventListener(type, (event) => client === this.client && act(/** @type {CustomEvent} */ (event).detail));
    on("status", (detail) => this.statusChanged(detail));
    on("change", ({ roomId, changed }) => this.changed(roomId, changed));
    on("room", ({ roomId }) => this.changed(roomId, []));
    on("message", ({ direction, frame }) => this.messageSeen(direction, frame));
    on("refused", (detail) => this.refused(detail));
    on("ended", ({ seatId, reason }) => this.tell(reason === "expired" ? "said_expired" : "said_ended", { seat: seatId }));
    on("lost", ({ seatId }) => this.tell("said_lost", { seat: seatId }));
    return client;
  }

  /** @param {import("../butaca-client.js").StatusDetail} detail */
  statusChanged(detail) {
    this.#retryAt = Date.now() + (detail.retryInMs ?? 0);
    if (detail.status === "open") this.tell("said_open");
    if (detail.status === "waiting" && detail.attempt === 1) this.tell("said_waiting");
    if (detail.code !== undefined) this.log.add("note", { type: "closed", ...detail });
    if (detail.status === "open") void this.measure();
    this.#elsewhere = detail.status === "closed" && detail.code === SUPERSEDED;
    if (this.#elsewhere) this.tell("said_moved");
    this.showStatus();
    this.changed();
  }

  showStatus() {
    const status = this.client?.status ?? "idle";
    const seconds = Math.max(0, Math.ceil((this.#retryAt - Date.now()) / 1000));
    document.body.dataset.status = status;
    const text = t(/** @type {TextKey} */ (`status_${this.#elsewhere ? "elsewhere" : status}`), { seconds });
    const label = byId("status", HTMLElement);
    if (label.textContent !== text) label.textContent = text;
    const retry = byId("retry", HTMLButtonElement);
    retry.hidden = status !== "waiting" && !this.#elsewhere;
    setText("retry", t(this.#elsewhere ? "useHere" : "retryNow"));
    byId("disconnect", HTMLButtonElement).disabled = status === "idle" || status === "closed";
  }

  /** @param {"in" | "out"} direction @param {any} frame */
  messageSeen(direction, frame) {
    this.log.add(direction, frame);
    if (direction === "in" && (frame.type === "seat_selected" || frame.type === "seat_released")) this.#events += 1;
    if (direction === "in" && frame.type === "delta") this.#events += frame.changes?.length ?? 0;
  }

  /** @param {{ roomId?: string, seatId?: string, requestType?: string, code: string, message: string }} detail */
  refused({ roomId, seatId, requestType, code, message }) {
    if (requestType === "ping") return; // The page's own measurement.
    this.#refusals += 1;
    const tab = this.tabs.find(roomId ?? "");
    this.tell("said_refused", { seat: seatId ?? roomId ?? "", why: why(code, message) });
    if (!tab || seatId === undefined) return;
    const mark = { code, message };
    tab.refused.set(seatId, mark);
    setTimeout(() => {
      if (tab.refused.get(seatId) === mark) tab.refused.delete(seatId);
      this.changed(tab.roomId, [seatId]);
    }, REFUSED_SHOWN_MS);
    this.changed(tab.roomId, [seatId]);
  }

  /** What a click, a tap, Enter or Space on a seat does. @param {string} seatId */
  async toggle(seatId) {
    const { client, tabs } = this;
    const { roomId } = tabs.active;
    if (client?.status !== "open") return this.tell("said_refused", { seat: seatId, why: t("why_offline") });
    const seat = client.room(roomId).seat(seatId);
    tabs.active.refused.delete(seatId);
    if (seat.status === "mine") return this.release(roomId, seatId);
    if (!mayAsk(seat, client)) return;
    const outcome = await client.select(roomId, seatId);
    if (!outcome.ok) return;
    const left = client.remaining(client.room(roomId).seat(seatId));
    this.tell("said_mine", { seat: seatId, time: left === undefined ? "" : clock(left) });
  }

  /** @param {number} quantity @param {boolean} accessible */
  async takeBest(quantity, accessible) {
    const { roomId } = this.tabs.active;
    const outcome = await this.client?.selectBest(roomId, accessible ? { quantity, accessible: 1 } : quantity);
    if (!outcome?.ok) return;
    this.tell("said_best", { seats: outcome.frame.seats.join(", ") });
    this.map.focus(outcome.frame.seats[0]);
  }

  /** @param {string} roomId @param {string} seatId */
  async release(roomId, seatId) {
    const outcome = await this.client?.release(roomId, seatId);
    if (outcome?.ok) this.tell("said_released", { seat: seatId });
  }

  releaseAll() {
    for (const roomId of new Set(this.ownHolds().map((hold) => hold.roomId))) void this.client?.releaseAll(roomId);
  }

  /** Closing a room gives its seats back: nobody would see them any more. @param {RoomTab} tab */
  async leave({ roomId }) {
    void this.client?.releaseAll(roomId);
    await this.client?.leave(roomId);
  }

  /** @param {RoomTab} tab */
  showRoom(tab) {
    const room = this.client?.room(tab.roomId);
    this.#hall = room instanceof RoomMap ? room.hall : undefined;
    byId("plan-choice", HTMLElement).hidden = this.#hall !== undefined;
    byId("plan", HTMLSelectElement).value = tab.plan;
    this.draw(this.#hall ? hall(this.#hall) : PLANS[tab.plan](), t("gridLabel", { room: tab.roomId }));
    this.#looked = this.#stale = undefined;
    this.touchedZoom();
    this.paint();
  }

  /** @param {Plan} plan @param {string} label */
  draw(plan, label) {
    const View = plan.seats.length > ELEMENTS_MAX ? CanvasMap : SeatMap;
    if (!(this.map instanceof View)) {
      this.map.destroy();
      this.map = new View(byId("map", HTMLElement), this.mapHooks());
    }
    this.map.setPlan(plan, label);
    byId("legend-accessible", HTMLElement).hidden = !plan.seats.some(({ accessible }) => accessible);
  }

  /** Something may look different: paint once, with the next frame. @param {string} [roomId] @param {string[]} [changed] */
  changed(roomId, changed) {
    const elsewhere = roomId !== undefined && roomId !== this.tabs.active.roomId;
    if (changed === undefined && !elsewhere) this.#stale = undefined;
    else if (changed !== undefined && !elsewhere) for (const seatId of changed) this.#stale?.add(seatId);
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const room = this.client?.room(this.tabs.active.roomId);
      if (room instanceof RoomMap && room.hall !== undefined && room.hall !== this.#hall) this.showRoom(this.tabs.active);
      else this.paint();
      this.tabs.draw();
    });
  }

  paint() {
    const { client, map } = this;
    const { roomId } = this.tabs.active;
    const room = client?.room(roomId);
    map.paint(this.#stale && [...this.#stale]);
    this.#stale = new Set();
    const count = map.counts;
    setText("count-free", formatNumber((count.free ?? 0) + (count.pending ?? 0)));
    setText("count-mine", formatNumber((count.mine ?? 0) + (count.checkout ?? 0)));
    setText("count-other", formatNumber((count.other ?? 0) + (count.booked ?? 0) + (count.blocked ?? 0)));
    const strangers = this.#hall ? [] : (room?.taken() ?? []).filter((seatId) => !map.placeOf(seatId));
    byId("off-map", HTMLElement).hidden = strangers.length === 0;
    setText("off-map", t("offMap", { seats: strangers.slice(0, 12).join(", ") + (strangers.length > 12 ? "…" : "") }));
    // The legend tells of what there is.
    for (const key of /** @type {const} */ (["checkout", "booked", "blocked"])) {
      byId(`legend-${key}`, HTMLElement).hidden = !count[key];
    }
    setText("count-refused", formatNumber(this.#refusals));
    const holds = this.ownHolds();
    byId("release-all", HTMLButtonElement).hidden = holds.length < 2;
    this.holds.show(holds);
    this.showCart();
    this.look(this.#looked);
  }

  showCart() {
    const room = this.client?.room(this.tabs.active.roomId);
    const cart = room instanceof RoomMap ? room.cart : undefined;
    this.cart.show(cart, this.#hall !== undefined, this.client?.status === "open");
    if (cart) this.cart.tick(this.client?.remaining(cart), cart.expiresAt);
    const sale = room instanceof RoomMap && room.sale !== "open" ? room.sale : undefined;
    byId("sale", HTMLElement).hidden = sale === undefined;
    const text = room instanceof RoomMap && room.message ? room.message : t(/** @type {TextKey} */ (`sale_${sale ?? "closed"}`));
    if (sale) setText("sale", text);
  }

  /** @param {PlanSeat} place @returns {SeatFace} */
  faceOf(place) {
    const { client } = this;
    const seat = client?.room(this.tabs.active.roomId).seat(place.id);
    const shown = seat === undefined || seat.status === "unknown" ? "free" : seat.status;
    const look = this.tabs.active.refused.has(place.id) ? "refused" : shown;
    const live = client?.status === "open" && seat !== undefined && (seat.status === "mine" || mayAsk(seat, client));
    return { look, counted: shown, live };
  }

  /** @param {PlanSeat} place @param {SeatFace} face */
  labelOf(place, { look }) {
    const refusal = this.tabs.active.refused.get(place.id);
    const seat = this.client?.room(this.tabs.active.roomId).seat(place.id);
    const reason = refusal ? why(refusal.code, refusal.message) : "";
    const name = place.accessible ? `${nameOf(place)}, ${t("accessible")}` : nameOf(place);
    if (look === "other" && seat && !hasName(seat)) return t("is_taken", { seat: name });
    return t(`is_${look}`, { seat: name, who: seat ? whoOf(seat) : "", why: reason });
  }

  /** The own holds of all open rooms, the first to end first. */
  ownHolds() {
    const client = this.client;
    if (!client) return [];
    const holds = this.tabs.roomIds().flatMap((roomId) =>
      client.room(roomId).own().map(([seatId, hold]) => {
        const room = client.room(roomId);
        // The cart of the shown room has its one clock above the list.
        const clocked = room instanceof RoomMap && roomId === this.tabs.active.roomId;
        const remaining = clocked ? undefined : client.remaining(hold);
        return { roomId, seatId, remaining, releasing: room.pending.get(seatId) === "release_seat" };
      }),
    );
    return holds.sort((a, b) => (a.remaining ?? 0) - (b.remaining ?? 0));
  }

  /** The line under the map: the seat that the pointer or the focus is on. @param {string | undefined} seatId */
  look(seatId) {
    this.#looked = seatId;
    if (seatId === undefined) return;
    const place = this.map.placeOf(seatId);
    const seat = this.client?.room(this.tabs.active.roomId).seat(seatId);
    if (!place || !seat) return;
    const refusal = this.tabs.active.refused.get(seatId);
    const left = this.client?.remaining(seat);
    const timed = left !== undefined && (seat.status === "mine" || seat.status === "other");
    const status = seat.status === "unknown" ? "free" : seat.status;
    const nobody = status === "other" && !hasName(seat);
    const key = refusal ? "is_refused" : nobody ? "is_taken" : timed ? `is_${status}_until` : `is_${status}`;
    const reason = refusal ? why(refusal.code, refusal.message) : "";
    const values = { seat: nameOf(place), who: whoOf(seat), time: clock(left ?? 0), why: reason };
    setText("info", t(/** @type {TextKey} */ (key), values));
  }

  touchedZoom() {
    byId("zoom-fit", HTMLButtonElement).disabled = !this.map.zoomedIn;
    byId("zoom-out", HTMLButtonElement).disabled = !this.map.zoomedIn;
  }

  tick() {
    this.showStatus();
    this.holds.tick(this.ownHolds());
    this.showClock();
    this.look(this.#looked);
    this.countEvents();
  }

  showClock() {
    const room = this.client?.room(this.tabs.active.roomId);
    if (room instanceof RoomMap) this.cart.tick(this.client?.remaining(room.cart), room.cart.expiresAt);
  }

  countEvents() {
    const seconds = (Date.now() - this.#eventsSince) / 1000;
    if (seconds < 1) return;
    setText("count-events", formatNumber(Math.round(this.#events / seconds)));
    this.#events = 0;
    this.#eventsSince = Date.now();
  }

  async measure() {
    if (this.client?.status !== "open" || document.hidden) return;
    const ms = await this.client.ping();
    setText("round-trip", ms === undefined ? "–" : `${formatNumber(ms)} ms`);
  }

  /** In the live region, which is seen and read aloud. @param {TextKey} key @param {Record<string, string | number>} [values] */
  tell(key, values) {
    this.say.textContent = t(key, values);
  }
}

/** Whether a seat's block has a name: those of the theatre are only left, centre and right. @param {PlanSeat} seat */
function isNumbered({ block }) {
  return block !== "" && !THEATRE_BLOCKS.has(block);
}

const THEATRE_BLOCKS = new Set(["left", "centre", "right"]);

/** @param {PlanSeat} seat */
function nameOf(seat) {
  const { block, row, number } = seat;
  return isNumbered(seat) ? t("seatInBlock", { block, row, number }) : t("seatLabel", { row, number });
}

/**
 * Whether a click asks for the seat. In v1 a seat in my name that is not mine belongs to another connection, or waits for
 * me after a restart: the server knows.
 * @param {Seat} seat @param {ButacaClient} client
 */
function mayAsk({ status, clientId }, client) {
  return status === "free" || (status === "other" && clientId !== undefined && clientId === client.clientId);
}

/** v2 says of nobody who it is. @param {Seat} seat */
function hasName({ clientId, userInfo }) {
  return clientId !== undefined || userInfo?.name !== undefined;
}

/** @param {Seat} seat */
function whoOf(seat) {
  const name = seat.userInfo?.name;
  return typeof name === "string" && name !== "" ? name : (seat.clientId ?? "?");
}

/** @param {string} id @param {string} text */
function setText(id, text) {
  const element = byId(id, HTMLElement);
  if (element.textContent !== text) element.textContent = text;
}

new App();
