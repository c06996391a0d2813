const WORDS = {
  paying: "paying …",
  booked: "yours",
  failed: "the payment failed, the seats are back in your cart",
  "money back": "the payment came too late and the seats are gone; the money goes back",
};

/**
 * Buys the cart at the shop of examples/shop, which finds it by the session's name, and says how that goes. The page may be
 * closed meanwhile: from the first answer on the order is the shop's affair.
 */
export async function pay(shop, client, say) {
  const post = (path, body = {}) =>
    fetch(shop + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  try {
    const made = await post("/orders", { session_id: client.sessionId });
    const { order, code, detail } = await made.json();
    if (!made.ok) return say(`Not sold: ${detail ?? code}`);
    await post(`/orders/${order}/pay`);
    for (let state = "paying"; state === "paying"; await new Promise((resolve) => setTimeout(resolve, 300))) {
      ({ state } = await (await fetch(`${shop}/orders/${order}`)).json());
      say(`Order ${order}: ${WORDS[state] ?? state}`);
    }
  } catch {
    say("The shop does not answer. What it has begun it brings to an end.");
  }
}
