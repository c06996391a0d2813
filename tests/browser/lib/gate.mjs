// A way to a server that can be shut: what is open breaks without a word, what is new gets no answer until it opens again.

import { createServer, connect } from "node:net";

export class Gate {
  #open = true;
  /** Both ends of what goes through. */
  #sockets = new Set();

  /** @param {number} port  Of the server behind it. */
  static async to(port) {
    const gate = new Gate();
    gate.listener = createServer((outside) => gate.#pass(outside, port));
    await new Promise((resolve) => gate.listener.listen(0, "127.0.0.1", resolve));
    return gate;
  }

  get http() {
    return `http://127.0.0.1:${this.listener.address().port}`;
  }

  shut() {
    this.#open = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  open() {
    this.#open = true;
  }

  async stop() {
    this.shut();
    await new Promise((resolve) => this.listener.close(resolve));
  }

  #pass(outside, port) {
    if (!this.#open) return outside.destroy();
    const inside = connect(port, "127.0.0.1");
    for (const [one, other] of [[outside, inside], [inside, outside]]) {
      this.#sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
