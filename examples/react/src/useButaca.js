// Butaca as React hooks. The client keeps the state; React only reads it.

import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { ButacaClient } from "../../../static/butaca-client.js";

/** One connection for as long as the component lives. `url` and `name` are read once: give the component a key to change them. */
export function useClient(url, name, protocol = "auto") {
  const [client] = useState(() => new ButacaClient({ url, clientId: name, userInfo: { name }, protocol }));
  useEffect(() => {
    client.connect();
    return () => client.close();
  }, [client]);
  return client;
}

/** Calls `act` for each event of that type, with the newest `act`: no handler of an earlier render is ever left. */
export function useButacaEvent(client, type, act) {
  useEffect(() => {
    const listener = ({ detail }) => act(detail);
    client.addEventListener(type, listener);
    return () => client.removeEventListener(type, listener);
  }, [client, type, act]);
}

export function useStatus(client) {
  const subscribe = useCallback(
    (changed) => {
      client.addEventListener("status", changed);
      return () => client.removeEventListener("status", changed);
    },
    [client],
  );
  return useSyncExternalStore(subscribe, () => client.status);
}

/** Joins the room and renders again whenever it changes. Changing `roomId` leaves the old room. */
export function useRoom(client, roomId) {
  useEffect(() => {
    client.join(roomId);
    return () => {
      client.leave(roomId);
    };
  }, [client, roomId]);
  const subscribe = useCallback(
    (changed) => {
      const listener = ({ detail }) => detail.roomId === roomId && changed();
      client.addEventListener("change", listener);
      return () => client.removeEventListener("change", listener);
    },
    [client, roomId],
  );
  useSyncExternalStore(subscribe, () => client.room(roomId).version);
  return client.room(roomId);
}

/** The whole cart of a room that `useRoom` watches, and how long it still lives; undefined with a server of v1. */
export function useCart(client, room) {
  useTicker(500);
  if (client.protocol !== "v2") return undefined;
  return { ...room.cart, seconds: Math.ceil((client.remaining(room.cart) ?? 0) / 1000) };
}

/** Renders again every `ms` milliseconds: for countdowns. */
export function useTicker(ms) {
  const [, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTick((tick) => tick + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
}
