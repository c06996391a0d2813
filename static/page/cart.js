/**
 * The cart of the room that is shown: its one clock, more time, orders, and the best seats.
 *
 * Invariant: it shows the cart that it was given last; the clock only changes numbers.
 * Never here: the protocol; a cart is over when the server says so, not when its clock stands at zero.
 *
 * @import { Cart } from "../butaca-client.js"
 */

import { clock, t } from "./text.js";

const SOON_MS = 30_000;
const BEST = [2, 3, 4];

export class CartPanel {
  /** What the clock showed when the deadline was told first. */
  #whole = 1;
  /** @type {number | undefined} */ #deadline;

  /**
   * @param {(id: string) => HTMLElement} find
   * @param {{ onBest: (quantity: number, accessible: boolean) => void, onExtend: () => void }} hooks
   */
  constructor(find, hooks) {
    this.box = find("cart");
    this.time = find("cart-time");
    this.bar = /** @type {HTMLProgressElement} */ (find("cart-bar"));
    this.extend = /** @type {HTMLButtonElement} */ (find("cart-extend"));
    this.orders = find("orders");
    this.best = find("best");
    this.extend.addEventListener("click", hooks.onExtend);
    const accessible = /** @type {HTMLInputElement} */ (find("best-accessible"));
    const buttons = BEST.map((quantity) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: String(quantity) });
      button.setAttribute("aria-label", t("bestOf", { quantity }));
      button.addEventListener("click", () => hooks.onBest(quantity, accessible.checked));
      return button;
    });
    find("best-choices").append(...buttons);
  }

  /** @param {Cart | undefined} cart  None: a server without carts. @param {boolean} hasLayout @param {boolean} live */
  show(cart, hasLayout, live) {
    this.best.hidden = cart === undefined || !hasLayout;
    for (const button of this.best.querySelectorAll("button")) button.disabled = !live;
    this.box.hidden = (cart?.seats.length ?? 0) === 0;
    this.extend.hidden = (cart?.extendsLeft ?? 0) === 0;
    this.extend.disabled = !live;
    const orders = (cart?.orders ?? []).map(({ seats, status }) => {
      const text = t(status === "booked" ? "orderBooked" : "orderCheckout", { seats: seats.join(", ") });
      return Object.assign(document.createElement("li"), { className: `order ${status}`, textContent: text });
    });
    this.orders.replaceChildren(...orders);
  }

  /** @param {number | undefined} remaining @param {number | undefined} deadline */
  tick(remaining, deadline) {
    if (remaining === undefined) return;
    if (deadline !== this.#deadline) [this.#deadline, this.#whole] = [deadline, Math.max(remaining, 1)];
    this.time.textContent = clock(remaining);
    this.bar.value = Math.min(1, remaining / this.#whole);
    this.box.classList.toggle("soon", remaining <= SOON_MS);
  }
}
