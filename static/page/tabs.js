/**
 * The rooms that are open, as tabs.
 *
 * Invariant: there is always at least one room, and exactly one of them is active.
 * Never here: what is in a room.
 *
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
    const button = document.createElement("button");
    button.type = "button";
    button.className = index === this.#active ? "tab active" : "tab";
    button.setAttribute("role", "tab");
    button.setAttribute("aria-selected", String(index === this.#active));
    button.setAttribute("aria-controls", "room-panel");
    button.tabIndex = index === this.#active ? 0 : -1;
    button.append(span("name", tab.roomId));
    button.addEventListener("click", () => this.show(index));
    const mine = this.hooks.badge(tab.roomId);
    if (mine > 0) button.append(span("badge", String(mine)));
    if (this.#tabs.length > 1) button.append(this.#closer(tab, index));
    if (this.#tabs.length > 1) button.setAttribute("aria-keyshortcuts", "Delete");
    return button;
  }

  /** For the mouse; a keyboard has Delete, since nothing inside a tab can have the focus. @param {RoomTab} tab @param {number} index */
  #closer(tab, index) {
    const close = span("close", "×");
    close.setAttribute("aria-hidden", "true");
    close.title = t("closeRoom", { room: tab.roomId });
    close.addEventListener("click", (event) => {
      event.stopPropagation();
      this.close(index);
    });
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

/** @param {string} className @param {string} text */
function span(className, text) {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}
