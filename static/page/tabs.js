/**
 * The rooms that are open, as tabs.
 *
 * Invariant: there is always at least one room, and exactly one of them is active.
 * Never here: what is in a room.
 *
 * @import { SeatLook } from "./glyphs.js"
 * @typedef {{ roomId: string, plan: string, refused: Map<string, { code: string, message: string }> }} RoomTab
 */

import { t } from "./text.js";

export class RoomTabs {
  /** @type {RoomTab[]} */ #tabs = [];
  #active = 0;

  /**
   * @param {HTMLElement} host
   * @param {{ onShow: (tab: RoomTab) => void, onOpen: (tab: RoomTab) => void, onClose: (tab: RoomTab) => void,
   *   badge: (roomId: string) => number }} hooks
   */
  constructor(host, hooks) {
    this.host = host;
    this.hooks = hooks;
    host.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @returns {RoomTab} */
  get active() {
    return this.#tabs[this.#active];
  }

  /** @param {string} roomId @returns {RoomTab | undefined} */
  find(roomId) {
    return this.#tabs.find((tab) => tab.roomId === roomId);
  }

  roomIds() {
    return this.#tabs.map((tab) => tab.roomId);
  }

  /** Opens a room, or shows it when it is open already. @param {string} roomId @param {string} plan */
  open(roomId, plan) {
    let index = this.#tabs.findIndex((tab) => tab.roomId === roomId);
    if (index < 0) {
      index = this.#tabs.push({ roomId, plan, refused: new Map() }) - 1;
      this.hooks.onOpen(this.#tabs[index]);
    }
    this.show(index);
  }

  /** @param {number} index */
  show(index) {
    this.#active = index;
    this.hooks.onShow(this.active);
    this.draw();
  }

  /** @param {number} index */
  close(index) {
    if (this.#tabs.length < 2) return;
    const [closed] = this.#tabs.splice(index, 1);
    this.hooks.onClose(closed);
    this.show(Math.min(this.#active > index ? this.#active - 1 : this.#active, this.#tabs.length - 1));
  }

  draw() {
    const focused = this.host.contains(document.activeElement);
    this.host.replaceChildren(...this.#tabs.map((tab, index) => this.#tab(tab, index)));
    if (focused) /** @type {HTMLElement | null} */ (this.host.querySelector('[aria-selected="true"]'))?.focus();
  }

  /** @param {RoomTab} tab @param {number} index */
  #tab(tab, index) {
    const box = document.createElement("span");
    box.className = index === this.#active ? "tab active" : "tab";
    box.setAttribute("role", "presentation");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "tab");
    button.setAttribute("aria-selected", String(index === this.#active));
    button.setAttribute("aria-controls", "room-panel");
    button.tabIndex = index === this.#active ? 0 : -1;
    button.textContent = tab.roomId;
    button.addEventListener("click", () => this.show(index));
    const mine = this.hooks.badge(tab.roomId);
    if (mine > 0) {
      const badge = document.createElement("span");
      badge.className = "badge";
      badge.textContent = String(mine);
      button.append(" ", badge);
    }
    box.append(button);
    if (this.#tabs.length > 1) box.append(this.#closer(tab, index));
    return box;
  }

  /** @param {RoomTab} tab @param {number} index */
  #closer(tab, index) {
    const close = document.createElement("button");
    close.type = "button";
    close.className = "close";
    close.textContent = "×";
    close.tabIndex = -1;
    close.setAttribute("aria-label", t("closeRoom", { room: tab.roomId }));
    close.addEventListener("click", () => this.close(index));
    return close;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step !== undefined) this.show((this.#active + step + this.#tabs.length) % this.#tabs.length);
    else if (event.key === "Delete") this.close(this.#active);
    else return;
    event.preventDefault();
  }
}
