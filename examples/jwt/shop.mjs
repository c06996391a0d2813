// How a shop's backend makes the tokens that a seat server with AUTH=jwt asks for, and a page that uses them.
//
//   JWT_SECRET="$(openssl rand -base64 48)" node examples/jwt/shop.mjs     then open what it prints
//
// The seat server gets the same secret. There is no key in this folder, and without one nothing starts: a key that stands in a
// repository is known to everybody. Here anybody may say who he is; a real shop asks its own login.

import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

/** HS256 wants a key as long as its hash (RFC 7518 section 3.2). */
const SECRET_BYTES_MIN = 32;
const TOKEN_S = 600;
/** `system` and `holder:…` are the seat server's own names. */
const NAME = /^(?!system$|holder:)[\p{L}\p{N} ._-]{1,60}$/u;

/**
 * A token: who it is for (`sub`, the owner of the cart), how others see him (`name`), for which rooms, until when.
 * @param {string} secret @param {{ sub: string, name?: string, rooms?: string[], max_seats?: number }} claims
 */
export function tokenFor(secret, claims, now = Date.now()) {
  const iat = Math.floor(now / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ ...claims, iat, exp: iat + TOKEN_S })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

async function answer(request, response, secret) {
  const { pathname, searchParams } = new URL(request.url, "http://shop");
  if (pathname === "/") {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    return response.end(await readFile(new URL("index.html", import.meta.url)));
  }
  const name = searchParams.get("name") ?? "";
  if (pathname !== "/token" || request.method !== "POST" || !NAME.test(name)) {
    response.writeHead(404, { "content-type": "text/plain" });
    return response.end("POST /token?name=NAME\n");
  }
  // Whoever is logged in here: the shop knows its customers by a number, others see a name.
  const token = tokenFor(secret, { sub: `customer-${name}`, name, rooms: ["hall-*"], max_seats: 4 });
  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify({ token }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const secret = process.env.JWT_SECRET ?? "";
  if (Buffer.byteLength(secret) < SECRET_BYTES_MIN) {
    console.error(`JWT_SECRET must have at least ${SECRET_BYTES_MIN} bytes: openssl rand -base64 48`);
    process.exit(64);
  }
  const server = createServer((request, response) => void answer(request, response, secret));
  server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
}
